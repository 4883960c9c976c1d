/**
 * How every micro bench measures: a task does a batch of operations per call, tinybench times the calls. Bench process.
 *
 * Always true: a task checks what it did and throws when that is wrong, so a run at `scale` 1, as the quick tests do it,
 * proves that the bench works; `scale` 1000 measures. The batch is there because one operation takes some 10 to 100 ns,
 * less than the library's own call. The figure is the median call; the best call stands beside it, because a machine
 * that is shared moves the median more than the best.
 */
import { Bench } from 'tinybench';

/** One measured line. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: 'per second' | 'ms' | 'bytes';
  /** The fastest call, where there were many. */
  readonly best?: number;
}

/** Work that can be done any number of times. */
export interface Task {
  readonly name: string;
  /** How many operations one call of `run` does. */
  readonly operations: number;
  /** Throws when the work was not done. */
  readonly run: () => void;
}

/** Times each task for `scale / 2` ms, after a tenth of a second of warm-up at most. */
export function measure(scale: number, tasks: readonly Task[]): Figure[] {
  const bench = new Bench({
    time: scale / 2,
    iterations: 3,
    warmupTime: scale / 10,
    warmupIterations: 1,
    throws: true,
  });
  for (const { name, run } of tasks) bench.add(name, run);
  return bench.runSync().map(({ name, result }, index) => {
    const task = tasks[index];
    if (result.state !== 'completed' || task === undefined) throw new Error(`${name} is ${result.state}`);
    const perSecond = (ms: number): number => (task.operations * 1000) / ms;
    const { p50, min } = result.latency;
    return { name, value: perSecond(p50), unit: 'per second', best: perSecond(min) };
  });
}

/** Times what can be done only once. */
export function once(name: string, operations: number, run: () => void): Figure {
  const startMs = performance.now();
  run();
  return { name, value: (operations * 1000) / (performance.now() - startMs), unit: 'per second' };
}

/** Throws unless both are the same: the check at the end of a task. */
export function same(what: string, got: unknown, expected: unknown): void {
  if (got !== expected) throw new Error(`${what}: ${String(got)} instead of ${String(expected)}`);
}
