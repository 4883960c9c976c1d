import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startBroker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope } from '../harness/scope.js';

describe('the access of a real broker', () => {
  test('begins with one administrator whose password is told once, and lasts over a restart with its keys and bans [broker]', async () => {
    const scope = testScope();
    const broker = await startBroker(scope);
    const madeUp = /first account: admin with the password (\w{24}) /.exec(broker.output)?.[1] ?? '';
    expect(madeUp).not.toBe('');
    const post = async (path: string, body: object, authorization?: string) =>
      await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(authorization !== undefined && { authorization }),
        },
        body: JSON.stringify(body),
      });
    const signIn = async () => {
      const answer = await post('/login', { username: 'admin', password: madeUp });
      expect(answer.status).toBe(200);
      return `Bearer ${((await answer.json()) as { token: string }).token}`;
    };
    const token = await signIn();
    const key = (await (await post('/api_key', { name: 'ci', role: 'viewer' }, token)).json()) as {
      api_key: string;
      api_secret: string;
    };
    const connected = await RawClient.connect(scope, broker, { clientId: 'bad', protocolVersion: 5 });
    expect((await post('/banned', { as: 'clientid', who: 'bad', kick: true }, token)).status).toBe(200);
    expect((await connected.expect('disconnect')).reasonCode).toBe(0x98);
    for (const name of ['accounts.json', 'api-keys.json', 'banned.json']) {
      const file = join(broker.dataDir, name);
      if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
      const text = readFileSync(file, 'utf8');
      expect(text).not.toContain(madeUp);
      expect(text).not.toContain(key.api_secret);
    }

    await broker.kill();
    await broker.start();
    expect(broker.output).not.toContain('first account');
    const credentials = `Basic ${Buffer.from(`${key.api_key}:${key.api_secret}`).toString('base64')}`;
    const status = async (authorization: string) =>
      (await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5/queues`, { headers: { authorization } }))
        .status;
    expect(await status(credentials)).toBe(200);
    // Tokens do not outlive the process, passwords do.
    expect(await status(token)).toBe(401);
    expect(await status(await signIn())).toBe(200);
    await expect(RawClient.connect(scope, broker, { clientId: 'bad', protocolVersion: 5 })).rejects.toThrow(
      'CONNACK 138',
    );
    await expect(RawClient.connect(scope, broker, { clientId: 'bad', protocolVersion: 4 })).rejects.toThrow(
      'CONNACK 5',
    );

    await broker.stop();
    writeFileSync(join(broker.dataDir, 'accounts.json'), '{"version":1,"records":[{"username":"x"}]}');
    await expect(broker.start()).rejects.toThrow(/ERR_ACCESS_FILE[^]*accounts\.json/);
  });
});
