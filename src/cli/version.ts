/**
 * Version of this installation. Runs on the main thread, when it is asked for.
 *
 * Always true: package.json is the one place where the version stands, so no release can forget another.
 * Works from `src/` and from `dist/` alike, because both lie directly below the package.
 */
import { readFileSync } from 'node:fs';

/** The version as published, such as `0.1.0`. Cost: reads one small file. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
