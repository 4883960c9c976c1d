/**
 * The two sides of a comparison as folders of their own: the base a git worktree of the revision, the change a copy of
 * the working tree. Runs in the process of `bench:compare`.
 *
 * Always true: editing or building the working tree meanwhile changes nothing; both sides are loaded by the same bench
 * code unless `ownBench`; modules are shared where the lock files are equal and installed where they are not; `dispose`
 * removes the folders and git's note of the worktree. Gives up: nothing is kept for the next comparison.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A step of making the sides failed; the text says which. */
export class SideError extends Error {}

const NEEDED = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.check.json',
  'scripts',
  'src',
  'bench',
];

/** Makes and builds both sides of the repository at `root`; resolves to their folders and `dispose`. */
export function makeSides({ root, revision, ownBench }) {
  const commit = git(root, 'rev-parse', '--verify', '--quiet', `${revision}^{commit}`);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-compare-'));
  const base = join(folder, 'base');
  const change = join(folder, 'change');
  const dispose = () => {
    rmSync(folder, { recursive: true, force: true });
    git(root, 'worktree', 'prune');
  };
  try {
    git(root, 'worktree', 'add', '--detach', '--quiet', base, commit);
    mkdirSync(change);
    for (const name of NEEDED) copy(join(root, name), join(change, name));
    // Saves compiling it again; `prepare` compares it with the sources.
    copy(join(root, 'dist'), join(change, 'dist'));
    if (!ownBench) {
      rmSync(join(base, 'bench'), { recursive: true, force: true });
      copy(join(root, 'bench'), join(base, 'bench'));
    }
    for (const side of [base, change]) {
      shareModules(root, side);
      build(side);
    }
    return { base, change, commit, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Results of earlier runs stay behind. */
function copy(from, to) {
  const results = join(from, 'results');
  if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (file) => file !== results });
}

function shareModules(root, side) {
  const lock = (folder) => {
    const file = join(folder, 'package-lock.json');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const modules = join(root, 'node_modules');
  if (lock(root) === lock(side) && existsSync(modules))
    symlinkSync(modules, join(side, 'node_modules'), 'junction');
}

function build(side) {
  const { status, error } = spawnSync(process.execPath, ['scripts/prepare.mjs'], {
    cwd: side,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0)
    throw new SideError(`${side} does not build${error === undefined ? '' : `: ${error.message}`}`);
}

/** A hook of git runs with variables that name another index and folder. */
const withoutGit = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')),
);

function git(cwd, ...args) {
  const { status, stdout, stderr, error } = spawnSync('git', args, {
    cwd,
    env: withoutGit,
    encoding: 'utf8',
  });
  if (error !== undefined) throw new SideError(`git cannot be started: ${error.message}`);
  if (status !== 0) throw new SideError(`git ${args.join(' ')} failed ${stderr.trim()}`.trim());
  return stdout.trim();
}
