/**
 * Notices that a small file has changed. Main thread; a timer looks at its time, size and identity.
 *
 * Always true: every change after the call is noticed, also when the file is replaced by a rename, or removed and made
 * again; a file that is missing is no change. A watch keeps no process alive, and one look is under way at a time.
 * Gives up: noticing at once, and changes that leave time, size and identity as they were.
 */
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

const intervalMs = 1000;

/** Calls `onChange` after each change of `file`, until the function that it returns is called. */
export function watchForChange(file: string, onChange: () => void): () => void {
  let seen = stampOf(statSync(file, { throwIfNoEntry: false }));
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const now = stampOf(await stat(file).catch(() => undefined));
    isLooking = false;
    if (now === undefined || now === seen || isOver) return;
    seen = now;
    onChange();
  };
  let isOver = false;
  const timer = setInterval(() => void look(), intervalMs).unref();
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}

function stampOf(stats: Stats | undefined): string | undefined {
  return stats === undefined ? undefined : `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
}
