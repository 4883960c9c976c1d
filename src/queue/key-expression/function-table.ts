/**
 * All functions of the key expression language, by name. No state.
 *
 * The compiler looks names up here and `docs/key-expression.md` lists exactly these. The three lazy forms
 * (`coalesce`, `iif`, `is_empty`) are not in it: they belong to the language and the compiler knows them.
 */
import { compareFunctions } from './function-compare.js';
import { encodingFunctions } from './function-encoding.js';
import { listFunctions } from './function-list.js';
import { regexFunctions } from './function-regex.js';
import { systemFunctions } from './function-system.js';
import { buildFunctions, textFunctions } from './function-text.js';
import type { KeyFunction } from './function.js';

/** In the order in which they are documented. */
export const keyFunctions: readonly KeyFunction[] = [
  ...textFunctions,
  ...listFunctions.filter((candidate) => candidate.group === 'Lists'),
  ...buildFunctions,
  ...regexFunctions,
  ...encodingFunctions,
  ...compareFunctions,
  ...systemFunctions,
  ...listFunctions.filter((candidate) => candidate.group !== 'Lists'),
];

const byName = new Map(keyFunctions.map((definition) => [definition.name, definition]));

/** Function called `name`, or undefined. */
export function keyFunction(name: string): KeyFunction | undefined {
  return byName.get(name);
}
