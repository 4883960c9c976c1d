/** What the tests of authentication share: requests, settings, counters, a log and files that are removed afterwards. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach } from 'vitest';

import type { AuthRequest, AuthStep } from '../../src/auth/authenticator.js';
import { createAuthenticator, type ReloadableAuthenticator } from '../../src/auth/chain.js';
import { type AuthSettings, authentication } from '../../src/config/auth-settings.js';
import { MAIN_BLOCK, CounterReader, Counters, createCounterMemory } from '../../src/telemetry/counter.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import type { MethodName, RefusalCause } from '../../src/auth/method.js';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).toReversed()) cleanup();
});

/** Runs after the test. */
export function afterwards(cleanup: () => void): void {
  cleanups.push(cleanup);
}

/** The defaults of every setting, with `changes`. */
export function settings(changes: Partial<AuthSettings> = {}): AuthSettings {
  const defaults = Object.fromEntries(
    Object.entries(authentication).map(([field, variable]) => [field, variable.fallback()]),
  );
  return { ...(defaults as unknown as AuthSettings), ...changes };
}

/** A request from this machine; `from` is another peername. */
export function request(
  changes: Partial<Omit<AuthRequest, 'password' | 'facts'>> & {
    password?: string | Buffer;
    from?: string;
    facts?: Partial<AuthRequest['facts']>;
  } = {},
): AuthRequest {
  const { password, from, facts, ...rest } = changes;
  return {
    clientId: 'client',
    username: undefined,
    protocolVersion: 5,
    ...rest,
    password: typeof password === 'string' ? Buffer.from(password) : password,
    facts: {
      peername: from ?? '127.0.0.1:50000',
      listener: 'tcp',
      isLoopback: from === undefined,
      secure: false,
      ...facts,
    },
  };
}

/** A log that keeps its lines. */
export function memoryLog() {
  const lines: string[] = [];
  const note =
    (level: string) =>
    (fields: object, message: string): void => {
      const plain = Object.entries(fields).map(([key, value]) => [
        key,
        value instanceof Error ? value.message : value,
      ]);
      lines.push(`${level} ${message} ${JSON.stringify(Object.fromEntries(plain))}`);
    };
  return { lines, debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
}

/** A file of a folder that goes away with the test. */
export function file(name: string, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-auth-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

/** An HTTP server on loopback; the URL of its root. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** An authenticator with a clock that stands still, and everything that can be seen of it. */
export async function authenticator(changes: Partial<AuthSettings> = {}, startMs = 1_000_000_000_000) {
  const memory = createCounterMemory(0);
  const reader = new CounterReader(memory);
  const clock = { nowMs: startMs };
  const log = memoryLog();
  const auth: ReloadableAuthenticator = await createAuthenticator(settings(changes), {
    logger: log,
    counters: new Counters(memory, MAIN_BLOCK),
    now: () => clock.nowMs,
  });
  cleanups.push(() => auth.close());
  return {
    auth,
    clock,
    log,
    succeeded: (method: MethodName) => reader.total(slotOf('authenticationsSucceeded', method)),
    failed: (cause: RefusalCause) => reader.total(slotOf('authenticationsFailed', cause)),
    cacheHits: (method: 'password' | 'http') => reader.total(slotOf('authenticationCacheHits', method)),
  };
}

/** A step in few words: the user's name, or the reason code in hex. */
export function brief(step: AuthStep): string {
  if (step.kind === 'success') return `yes ${step.identity.username ?? 'anonymous'}`;
  if (step.kind === 'continue') return `continue ${step.data.toString()}`;
  return `0x${step.reasonCode.toString(16)}`;
}
