/**
 * A guarded gateway, clients of its users, and packets made of bytes. Test process.
 *
 * Always true: the gateway runs with the real authenticator and the real access control over files; alice may do what
 * is hers and what is public, mallory only what is public, root everything; `secret/#` is root's. Only shards are fake.
 */
import { writeFileSync } from 'node:fs';

import type { IConnectPacket } from 'mqtt-packet';

import { createAccessControl, type AccessControl } from '../../src/auth/access.js';
import { createAuthenticator } from '../../src/auth/chain.js';
import { hashPassword } from '../../src/auth/password-hash.js';
import type { AuthSettings } from '../../src/config/auth-settings.js';
import { Counters, createCounterMemory, CounterReader, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import type { GatewayOptions } from '../../src/net/gateway.js';
import { aclFile } from '../auth/acl-fixture.js';
import { file, memoryLog, settings } from '../auth/fixture.js';
import type { RawClient } from '../harness/raw-client.js';
import { testScope } from '../harness/scope.js';
import { connect, connectPacket, open, startGateway, type TestGateway } from '../net/test-gateway.js';

/** What the users of the tests may do. */
export const acl = `
user alice
topic readwrite alice/#
topic read jobs/#
queue jobs
user mallory
topic readwrite mallory/#
topic read jobs/#
topic read $q/#
topic read $queue/#
user root
topic readwrite #
topic read $SYS/#
queue *
all
topic readwrite public/#
topic deny secret/#
`;

/** The password of each user. */
export const passwords: Readonly<Record<string, string>> = {
  alice: 'alice-1',
  mallory: 'mallory-1',
  root: 'root-1',
};

/** A guarded gateway. */
export interface Guarded extends TestGateway {
  readonly access: AccessControl;
  /** Counters of authentication and permissions. */
  readonly guardCounters: CounterReader;
  /** Puts the same password file in force, with these lines of it changed: undefined removes the user. */
  readonly writePasswords: (changes: Readonly<Record<string, string | undefined>>) => Promise<void>;
  /** Puts another ACL file in force. */
  readonly writeAcl: (text: string) => void;
}

/** What a test may want to differ. */
export interface GuardedOptions {
  readonly acl?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly auth?: Partial<AuthSettings>;
  readonly hooks?: GatewayOptions['hooks'];
  /** Durable sessions get their messages through queues of their own, as from a broker. */
  readonly hasSessionQueues?: boolean;
}

let passwordLines: Promise<string> | undefined;

async function linesOf(users: Readonly<Record<string, string>> = passwords): Promise<string> {
  const lines = Object.entries(users).map(
    async ([user, password]) =>
      `${user}:${await hashPassword(Buffer.from(password), { ln: 10, r: 8, p: 1 })}\n`,
  );
  return (await Promise.all(lines)).join('');
}

/** Starts a guarded gateway that ends with the running test. */
export async function startGuarded(options: GuardedOptions = {}): Promise<Guarded> {
  const memory = createCounterMemory(0);
  const counters = new Counters(memory, MAIN_BLOCK);
  const logger = memoryLog();
  passwordLines ??= linesOf();
  const lines = await passwordLines;
  const passwordFile = file('passwords', lines);
  const auth = settings({
    passwordFile,
    authFailuresMax: 0,
    ...options.auth,
  });
  const authenticator = await createAuthenticator(auth, { logger, counters, now: Date.now });
  const rules = aclFile(options.acl ?? acl);
  const access = createAccessControl(
    { ...auth, aclFile: rules, aclChecksQueueFilter: true },
    logger,
    counters,
  );
  if (access === undefined) throw new Error('nothing is guarded');
  const scope = testScope();
  scope.add(() => {
    access.close();
    authenticator.close();
  });
  const target = await startGateway({
    hooks: { ...options.hooks, authenticator, access },
    hasSessionQueues: options.hasSessionQueues ?? false,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  return {
    ...target,
    access,
    guardCounters: new CounterReader(memory),
    async writePasswords(changes) {
      let text = lines;
      for (const [user, password] of Object.entries(changes)) {
        const line = password === undefined ? '' : await linesOf({ [user]: password });
        text = text.replace(new RegExp(`^${user}:.*\n`, 'm'), () => line);
      }
      writeFileSync(passwordFile, text);
      await authenticator.reload();
    },
    writeAcl(changed) {
      writeFileSync(rules, changed);
      if (!access.reload()) throw new Error('the ACL file is broken');
    },
  };
}

/** Fields of a CONNECT of that user. */
export function credentials(user: string): Pick<IConnectPacket, 'username' | 'password'> {
  return { username: user, password: Buffer.from(passwords[user] ?? '') };
}

/** A connected client of that user; its client id is the user name unless `options` say otherwise. */
export function connectAs(
  target: TestGateway,
  user: string,
  options: Partial<IConnectPacket> = {},
): Promise<RawClient> {
  return connect(target, options.clientId ?? user, { ...credentials(user), ...options });
}

/** Reason or return code of the CONNACK for a CONNECT that is to be refused; the connection is closed after it. */
export async function refusal(target: TestGateway, options: Partial<IConnectPacket>): Promise<number> {
  const version = options.protocolVersion ?? 5;
  const client = await open(target, version === 3 ? 3 : version === 4 ? 4 : 5);
  client.send(
    connectPacket({
      protocolVersion: version,
      clientId: 'attacker',
      ...options,
    }),
  );
  const connack = await client.expect('connack');
  await client.expectClosed();
  return connack.reasonCode ?? connack.returnCode ?? 0;
}

/** SUBACK codes for `filters`, in order. */
export async function subscribeCodes(client: RawClient, filters: readonly string[]): Promise<number[]> {
  const codes: number[] = [];
  for (const [index, topic] of filters.entries()) {
    client.send({ cmd: 'subscribe', messageId: index + 1, subscriptions: [{ topic, qos: 1 }] });
    const { granted } = await client.expect('suback');
    codes.push(Number(granted[0]));
  }
  return codes;
}

/** A packet: first byte, remaining length, body. */
export function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([first]), varint(body.length), body]);
}

/** Bytes of a Variable Byte Integer. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** A length of two bytes, then the bytes. */
export function text(bytes: Buffer | string): Buffer {
  const content = Buffer.from(bytes);
  return Buffer.concat([Buffer.from([content.length >> 8, content.length & 0xff]), content]);
}

/** Properties: their length, then each as identifier and value. */
export function properties(...parts: readonly (readonly [identifier: number, value: Buffer])[]): Buffer {
  const body = Buffer.concat(
    parts.map(([identifier, value]) => Buffer.concat([Buffer.from([identifier]), value])),
  );
  return Buffer.concat([varint(body.length), body]);
}
