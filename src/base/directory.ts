/**
 * Making a directory with its parents. Runs on every thread, at start only.
 *
 * Always true: it returns with a directory at that path or throws the reason of the file system; it ends.
 * Not `mkdirSync` with `recursive`: Node tries for ever where a file system answers ENOENT although the parent is there,
 * as /proc does.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Makes `directory` and what is missing above it. Throws the error of mkdir(2). */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const parent = dirname(resolve(directory));
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || existsSync(parent)) throw error;
    makeDirectory(parent);
    mkdirSync(directory);
  }
}
