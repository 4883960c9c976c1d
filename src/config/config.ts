/**
 * Environment to frozen configuration. Runs on the main thread, once, at start; reads nothing but its argument.
 *
 * Always true: either every setting is within its range and fits the others, or one `ConfigError` lists every
 * fault at once. A variable that starts with `SLUICE_` and is not known is a fault, because a setting that is
 * silently not applied is worse than a broker that does not start. An empty variable counts as not set.
 */
import { listenerFaults } from './listener.js';
import { OperationalError } from '../base/error.js';
import { nearest } from './nearest.js';
import { internalVariables, sections } from './schema.js';
import type { Config } from './schema.js';
import { UnitError } from './unit.js';
import type { Variable } from './variable.js';

export type { Config, MqConfig } from './schema.js';

/** Environment variables as Node gives them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One thing that is wrong with one variable. */
export interface ConfigFault {
  readonly variable: string;
  readonly message: string;
}

/** ERR_CONFIG with the list of everything that has to be changed. */
export class ConfigError extends OperationalError {
  readonly faults: readonly ConfigFault[];
  constructor(faults: readonly ConfigFault[]) {
    const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`;
    const lines = faults.map(({ variable, message }) => `  ${variable}: ${message}`);
    super('ERR_CONFIG', `${count} in the configuration:\n${lines.join('\n')}`);
    this.faults = faults;
  }
}

const variables = sections.flatMap((section) => Object.values(section.fields));
const ownNames: readonly string[] = variables.map(({ name }) => name);
const knownNames: ReadonlySet<string> = new Set([...ownNames, ...Object.keys(internalVariables)]);
const aliases: ReadonlySet<string> = new Set(
  variables.flatMap(({ alias }) => (alias === undefined ? [] : [alias])),
);

/** Reads, checks and freezes every setting. Throws one `ConfigError` that lists all faults. */
export function loadConfig(env: Environment): Config {
  const faults: ConfigFault[] = unknownVariables(env);
  const root: Record<string, unknown> = {};
  for (const { parent, fields } of sections) {
    const target = parent === undefined ? root : ((root[parent] ??= {}) as Record<string, unknown>);
    for (const [field, variable] of Object.entries(fields)) target[field] = read(variable, env, faults);
  }
  // The tables of schema.ts are what both the loop above and the type `Config` are made from.
  const config = root as unknown as Config;
  if (config.httpHost === '') root['httpHost'] = letsLocalIn(config) ? '127.0.0.1' : config.host;
  faults.push(...contradictions(config));
  if (faults.length > 0) throw new ConfigError(faults);
  return freeze(config);
}

/** EMQX's variables that are set but have no meaning here, for one warning at start; the rest of a compose file still works. */
export function ignoredVariables(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('EMQX_') && !aliases.has(name))
    .toSorted();
}

function read(variable: Variable<unknown>, env: Environment, faults: ConfigFault[]): unknown {
  const own = env[variable.name]?.trim();
  const other = variable.alias === undefined ? undefined : unquote(env[variable.alias]?.trim());
  const given = own === undefined || own === '' ? other : own;
  if (given === undefined || given === '') return variable.fallback();
  const name = given === own ? variable.name : (variable.alias ?? variable.name);
  try {
    return variable.parse(given);
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    faults.push({ variable: name, message: error.message });
    return variable.fallback();
  }
}

/** EMQX reads its variables as HOCON, where a text may stand in double quotes. */
function unquote(value: string | undefined): string | undefined {
  return value !== undefined && /^".*"$/s.test(value) ? value.slice(1, -1) : value;
}

function unknownVariables(env: Environment): ConfigFault[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('SLUICE_') && !knownNames.has(name))
    .toSorted()
    .map((name) => {
      const candidate = nearest(name, ownNames);
      const hint = candidate === undefined ? '' : `; did you mean ${candidate}?`;
      return { variable: name, message: `is not a setting of Sluice${hint}` };
    });
}

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/;

/** Whether requests from this machine need no proof of who they are. */
function letsLocalIn({ apiKeysFile, httpLocalAccess }: Config): boolean {
  return apiKeysFile === undefined && httpLocalAccess === 'auto';
}

/** Settings that are fine alone and impossible together. */
function contradictions(config: Config): ConfigFault[] {
  const faults: ConfigFault[] = [...listenerFaults(config)];
  if (letsLocalIn(config) && !loopback.test(config.httpHost)) {
    faults.push({
      variable: 'SLUICE_HTTP_HOST',
      message:
        'must be a loopback address while SLUICE_API_KEYS_FILE is not set and SLUICE_HTTP_LOCAL_ACCESS is auto: without keys anybody may administer',
    });
  }
  if (config.ringBytes < 4 * config.maximumPacketSize) {
    faults.push({
      variable: 'SLUICE_RING_BYTES',
      message:
        'must be at least four times SLUICE_MAX_PACKET_SIZE, so that the largest packet fits a busy ring',
    });
  }
  if (config.queueCacheBytes > config.queuesCacheBytes) {
    faults.push({
      variable: 'SLUICE_QUEUE_CACHE_BYTES',
      message: 'must not exceed SLUICE_QUEUES_CACHE_BYTES, which holds the caches of all queues of a shard',
    });
  }
  if (config.mq.autoCreateRegular !== false && config.mq.autoCreateLastvalue !== false) {
    faults.push({
      variable: 'SLUICE_MQ_AUTO_CREATE_LASTVALUE',
      message:
        'excludes SLUICE_MQ_AUTO_CREATE_REGULAR: a queue is created either as regular or as last-value',
    });
  }
  return faults;
}

function freeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) freeze(inner);
  return Object.freeze(value);
}
