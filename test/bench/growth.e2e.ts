/** Growth tables, run tiny against brokers of their own, so that they cannot rot. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeFlags } from '../harness/environment.js';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));

interface Report {
  readonly faults: readonly string[];
  readonly tables: readonly {
    readonly name: string;
    readonly series: readonly { readonly key: string }[];
    readonly rows: readonly { readonly size: number; readonly cells: Readonly<Record<string, object>> }[];
  }[];
}

async function growth(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const store = process.env['SLUICE_STORE'];
  const all = [
    ...args,
    `--node-flags=${nodeFlags.join(' ')}`,
    ...(store === undefined ? [] : ['--store', store]),
  ];
  return new Promise((resolve) => {
    execFile(process.execPath, [ENTRY, 'growth', ...all], { maxBuffer: 64e6 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('queues, retained messages and a backlog are measured by number without loss, and reported as files [bench]', async () => {
  const out = await mkdtemp(join(tmpdir(), 'sluice-bench-test-'));
  try {
    const wanted = ['--table=queues,retained', '--table=backlog', '--largest=20', '--seconds=0.3'];
    const outcome = await growth(...wanted, '--json', `--out=${out}`);
    expect(outcome.code, outcome.stderr).toBe(0);
    const { tables, faults } = JSON.parse(outcome.stdout) as Report;
    expect(faults).toEqual([]);
    expect(tables.map(({ name, rows }) => [name, rows.map(({ size }) => size)])).toEqual([
      ['queues', [1, 10]],
      ['retained', [20]],
      ['backlog', [20]],
    ]);
    for (const { name, series, rows } of tables)
      for (const { cells } of rows)
        for (const { key } of series)
          expect([name, key, cells[key]]).toEqual([
            name,
            key,
            expect.objectContaining({ perSecond: expect.any(Number) as number }),
          ]);
    expect((await readdir(out)).toSorted()).toEqual([
      expect.stringMatching(/^growth-\d{4}-.*\.json$/),
      'growth-backlog.svg',
      'growth-queues.svg',
      'growth-retained.svg',
      'growth.html',
      'growth.md',
    ]);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}, 120_000);

test('a growth table that does not exist is named and ends with exit code 2 [bench]', async () => {
  expect(await growth('--table=nonsense')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nonsense') as string,
  });
});
