/**
 * Settings of the log: how severe, how written, how often the same. Runs on the main thread, once, at start.
 *
 * Always true: a part of the broker that logs is one of `logModules`, so that a name with a typing error in it is a fault at
 * the start instead of a setting without effect. Levels of single parts win over the level of all.
 */
import { nearest } from './nearest.js';
import { UnitError } from './unit.js';
import { choice, integer, text } from './variable.js';
import type { Variable } from './variable.js';

/** Levels from the most talkative to none at all. */
export const logLevelNames = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** One of them. */
export type LogLevel = (typeof logLevelNames)[number];

/** Parts of the broker that log, by the name that stands in their lines; what has none belongs to `broker`. */
export const logModules = [
  'audit',
  'auth',
  'backup',
  'broker',
  'http',
  'mqtt',
  'queues',
  'shard',
  'trace',
] as const;

/** Levels by part. */
export type ModuleLevels = Readonly<Record<string, LogLevel>>;

function parseModuleLevels(given: string): ModuleLevels {
  const levels: Record<string, LogLevel> = {};
  for (const part of given.split(',')) {
    const [, module = '', word = ''] = /^\s*([\w-]+)\s*=\s*(\w+)\s*$/.exec(part) ?? [];
    const level = logLevelNames.find((name) => name === word.toLowerCase());
    if (module === '') throw new UnitError(`${JSON.stringify(part.trim())} is not of the form part=level`);
    if (!logModules.some((name) => name === module)) {
      const candidate = nearest(module, logModules);
      const hint =
        candidate === undefined ? `; there are ${logModules.join(', ')}` : `; did you mean ${candidate}?`;
      throw new UnitError(`${JSON.stringify(module)} is no part of the broker that logs${hint}`);
    }
    if (level === undefined) {
      throw new UnitError(`${JSON.stringify(word)} is not one of ${logLevelNames.join(', ')}`);
    }
    levels[module] = level;
  }
  return levels;
}

const moduleLevels: Variable<ModuleLevels> = {
  ...text('SLUICE_LOG_LEVELS', {
    live: true,
    fallback: '',
    defaultText: 'none',
    pattern: /[^]/,
    range: `\`part=level\`, separated by commas; parts are ${logModules.join(', ')}`,
    help: 'Levels of single parts, such as `mqtt=debug,shard=warn`; the others have `SLUICE_LOG_LEVEL`. May be changed while the broker runs.',
  }),
  fallback: () => ({}),
  parse: (given) => (given === 'none' ? {} : parseModuleLevels(given)),
};

/** Part of `Config`; see the file header. */
export const logSettings = {
  logLevel: choice('SLUICE_LOG_LEVEL', {
    live: true,
    words: logLevelNames,
    fallback: 'info',
    help: 'Least severe level that is logged.',
  }),
  logLevels: moduleLevels,
  logFormat: choice('SLUICE_LOG_FORMAT', {
    words: ['json', 'text'],
    fallback: 'text',
    help: 'One JSON object or one plain line per event, on standard output.',
  }),
  logRepeatsMax: integer('SLUICE_LOG_REPEATS', {
    fallback: 20,
    min: 0,
    max: 1_000_000,
    unit: 'lines',
    help: 'Lines of one part with the same message in 10 seconds; those beyond become one line with their number. 0 for no limit.',
  }),
};
