/** `npm run bench:compare` as a process, over a repository that is made for it: no broker, only its own steps. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const OWN = fileURLToPath(new URL('../../bench/compare', import.meta.url));
let root = '';

/** A bench whose figure is what `src/speed.mjs` says; it fails for a speed of 0. */
const BENCH = `
import { speed } from '../src/speed.mjs';
import { appendFileSync } from 'node:fs';
appendFileSync(process.env.RUNS, import.meta.url.includes('/base/') ? 'A' : 'B');
console.log('a table');
if (speed === 0) process.exit(1);
console.log(JSON.stringify({ suite: process.argv[2], result: { endToEndPerSecond: speed, latencyMs: { p99: 5 } } }));
`;

function git(...args: readonly string[]): string {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
  return execFileSync('git', [...who, ...args], { cwd: root, encoding: 'utf8' });
}

function setSpeed(speed: number): void {
  writeFileSync(join(root, 'src/speed.mjs'), `export const speed = ${speed};\n`);
}

function compare(
  ...args: readonly string[]
): Promise<{ code: number; stdout: string; stderr: string; runs: string }> {
  const runs = join(root, 'runs.txt');
  writeFileSync(runs, '');
  const temporary = join(root, 'temporary');
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'bench/compare/main.mjs'), ...args],
      // As in a hook of git, which names folders that are not those of the worktree.
      {
        env: {
          ...process.env,
          RUNS: runs,
          TMPDIR: temporary,
          GIT_DIR: join(root, '.git'),
          GIT_INDEX_FILE: 'none',
        },
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, stdout, stderr, runs: execFileSync('cat', [runs], { encoding: 'utf8' }) });
      },
    );
  });
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-compare-test-'));
  for (const folder of ['src', 'bench', 'scripts', 'node_modules', 'temporary'])
    mkdirSync(join(root, folder));
  cpSync(OWN, join(root, 'bench/compare'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }\n');
  writeFileSync(join(root, '.gitignore'), 'node_modules\ntemporary\nruns.txt\n');
  writeFileSync(join(root, 'bench/main.mjs'), BENCH);
  writeFileSync(join(root, 'scripts/prepare.mjs'), '');
  writeFileSync(join(root, 'node_modules/module.js'), '');
  setSpeed(100);
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '-m', 'base');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function expectNothingLeft(): void {
  expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1);
  expect(readdirSync(join(root, 'temporary'))).toEqual([]);
  expect(existsSync(join(root, 'node_modules/module.js'))).toBe(true);
}

test('the working tree is measured against the revision, in turn, and called faster [bench]', async () => {
  setSpeed(200);
  const { code, stdout, stderr, runs } = await compare('HEAD', '--pairs=5', '--warmup=1', '--all', 'jobs');
  expect(code, stderr).toBe(0);
  expect(runs).toBe('ABABBAABBAAB');
  expect(stdout).toMatch(/^\* endToEndPerSecond +100 .* 2\.000 +2\.000–2\.000 +faster$/m);
  expect(stdout).toMatch(/^ {2}latencyMs\.p99 .* same$/m);
  expectNothingLeft();
});

test('a slower working tree ends with exit code 1, too few pairs with 3 [bench]', async () => {
  setSpeed(50);
  const slower = await compare('HEAD', '--pairs=5', '--warmup=0');
  expect([slower.code, slower.stdout]).toEqual([1, expect.stringContaining('SLOWER')]);
  const few = await compare('HEAD', '--pairs=1', '--warmup=0');
  expect([few.code, few.stdout]).toEqual([3, expect.stringContaining('UNCLEAR')]);
  expectNothingLeft();
});

test('a bench that fails on one side ends the comparison and shows what it said [bench]', async () => {
  setSpeed(0);
  const { code, stdout, stderr } = await compare('HEAD', '--pairs=5', '--warmup=0');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('ended with 1\na table');
  expectNothingLeft();
});

test('both sides are loaded by the bench of the working tree unless the base is to use its own [bench]', async () => {
  // As if the figure had got another name since.
  writeFileSync(join(root, 'bench/main.mjs'), BENCH.replace('endToEndPerSecond', 'jobsPerSecond'));
  const shared = await compare('HEAD', '--pairs=1', '--warmup=0');
  expect(shared.stdout).toContain('* jobsPerSecond');
  const own = await compare('HEAD', '--own-bench', '--pairs=1', '--warmup=0');
  expect(own.stdout).not.toContain('jobsPerSecond');
  expect(own.stdout).toContain('* latencyMs.p99');
});

test('an unknown revision and a side that does not build are named, and nothing is left [bench]', async () => {
  const unknown = await compare('no-such-revision');
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain('no-such-revision');
  appendFileSync(join(root, 'scripts/prepare.mjs'), 'process.exit(1);\n');
  const broken = await compare('HEAD');
  expect(broken.code).toBe(1);
  expect(broken.stderr).toContain('does not build');
  expectNothingLeft();
  expect(await compare('--pairs=2')).toMatchObject({ code: 2, stdout: '' });
});

test('an interruption ends the bench, what it started, and the folders [bench]', async () => {
  // A bench with a child that would outlive it, as a broker might.
  const child = `
    const { appendFileSync } = require('node:fs');
    process.on('SIGTERM', () => { appendFileSync(process.env.RUNS, 'ended'); process.exit(); });
    setInterval(() => {}, 1000);
    appendFileSync(process.env.RUNS, 'running ');`;
  writeFileSync(
    join(root, 'bench/main.mjs'),
    `import { spawn } from 'node:child_process';
     spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: ['ignore', 'ignore', 'inherit'] });
     setInterval(() => {}, 1000);`,
  );
  const runs = join(root, 'runs.txt');
  writeFileSync(runs, '');
  const compare = spawn(process.execPath, [join(root, 'bench/compare/main.mjs'), 'HEAD'], {
    env: { ...process.env, RUNS: runs, TMPDIR: join(root, 'temporary') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  compare.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(compare, 'close');
  await expect.poll(() => readFileSync(runs, 'utf8'), { timeout: 60_000 }).toBe('running ');
  compare.kill('SIGTERM');
  expect(await ended).toEqual([1, null]);
  expect(stderr).toBe('interrupted\n');
  expect(readFileSync(runs, 'utf8')).toBe('running ended');
  expectNothingLeft();
});
