/**
 * What figures depend on besides the load: machine, versions, commit, settings. Runs in the bench's main process.
 *
 * Always true: a fact that cannot be had is 'unknown', never left out.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machineFacts } from '../jobs/report.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What figures come from. */
const MEASURED = ['src', 'bench', 'package-lock.json'];

/** Facts of a run that starts now; `options` are the settings of the command line. */
export function runFacts(options) {
  return {
    startedAt: new Date().toISOString(),
    machine: machineFacts(),
    commit: commitText(),
    settings: Object.fromEntries(
      Object.entries(options).filter(([, value]) => value !== '' && value !== false && String(value) !== ''),
    ),
  };
}

/** Short hash, with a mark when what is measured, or measures, differs from it. */
function commitText() {
  const git = (...args) => spawnSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const hash = git('rev-parse', '--short=12', 'HEAD');
  if (hash === '') return 'unknown';
  return git('status', '--porcelain', '--untracked-files=no', '--', ...MEASURED) === ''
    ? hash
    : `${hash} with changes`;
}
