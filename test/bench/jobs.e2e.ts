/**
 * The load tool, run tiny, so that it cannot rot: against a broker of its own and, where it is installed,
 * against mosquitto.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeFlags } from '../harness/environment.js';
import { hasMosquittoBroker } from '../harness/mosquitto.js';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function bench(...args: readonly string[]): Promise<Outcome> {
  const store = process.env['SLUICE_STORE'];
  const forBroker = [
    ...(store === undefined ? [] : ['--store', store]),
    `--node-flags=${nodeFlags.join(' ')}`,
  ];
  const all = args[0] === 'jobs' || args[0] === 'backlog' ? [...args, ...forBroker] : args;
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...all], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function figuresOf({ stdout }: Outcome): Record<string, unknown> {
  return (JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '{}') as { result: Record<string, unknown> })
    .result;
}

test('a run over a queue delivers every acknowledged message once and reports it [bench]', async () => {
  const outcome = await bench(
    'jobs',
    '--count=5000',
    '--publishers=3',
    '--consumers=4',
    '--in-flight=50',
    '--durability=process',
  );
  expect(outcome.code, outcome.stderr + outcome.stdout).toBe(0);
  expect(figuresOf(outcome)).toMatchObject({
    sent: 5000,
    acked: 5000,
    delivered: 5000,
    distinct: 5000,
    loss: 0,
    duplicates: 0,
    failed: 0,
  });
  expect(outcome.stdout).toMatch(/^lost +0$/m);
});

test('a paced run by several load processes with MQTT 5 counts the same way [bench]', async () => {
  const outcome = await bench(
    'jobs',
    '--count=600',
    '--rate=1000',
    '--protocol=5',
    '--processes=2',
    '--publishers=2',
    '--consumers=2',
  );
  expect(outcome.code, outcome.stderr + outcome.stdout).toBe(0);
  expect(figuresOf(outcome)).toMatchObject({ acked: 600, distinct: 600, loss: 0, duplicates: 0 });
});

test('a small backlog is drained by late consumers within the bounds [bench]', async () => {
  const outcome = await bench('backlog', '--count=20000', '--json');
  expect(outcome.code, outcome.stderr + outcome.stdout).toBe(0);
  expect(JSON.parse(outcome.stdout)).toMatchObject({ acked: 20_000, loss: 0, duplicates: 0, faults: [] });
});

test.runIf(hasMosquittoBroker())(
  'plain topics over mosquitto are counted by the same load [bench]',
  async () => {
    const outcome = await bench(
      'jobs',
      '--broker=mosquitto',
      '--mode=pubsub',
      '--count=3000',
      '--publishers=4',
      '--consumers=2',
    );
    expect(outcome.code, outcome.stderr + outcome.stdout).toBe(0);
    expect(figuresOf(outcome)).toMatchObject({ acked: 3000, distinct: 3000, loss: 0, duplicates: 0 });
  },
);

test('a wrong option is named and ends with exit code 2 [bench]', async () => {
  expect(await bench('jobs', '--payload=3')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--payload') as string,
  });
  expect(await bench('nonsense')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nonsense') as string,
  });
});
