import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { completionScript } from '../../src/cli/completion/shells.js';
import { flatten } from '../../src/cli/completion/tree.js';
import { commandTree } from '../../src/cli/program.js';
import { testScope } from '../harness/scope.js';
import { run, serve } from './harness.js';

const tree = commandTree();
const script = completionScript('bash', tree);

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-completion-'));
  testScope().add(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A word of bash and zsh. */
function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** The command `sluice queues list --json`, for bash and zsh, of a broker with these queues. */
function brokerWith(names: readonly string[]): string {
  const list = JSON.stringify(
    names.map((name) => ({ name, topic_filter: 'f' })),
    undefined,
    2,
  );
  return `sluice() { [[ $* = 'queues list --json '* ]] && printf '%s\\n' ${quote(list)}; }`;
}

/** Names that a shell could take for something else. */
const hostile = [
  '/$(echo${IFS}RAN>&2)',
  '/`echo RAN >&2`',
  '/*',
  '/a b',
  "/it's",
  '/x;echo RAN >&2',
  '/${PATH}',
  '/<(echo RAN >&2)',
  '~root',
  '-n',
];

/** What bash offers after these words, the last of which is being typed. `sluice` itself answers as a broker with two queues. */
function offered(...words: string[]): string[] {
  return offeredOf(['/jobs', 'state'], ...words);
}

/** The same with other queues. */
function offeredOf(queues: readonly string[], ...words: string[]): string[] {
  const quoted = words.map((word) => quote(word)).join(' ');
  const end = `COMP_WORDS=(sluice ${quoted}); COMP_CWORD=${words.length}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${script}\n${brokerWith(queues)}\n${end}`], {
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

  test('bash runs no code that stands in the name of a queue, and offers it quoted [broker]', () => {
    const names = offeredOf(hostile, 'queues', 'show', '');
    const read = spawnSync('bash', ['--norc', '-c', `printf '%s\\n' ${names.join(' ')}`], {
      encoding: 'utf8',
    });
    expect({ names: read.stdout.trimEnd().split('\n'), err: read.stderr }).toEqual({
      names: hostile,
      err: '',
    });
    expect(offeredOf(hostile, 'queues', 'show', '/a')).toEqual([String.raw`/a\ b`]);
    expect(offeredOf(hostile, 'queues', 'show', String.raw`/a\ `)).toEqual([String.raw`/a\ b`]);
    expect(offeredOf(['/jobs', ...hostile], 'queues', 'show', "'/")).toEqual(['/jobs']);
    expect(offeredOf(['/"', '/\\', '/\n', '/x'], 'queues', 'show', '')).toEqual(['/x']);
  });

  test('bash offers names of files as they are [broker]', () => {
    const folder = temporary();
    for (const name of ['a b', '$(echo RAN >&2)', '*']) writeFileSync(join(folder, name), '');
    const names = offered('queues', 'import', `${folder}/`);
    const read = spawnSync('bash', ['--norc', '-c', `printf '%s\\n' ${names.join(' ')}`], {
      encoding: 'utf8',
    });
    expect(read.stderr).toBe('');
    expect(read.stdout.trimEnd().split('\n').toSorted()).toEqual(
      ['$(echo RAN >&2)', '*', 'a b'].map((name) => `${folder}/${name}`),
    );
  });

  test('zsh takes the names of queues as they are [broker]', (context) => {
    const fakes = 'compdef() { }; _describe() { }; compadd() { [[ $1 == -- ]] && shift; print -rl -- "$@" }';
    const call = "words=(sluice queues show ''); CURRENT=4; _sluice";
    const text = [fakes, completionScript('zsh', tree), brokerWith(hostile), call].join('\n');
    const { stdout, stderr, error } = spawnSync('zsh', ['-f', '-c', text], { encoding: 'utf8' });
    if (error !== undefined) context.skip('zsh is not installed');
    expect({ names: stdout.trimEnd().split('\n'), stderr }).toEqual({ names: hostile, stderr: '' });
  });

  test('fish takes the names of queues as they are [broker]', (context) => {
    const folder = temporary();
    const list = JSON.stringify(
      hostile.map((name) => ({ name })),
      undefined,
      2,
    );
    writeFileSync(join(folder, 'list'), `${list}\n`);
    const fake = `function sluice; cat ${folder}/list; end`;
    const text = [completionScript('fish', tree), fake, 'complete -C "sluice queues show /"'].join('\n');
    const env = { ...process.env, HOME: folder };
    const { stdout, stderr, error } = spawnSync('fish', ['--no-config', '-c', text], {
      encoding: 'utf8',
      env,
    });
    if (error !== undefined) context.skip('fish is not installed');
    expect(stderr).toBe('');
    const names = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '');
    expect(names.toSorted()).toEqual(hostile.filter((name) => name.startsWith('/')).toSorted());
  });

  test('the list that the scripts read is the one that the command prints [broker]', async () => {
    const rows = ['/jobs', '/a b'].map((name) => ({ name, topic_filter: 'f' }));
    const broker = await serve(testScope(), () => [200, { data: rows, meta: {} }]);
    const { out } = await run(['queues', 'list', '--json', '--timeout', '1s'], { env: broker.env });
    expect(out).toBe(`${JSON.stringify(rows, undefined, 2)}\n`);
  });

  test.for(['zsh', 'fish'] as const)('the script of %s is one that it reads [broker]', (shell, context) => {
    const folder = temporary();
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
