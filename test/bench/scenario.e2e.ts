/** Scenarios of the bench, run tiny against a broker of their own, so that they cannot rot. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeFlags } from '../harness/environment.js';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));

interface Row {
  readonly peer: string;
  readonly value?: number;
  readonly faults: readonly string[];
  readonly figures?: Record<string, unknown>;
}

interface Report {
  readonly absent: readonly { readonly name: string }[];
  readonly scenarios: readonly {
    readonly name: string;
    readonly cases: readonly { readonly id: string; readonly rows: readonly Row[] }[];
  }[];
}

async function bench(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const store = process.env['SLUICE_STORE'];
  const all = [
    ...args,
    `--node-flags=${nodeFlags.join(' ')}`,
    ...(store === undefined ? [] : ['--store', store]),
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, ...all], { maxBuffer: 64e6 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function rowsOf(report: Report): Map<string, Row> {
  return new Map(
    report.scenarios.flatMap(({ name, cases }) =>
      cases.flatMap(({ id, rows }) => rows.map((row) => [`${name}/${id}/${row.peer}`, row] as const)),
    ),
  );
}

test('plain topics, shared subscriptions and queues are measured without loss, and reported as files [bench]', async () => {
  const out = await mkdtemp(join(tmpdir(), 'sluice-bench-test-'));
  try {
    const outcome = await bench(
      ...['pair', 'fan-out', 'share', 'last-value', 'connections', 'shards'],
      ...['--quick', '--scale=0.02', '--seconds=0.4', '--only=sluice,nobody', '--json', `--out=${out}`],
    );
    expect(outcome.code, outcome.stderr).toBe(0);
    const report = JSON.parse(outcome.stdout) as Report;
    expect(report.absent).toMatchObject([{ name: 'nobody' }]);
    const rows = rowsOf(report);
    expect([...rows.keys()]).toEqual(
      expect.arrayContaining([
        'pair/qos0-256/sluice',
        'fan-out/qos1/sluice',
        'share/qos1/sluice',
        'shards/2/sluice',
      ]),
    );
    for (const [name, { value, faults }] of rows)
      expect([name, value, faults]).toEqual([name, expect.any(Number), []]);
    expect(rows.get('last-value/100x10/sluice')?.figures).toMatchObject({ acked: 1000, delivered: 100 });
    expect(rows.get('fan-out/qos1/sluice')?.figures).toMatchObject({ loss: 0, duplicates: 0 });
    const files = (await readdir(out)).toSorted();
    expect(files).toEqual([expect.stringMatching(/^\d{4}-.*\.json$/), 'results.html', 'results.md']);
    expect(await readFile(join(out, 'results.html'), 'utf8')).toContain('<svg');
  } finally {
    await rm(out, { recursive: true, force: true });
  }
});

test('at a fixed rate as many messages leave as the time asks for, and each has a latency [bench]', async () => {
  const outcome = await bench('latency', '--quick', '--seconds=0.6', '--only=sluice', '--json');
  expect(outcome.code, outcome.stderr).toBe(0);
  const rows = rowsOf(JSON.parse(outcome.stdout) as Report);
  expect(rows.size).toBe(6);
  for (const [name, { figures }] of rows) {
    expect(figures, name).toMatchObject({ loss: 0, duplicates: 0, failed: 0 });
    expect(figures?.['deliveryCurveMs'], name).toHaveLength(12);
  }
  expect(Number(rows.get('latency/plain-1000/sluice')?.figures?.['sent'])).toBeLessThan(5000);
});

test('a scenario or option that does not exist is named and ends with exit code 2 [bench]', async () => {
  expect(await bench('pair', 'nonsense')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nonsense') as string,
  });
  expect(await bench('pair', '--peer=other')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--peer') as string,
  });
});
