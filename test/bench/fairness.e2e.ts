/** The fairness bench, run tiny, so that it cannot rot: every flood is made, and nothing of the other client is lost. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));

interface Figures {
  readonly quiet: { readonly samples: number };
  readonly floods: Readonly<Record<string, { readonly samples: number; readonly lost: number }>>;
}

test('beside each kind of flood another client gets all of its messages [bench]', async () => {
  const args = ['fairness', '--seconds=0.3', '--p99-max=10000', '--json'];
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(process.execPath, [ENTRY, ...args], (error, out, err) =>
        resolve({ code: error === null ? 0 : error.code, stdout: out, stderr: err }),
      );
    },
  );
  expect(code, stderr + stdout).toBe(0);
  const { quiet, floods } = JSON.parse(stdout) as Figures;
  expect(quiet.samples).toBeGreaterThan(0);
  expect(Object.keys(floods)).toEqual([
    'tiny',
    'small',
    'pings',
    'topics',
    'fan-out',
    'subscribes',
    'wide subscribes',
  ]);
  for (const [kind, { samples, lost }] of Object.entries(floods)) {
    expect(samples, kind).toBeGreaterThan(0);
    expect(lost, kind).toBe(0);
  }
});
