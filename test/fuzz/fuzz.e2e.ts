import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { brokerEnvironment } from '../harness/environment.js';
import { testScope } from '../harness/scope.js';

const entry = fileURLToPath(new URL('../../fuzz/main.mjs', import.meta.url));

/** Runs the fuzzer; resolves to its exit code and what it wrote. */
function fuzz(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [entry, ...args], {
    env: brokerEnvironment({}),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  testScope().add(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, output }));
  });
}

describe('the fuzzer', () => {
  test('a few seconds of mutated packets on all listeners do no harm to broker and bystanders [broker]', async () => {
    const { code, output } = await fuzz(
      '--seconds',
      '4',
      '--seed',
      '1',
      '--target',
      'all',
      '--delay-max',
      '60000',
      '--delay-99',
      '60000',
    );
    expect(output).toContain('fuzz: all good');
    expect(code, output).toBe(0);
  });

  test('a case can be played again by its bytes [broker]', async () => {
    const { code, output } = await fuzz('--replay', 'mqtt:1010,00044d51;mqtt:ff,c000');
    expect(output).toContain('fuzz: the replay does no harm');
    expect(code, output).toBe(0);
  });

  test('an unknown target is refused [broker]', async () => {
    const { code, output } = await fuzz('--target', 'nothing');
    expect(output).toContain('no target nothing');
    expect(code).not.toBe(0);
  });
});
