/**
 * A bar for work that takes long. Runs in the process of the command; writes to standard error.
 *
 * Always true: nothing is drawn unless standard error is a terminal, so that logs and pipes stay clean; the bar is gone from
 * the screen's last line before anything else is printed there, because `stop` ends it with a line end. It leaves the settings
 * of the terminal alone, since Ctrl-C ends the process without a chance to put them back.
 */
import { SingleBar } from 'cli-progress';

import type { CliIo } from './io.js';

/** Progress of one piece of work. */
export interface Progress {
  /** `done` of `total`, in the unit the bar was made with. */
  at(done: number): void;
  stop(): void;
}

const none: Progress = { at: () => undefined, stop: () => undefined };

/** Starts a bar. `total` 0 means that the end is not known: the count alone is shown. */
export function startProgress(io: CliIo, title: string, total: number, unit: string): Progress {
  if (io.errColumns === undefined) return none;
  const known = total > 0;
  const bar = new SingleBar({
    format: known ? `${title} {bar} {percentage}% {value}/{total} ${unit}` : `${title} {value} ${unit}`,
    stream: process.stderr,
    barsize: Math.max(10, Math.min(40, io.errColumns - title.length - 40)),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: false,
    linewrap: true,
    clearOnComplete: true,
    etaBuffer: 50,
  });
  bar.start(total, 0);
  return { at: (done) => bar.update(done), stop: () => bar.stop() };
}
