/** A restore that is killed at any moment leaves a directory that no broker starts on, until the restore is repeated. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBroker, temporaryDirectory } from '../harness/broker.js';
import { runCommand, startCommand } from '../harness/command.js';
import { connectClient } from '../harness/mqtt-client.js';
import { testScope } from '../harness/scope.js';
import { sleep, until, within } from '../harness/wait.js';

const MESSAGES = 100;
const PAYLOAD_BYTES = 200_000;

test('kill -9 during a restore is seen by the next start, and the restore begins anew [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '2', SLUICE_STORE: 'segment' } });
  for (const filter of ['a', 'b']) await broker.rest.createQueue(filter);
  const { client } = await connectClient(scope, broker);
  const payload = randomBytes(PAYLOAD_BYTES);
  for (let number = 0; number < MESSAGES; number += 1) {
    await client.publishAsync(number % 2 === 0 ? 'a' : 'b', payload, { qos: 1 });
  }
  const folder = await temporaryDirectory(scope);
  const file = join(folder, 'b.backup');
  const url = `http://127.0.0.1:${broker.httpPort}`;
  expect((await runCommand(scope, ['backup', file, '--url', url])).code).toBe(0);
  await broker.stop();

  const dataDir = join(folder, 'restored');
  const env = { SLUICE_DATA_DIR: dataDir, SLUICE_STORE: 'segment', SLUICE_SHARDS: '3' };
  let cut = 0;
  for (const delayMs of [0, 10]) {
    const restore = startCommand(scope, ['restore', file, '--force'], env);
    await Promise.race([
      until(() => existsSync(join(dataDir, 'RESTORING')), 'the restore to begin'),
      restore.ended,
    ]);
    await sleep(delayMs);
    restore.child.kill('SIGKILL');
    await within(restore.ended, 'the restore to end');
    if (!existsSync(join(dataDir, 'RESTORING'))) continue;
    cut += 1;
    const start = await runCommand(scope, ['start'], {
      ...env,
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
    });
    expect(start.code).toBe(1);
    expect(start.err).toContain('ERR_RESTORE');
  }
  expect(cut).toBeGreaterThan(0);

  // The last one may have come to its end before it was killed.
  expect((await runCommand(scope, ['restore', file, '--force'], env)).code).toBe(0);
  const restored = await startBroker(scope, { dataDir, env });
  for (const filter of ['a', 'b']) {
    expect(await restored.rest.stats(filter)).toMatchObject({ messages: MESSAGES / 2 });
  }
});
