/** SIGHUP: a file of settings is read again by a running broker. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBroker, temporaryDirectory } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

test('SIGHUP puts live settings of the file in force, names the others, and a faulty file changes nothing [broker]', async () => {
  const scope = testScope();
  const file = join(await temporaryDirectory(scope), 'sluice.env');
  writeFileSync(file, 'SLUICE_STORE=segment\nSLUICE_SHARDS=1\nSLUICE_MAX_CONNECTIONS=2\n');
  const broker = await startBroker(scope, {
    env: { SLUICE_ENV_FILE: file, SLUICE_SHARDS: '', SLUICE_STORE: '' },
  });
  expect(broker.facts).toMatchObject({ store: 'segment', shards: '1' });
  const reread = async (text: string, line: string): Promise<void> => {
    writeFileSync(file, text);
    const before = broker.output.length;
    process.kill(broker.pid, 'SIGHUP');
    await until(() => broker.output.slice(before).includes(line), line);
  };

  const first = await connectClient(scope, broker);
  await reread(
    'SLUICE_MAX_CONNECTIONS=1\nSLUICE_SHARDS=9\nSLUICE_STORE=segment\n',
    'these settings change with the next start',
  );
  expect(broker.output).toContain('SLUICE_MAX_CONNECTIONS=1');
  await expect(connectClient(scope, broker)).rejects.toThrow(/closed|ECONNRESET|EPIPE/);
  await reread('SLUICE_MAX_CONNECTIONS=3\nSLUICE_MAX_CONECTIONS=3\n', 'the settings are faulty');
  await expect(connectClient(scope, broker)).rejects.toThrow(/closed|ECONNRESET|EPIPE/);
  await reread('SLUICE_MAX_CONNECTIONS=3\nSLUICE_STORE=segment\nSLUICE_SHARDS=1\n', 'settings have changed');
  await connectClient(scope, broker);
  expect(first.client.connected).toBe(true);
});
