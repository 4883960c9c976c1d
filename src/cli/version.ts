/**
 * Version of this installation, from package.json. Runs on the main thread.
 *
 * Always true: there is one place where the version stands, so a release cannot forget the other. Works from `src/` and from `dist/` alike, because both lie directly below the package.
 */
import { readFileSync } from 'node:fs';

/** The version as published, such as `0.1.0`. Cost: reads one small file. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
