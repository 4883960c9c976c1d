/**
 * The file of settings that SLUICE_ENV_FILE names, below the environment. Main thread, at start and on SIGHUP.
 *
 *   # a comment            NAME=value            export NAME="a value"            NAME='another'
 *
 * Always true: what the environment sets wins over the file, under whichever of its names; a line that is none of the above
 * is a fault with its number, and all faults are told at once. Nothing in a value is replaced: no variables, no escapes.
 * Gives up: values of several lines.
 */
import { readFileSync, statSync } from 'node:fs';

import { ConfigError, type ConfigFault, type Environment } from './config.js';
import { sections } from './schema.js';

/** Names the file. It cannot stand in it. */
export const ENV_FILE_VARIABLE = 'SLUICE_ENV_FILE';

const FILE_BYTES_MAX = 1 << 20;
const LINE = /^(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*)$/;
const QUOTED = /^(["'])(.*)\1$/;

/** The environment with the settings of its file below it; itself when it names none. Throws `ConfigError`. */
export function readEnvironment(env: Environment): Environment {
  const file = env[ENV_FILE_VARIABLE]?.trim();
  if (file === undefined || file === '' || file === 'none') return env;
  return mergeEnvironment(env, parseEnvFile(readText(file), file));
}

/** Variables by name. Throws `ConfigError` with every line that is none. */
export function parseEnvFile(text: string, file: string): Environment {
  const settings: Record<string, string> = {};
  const faults: ConfigFault[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', given = ''] = LINE.exec(line) ?? [];
    const where = `${file} line ${index + 1}`;
    if (name === '') faults.push({ variable: where, message: 'is not NAME=value' });
    else if (name === ENV_FILE_VARIABLE)
      faults.push({ variable: where, message: `${name} cannot stand in the file` });
    else if (Object.hasOwn(settings, name))
      faults.push({ variable: where, message: `${name} stands there twice` });
    else if (/^["']/.test(given) && !QUOTED.test(given))
      faults.push({ variable: where, message: 'a quote is not closed' });
    else settings[name] = QUOTED.exec(given)?.[2] ?? given;
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return settings;
}

/** `env` over `file`. A setting that `env` sets under its other name is taken from there, too. */
function mergeEnvironment(env: Environment, file: Environment): Environment {
  const merged: Record<string, string | undefined> = { ...file };
  for (const { name, alias } of sections.flatMap(({ fields }) => Object.values(fields))) {
    if (alias === undefined || !(isSet(env[name]) || isSet(env[alias]))) continue;
    delete merged[name];
    delete merged[alias];
  }
  for (const [name, value] of Object.entries(env))
    if (isSet(value) || !isSet(merged[name])) merged[name] = value;
  return merged;
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== '';
}

function readText(file: string): string {
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{ variable: ENV_FILE_VARIABLE, message: `${file} cannot be read: ${reason}` }]);
  }
}
