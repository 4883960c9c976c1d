/**
 * A backlog far larger than memory should hold, filled while nobody consumes and drained by ten consumers
 * that join late: `bench backlog` with its bounds. 400,000 messages of 256 B; 5 million with
 * SLUICE_TEST_FULL=1.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fullSize, nodeFlags } from '../harness/environment.js';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));
/** Even the small number is more than the bound of the data directory, so files that are not given back show. */
const COUNT = fullSize ? 5_000_000 : 400_000;

test(`${COUNT} waiting messages keep memory below 700 MB, are shared by ten late consumers and leave less than 100 MB of files [broker]`, async () => {
  const store = process.env['SLUICE_STORE'];
  const args = [
    'backlog',
    '--json',
    `--count=${COUNT}`,
    '--consumers=10',
    `--node-flags=${nodeFlags.join(' ')}`,
  ];
  if (store !== undefined) args.push('--store', store);
  const outcome = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [ENTRY, ...args], (_error, stdout, stderr) => resolve({ stdout, stderr }));
  });
  expect(outcome.stdout, outcome.stderr).not.toBe('');
  const result = JSON.parse(outcome.stdout) as Record<string, unknown>;
  console.info(outcome.stdout.trim());
  expect(result).toMatchObject({ acked: COUNT, loss: 0, duplicates: 0, faults: [] });
  expect(result['deliveredPerConsumer']).toHaveLength(10);
}, 900_000);
