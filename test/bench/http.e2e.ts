/** The HTTP bench, run tiny against a broker of its own, so that it cannot rot. No rate is judged. */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUN = new URL('../../bench/http/run.mjs', import.meta.url);

function http(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const script = `import { run } from '${RUN.href}'; process.exitCode = await run(process.argv.slice(1));`;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--input-type=module', '-e', script, '--', ...args],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

function hasAutocannon(): boolean {
  try {
    createRequire(RUN).resolve('autocannon');
    return true;
  } catch {
    return false;
  }
}

test.runIf(hasAutocannon())(
  'every kind of request is answered while messages flow and none is lost [bench]',
  async () => {
    const { code, stdout, stderr } = await http('--seconds=1', '--rate=200', '--kept=30', '--json');
    expect(code, stderr + stdout).toBe(0);
    const { results } = JSON.parse(stdout) as {
      results: { name: string; messages: Record<string, unknown>; requests?: Record<string, unknown> }[];
    };
    expect(results.map(({ name }) => name)).toEqual([
      'messages alone',
      'metrics',
      'list of queues',
      'one queue',
      'its depth and rates',
      'its messages, 20 of them',
      'a change of its window',
    ]);
    for (const { name, messages, requests } of results) {
      expect(messages, name).toMatchObject({ loss: 0, failures: [], ended: 'complete' });
      if (name === 'messages alone') continue;
      expect(requests, name).toMatchObject({ faults: 0 });
      expect(requests?.['answers'], name).toBeGreaterThan(0);
    }
  },
);

test('a wrong option is named and ends with exit code 2 [bench]', async () => {
  const named = (text: string): unknown => expect.stringContaining(text);
  expect(await http('--seconds=0')).toMatchObject({ code: 2, stdout: '', stderr: named('--seconds') });
  expect(await http('--speed=1')).toMatchObject({ code: 2, stdout: '', stderr: named('--speed') });
});
