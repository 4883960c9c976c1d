/**
 * Where the compiled code of `src/` lies, for tests whose worker threads cannot load TypeScript. Test process.
 * COMPILED_DIR names another place than `dist/`.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const directory = resolve(process.env['COMPILED_DIR'] ?? 'dist');

/** URL of the compiled form of `src/<path>`, which ends in `.js`. */
export function compiledUrl(path: string): string {
  return pathToFileURL(resolve(directory, path)).href;
}
