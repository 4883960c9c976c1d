/**
 * mosquitto_pub, mosquitto_sub and mosquitto_rr against a broker process: TCP, TLS and Unix socket, all versions of
 * MQTT that they speak. Subscribers use lasting sessions or retained messages, so that no test has to guess when a
 * program has subscribed.
 */
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { hasMosquittoClients } from '../harness/mosquitto.js';
import { Rest } from '../harness/rest.js';
import { Scope, testScope } from '../harness/scope.js';
import { Script } from '../harness/script.js';
import { alice, startSecuredBroker, type SecuredBroker } from '../harness/secured-broker.js';

const run = promisify(execFile);
const versions = ['mqttv31', 'mqttv311', 'mqttv5'] as const;
const transports = ['tcp', 'tls', 'unix'] as const;
const ways = transports.flatMap((transport) => versions.map((version) => [transport, version] as const));
const limitMs = 30_000;
const hasStdbuf = spawnSync('stdbuf', ['--version']).error === undefined;

const scope = new Scope();
let secured: SecuredBroker;

beforeAll(async () => {
  secured = await startSecuredBroker(scope);
});

afterAll(() => scope.release());

beforeEach((context) => {
  if (!hasMosquittoClients()) context.skip('mosquitto_pub and mosquitto_sub are not installed');
  if (!hasStdbuf) context.skip('stdbuf is not installed, without which a pipe gets the output too late');
});

function target(transport: (typeof transports)[number], version: string): string[] {
  const { ports, caFile, unixSocket } = secured;
  const way = {
    tcp: ['-h', '127.0.0.1', '-p', String(ports.mqtt)],
    tls: ['-h', '127.0.0.1', '-p', String(ports.mqtts), '--cafile', caFile],
    unix: ['--unix', unixSocket],
  }[transport];
  return [...way, '-V', version];
}

async function publish(to: readonly string[], ...args: readonly string[]): Promise<void> {
  await run('mosquitto_pub', [...to, ...args], { timeout: limitMs });
}

async function receive(to: readonly string[], count: number, ...args: readonly string[]): Promise<string[]> {
  const { stdout } = await run('mosquitto_sub', [...to, '-C', String(count), '-W', '25', '-v', ...args], {
    timeout: limitMs,
  });
  return stdout.trim().split('\n');
}

/** A mosquitto_sub that says at once what it sees. */
function subscriber(testEnd: Scope, args: readonly string[]): Script {
  return new Script(testEnd, 'stdbuf', ['-oL', 'mosquitto_sub', ...args]);
}

/** Arguments of a session that outlives its connection. */
function lasting(clientId: string, version: string): string[] {
  return ['-i', clientId, '-c', ...(version === 'mqttv5' ? ['-x', '600'] : [])];
}

describe.each(ways)('mosquitto clients over %s, %s', (transport, version) => {
  const name = `${transport}-${version}`;

  test('what is published while a -c session is away comes with its return [MQTT-3.1.2-6]', async () => {
    const to = target(transport, version);
    const session = [...lasting(`s-${name}`, version), '-t', `${name}/away/#`, '-q', '2'];
    await run('mosquitto_sub', [...to, ...session, '-E'], { timeout: limitMs });
    for (const qos of ['1', '2']) await publish(to, '-t', `${name}/away/${qos}`, '-q', qos, '-m', `m${qos}`);
    expect(await receive(to, 2, ...session)).toEqual([`${name}/away/1 m1`, `${name}/away/2 m2`]);
  });

  test('a retained message comes first, and no more once it is cleared [MQTT-3.3.1-5] [MQTT-3.3.1-6]', async () => {
    const to = target(transport, version);
    await publish(to, '-t', `${name}/kept`, '-r', '-q', '1', '-m', 'still here');
    await publish(to, '-t', `${name}/kept/marker`, '-r', '-q', '1', '-m', 'marker');
    const both = await receive(to, 2, '-t', `${name}/kept/#`, '-q', '1', '-F', '%r %t %p');
    expect(both.toSorted()).toEqual([`1 ${name}/kept still here`, `1 ${name}/kept/marker marker`]);
    await publish(to, '-t', `${name}/kept`, '-r', '-n', '-q', '1');
    expect(await receive(to, 1, '-t', `${name}/kept/#`, '-q', '1')).toEqual([`${name}/kept/marker marker`]);
  });

  test('a client that is killed leaves its will [MQTT-3.1.2-8]', async () => {
    const to = target(transport, version);
    const session = [...lasting(`w-${name}`, version), '-t', `${name}/will`, '-q', '1'];
    await run('mosquitto_sub', [...to, ...session, '-E'], { timeout: limitMs });
    const holder = subscriber(testScope(), [
      ...to,
      ...[
        '-d',
        '-t',
        `${name}/none`,
        '--will-topic',
        `${name}/will`,
        '--will-payload',
        'gone',
        '--will-qos',
        '1',
      ],
    ]);
    await holder.waitFor(/received SUBACK/);
    await holder.stop();
    expect(await receive(to, 1, ...session)).toEqual([`${name}/will gone`]);
  });

  test('a user with the right password gets in, with a wrong one not [broker]', async () => {
    const to = [...target(transport, version), '-t', `${name}/user`, '-m', 'x', '-q', '1'];
    await publish(to, '-u', alice.username, '-P', alice.password);
    const refused = publish(to, '-u', alice.username, '-P', 'looking glass');
    // The reason is on either output, by version.
    const texts = refused.then(
      () => 'published',
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );
    expect(await texts).toMatch(/bad user name or password|not authori[sz]ed/i);
  });

  test('a queue keeps its messages until a consumer comes [broker]', async () => {
    const to = target(transport, version);
    const rest = new Rest(`http://127.0.0.1:${secured.broker.httpPort}/api/v5/message_queues`);
    const { status } = await rest.post('/queues', {
      name: `q-${name}`,
      topic_filter: `${name}/jobs/#`,
      is_lastvalue: false,
    });
    expect(status).toBeLessThan(300);
    for (const qos of ['0', '1', '2']) await publish(to, '-t', `${name}/jobs/${qos}`, '-q', qos, '-m', qos);
    const jobs = ['0', '1', '2'].map((qos) => `${name}/jobs/${qos} ${qos}`);
    expect(await receive(to, 3, '-t', `$queue/q-${name}`, '-q', '1')).toEqual(jobs);
    await publish(to, '-t', `${name}/jobs/next`, '-q', '1', '-m', 'next');
    expect(await receive(to, 1, '-t', `$q/${name}/jobs/#`, '-q', '1')).toEqual([`${name}/jobs/next next`]);
  });

  test.runIf(transport === 'tls')(
    'a client certificate lets its user in, an expired one nobody [broker]',
    async () => {
      const to = [...target(transport, version), '-t', `${name}/certified`, '-m', 'x', '-q', '1'];
      const { device, expired } = secured;
      await publish(to, '--cert', device.certFile, '--key', device.keyFile);
      await expect(publish(to, '--cert', expired.certFile, '--key', expired.keyFile)).rejects.toThrow(Error);
    },
  );

  test('a shared subscription splits the messages and loses none [MQTT-4.8.2-4]', async () => {
    const to = target(transport, version);
    const shared = ['-d', '-t', `$share/g/${name}/shared`, '-q', '1', '-F', 'got %p'];
    const testEnd = testScope();
    const members = ['a', 'b'].map(() => subscriber(testEnd, [...to, ...shared]));
    for (const member of members) await member.waitFor(/received SUBACK/);
    const sent = Array.from({ length: 20 }, (_, i) => `job${i}`);
    const publishing = run('mosquitto_pub', [...to, '-t', `${name}/shared`, '-q', '1', '-l'], {
      timeout: limitMs,
    });
    publishing.child.stdin?.end(`${sent.join('\n')}\n`);
    await publishing;
    const got = (): string[] =>
      members.flatMap((member) => member.matching(/^got /).map(({ text }) => text.slice(4)));
    await expect.poll(() => got().length, { timeout: limitMs }).toBe(sent.length);
    expect(got().toSorted()).toEqual(sent.toSorted());
  });
});

test.each(
  transports.flatMap((transport) =>
    (['mqttv311', 'mqttv5'] as const).map((version) => [transport, version] as const),
  ),
)(
  'mosquitto_rr gets the answer that a responder sends, over %s, %s [MQTT-3.3.2-15]',
  async (transport, version) => {
    const to = target(transport, version);
    const responder = subscriber(testScope(), [
      ...to,
      ...['-d', '-t', `ask/${transport}/${version}`, '-q', '1', '-F', 'asked %R %p'],
    ]);
    await responder.waitFor(/received SUBACK/);
    const answer = run(
      'mosquitto_rr',
      [
        ...to,
        '-t',
        `ask/${transport}/${version}`,
        '-e',
        `answer/${transport}/${version}`,
        '-m',
        'time?',
        '-q',
        '1',
        '-W',
        '25',
      ],
      { timeout: limitMs },
    );
    const [asked] = await responder.waitFor(/^asked /);
    expect(asked?.text).toBe(
      version === 'mqttv5' ? `asked answer/${transport}/${version} time?` : 'asked  time?',
    );
    await publish(to, '-t', `answer/${transport}/${version}`, '-q', '1', '-m', 'noon');
    expect((await answer).stdout.trim()).toBe('noon');
  },
);
