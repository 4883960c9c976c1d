/**
 * The files of the repository, for the tests that check the repository itself.
 *
 * Walks the tree instead of asking git, so that it also works on an unpacked archive, and sees files that are
 * not committed yet.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const foreign = new Set(['node_modules', 'dist', '.git', 'data', 'coverage', '.cache', '__pycache__']);

/** A file with its path from the root of the repository. */
export interface RepositoryFile {
  readonly path: string;
  readonly text: string;
}

/** All files below `folder` (from the root) whose name matches, in order of path. */
export function filesOf(folder: string, pattern: RegExp): RepositoryFile[] {
  return walk(join(root, folder))
    .map((file) => ({ file, path: relative(root, file).replaceAll('\\', '/') }))
    .filter(({ path }) => pattern.test(path))
    .map(({ file, path }) => ({ path, text: readFileSync(file, 'utf8') }));
}

/** One file by its path from the root. */
export function fileOf(path: string): RepositoryFile {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !foreign.has(entry.name))
    .flatMap((entry) =>
      entry.isDirectory() ? walk(join(folder, entry.name)) : entry.isFile() ? [join(folder, entry.name)] : [],
    )
    .toSorted();
}
