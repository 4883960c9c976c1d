import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { completionScript } from '../../src/cli/completion/shells.js';
import { flatten } from '../../src/cli/completion/tree.js';
import { commandTree } from '../../src/cli/program.js';
import { testScope } from '../harness/scope.js';
import { run } from './harness.js';

const tree = commandTree();
const script = completionScript('bash', tree);

/** What bash offers after these words, the last of which is being typed. `sluice` itself answers as a broker with two queues. */
function offered(...words: string[]): string[] {
  const fake = "sluice() { printf 'NAME FILTER\\n/jobs jobs\\nstate state\\n'; }";
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const end = `COMP_WORDS=(sluice ${quoted}); COMP_CWORD=${words.length}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${script}\n${fake}\n${end}`], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion', () => {
  test('bash offers commands, options, choices and the names of queues, where each belongs [broker]', () => {
    expect(offered('que')).toEqual(['queues']);
    expect(offered('')).toEqual(expect.arrayContaining(tree.children.map(({ name }) => name)));
    expect(offered('queues', 'pe')).toEqual(['peek']);
    expect(offered('queues', 'list', '--so')).toEqual(['--sort']);
    expect(offered('queues', 'list', '--sort', 'in_')).toEqual(['in_flight', 'in_rate']);
    expect(offered('queue', 'rm', '')).toEqual(['/jobs', 'state']);
    expect(offered('queues', 'show', 's')).toEqual(['state']);
    expect(offered('queues', 'show', 's', '--js')).toEqual(['--json']);
    expect(offered('pub', '-q', '')).toEqual(['0', '1', '2']);
    expect(offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'fish', 'zsh']));
  });

  test.for(['zsh', 'fish'] as const)('the script of %s is one that it reads [broker]', (shell, context) => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-completion-'));
    testScope().add(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'sluice');
    writeFileSync(file, completionScript(shell, tree));
    const { status, stderr, error } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    if (error !== undefined) context.skip(`${shell} is not installed`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('every script knows every command and every option [broker]', async () => {
    for (const shell of ['bash', 'zsh', 'fish'] as const) {
      const { code, out } = await run(['completion', shell]);
      expect(code).toBe(0);
      for (const { path, options } of flatten(tree)) {
        expect(out).toContain(path);
        for (const { long } of options)
          expect(out).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long);
      }
    }
  });
});
