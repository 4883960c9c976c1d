/**
 * The runs of a comparison: warm-up, then pairs in the order base–change, change–base, base–change … so that a drift of
 * the machine meets both sides alike. Runs in the process of `bench:compare`; each run is a process of its own.
 *
 * Always true: runs never overlap; a run that fails ends the comparison, because its figures would be missing on one
 * side. Only figures that every run of both sides has are answered.
 */
import { spawn } from 'node:child_process';
import { figuresOf, lastJson } from './figure.mjs';

/** A run did not end well; the text holds what it said. */
export class RunError extends Error {}

/** Order of the sides in each of `pairs` pairs. */
export function orderOf(pairs) {
  return Array.from({ length: pairs }, (_, pair) =>
    pair % 2 === 0 ? ['base', 'change'] : ['change', 'base'],
  );
}

/**
 * Runs everything; `sides` maps 'base' and 'change' to folders, `command` is a program of a side with its arguments.
 * Resolves to a map from path to { better, isHeadline, base: value per pair, change: value per pair }.
 */
export async function runPairs({ sides, command, pairs, warmup, onRun, signal }) {
  const all = (warmup + pairs) * 2;
  let done = 0;
  const once = async (side) => {
    onRun(side, ++done, all);
    return figuresOf(lastJson(await runOnce(sides[side], command, signal)));
  };
  for (let i = 0; i < warmup; i++) for (const side of ['base', 'change']) await once(side);
  const runs = { base: [], change: [] };
  for (const pair of orderOf(pairs)) for (const side of pair) runs[side].push(await once(side));
  return align(runs);
}

/** Figures that all runs have, with their values in order of the pairs. */
export function align({ base, change }) {
  const aligned = new Map();
  for (const [path, { better, isHeadline }] of base[0] ?? []) {
    if (![...base, ...change].every((run) => run.has(path))) continue;
    const values = (runs) => runs.map((run) => run.get(path).value);
    aligned.set(path, { better, isHeadline, base: values(base), change: values(change) });
  }
  return aligned;
}

function runOnce(folder, command, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new RunError('interrupted'));
      return;
    }
    // A process group of its own, so that an interruption also ends the broker and the load that the bench started.
    const child = spawn(process.execPath, command, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    const end = () => {
      try {
        if (pid !== undefined) process.kill(-pid, 'SIGTERM');
      } catch {
        // It is gone already.
      }
    };
    signal.addEventListener('abort', end, { once: true });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      signal.removeEventListener('abort', end);
      if (signal.aborted) reject(new RunError('interrupted'));
      else if (code === 0) resolve(stdout);
      else
        reject(
          new RunError(
            `${command.join(' ')} in ${folder} ended with ${killedBy ?? code}\n${stdout}${stderr}`,
          ),
        );
    });
  });
}
