/**
 * The live configuration of the queue system: defaults, under what REST stored, under the environment.
 * Runs on the main thread.
 *
 * Always true: `current` and `raw()` show what is in force; a change is on disk (written aside, synced,
 * renamed) before it is in force, and watchers hear of it at once. A key that the environment sets cannot be
 * changed: a PUT that tries is refused instead of being silently without effect. Changes are serialised.
 * Gives up: a file that cannot be read as what was written stops the start. Source: REF 7.4 and 8.
 */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';

import { Compile } from 'typebox/compile';

import { OperationalError } from '../base/error.js';
import { replaceFile } from '../base/replace-file.js';
import type { Environment, MqConfig } from '../config/config.js';
import { sections } from '../config/schema.js';
import { formatDurationMs, parseDurationMs, UnitError } from '../config/unit.js';
import type { Variable } from '../config/variable.js';
import { compileKeyExpression, defaultKeyExpression } from '../queue/key-expression/key-expression.js';
import {
  type MqConfigObject,
  MqConfigPatch,
  type PlainKey,
  plainKeys,
  quotaDefaults,
} from './mq-config-schema.js';
import { badRequest, invalidField, OperatorError } from './operator-error.js';
import { applySettings, defaultSettings, type QueueUpdateBody, settingDefaultTexts } from './queue-schema.js';

/** What to open the store with. */
export interface MqConfigStoreOptions {
  /** File that holds what REST stored; need not exist. */
  readonly file: string;
  /** Defaults and environment as `loadConfig` gave them. */
  readonly config: MqConfig;
  /** Tells which keys the environment sets. */
  readonly env: Environment;
}

/** Hears of every change, after it is in force. */
export type MqConfigWatcher = (current: MqConfig, previous: MqConfig) => void;

type AutoCreateKind = 'regular' | 'lastvalue';
const autoCreateKinds = ['regular', 'lastvalue'] as const;
const autoCreateFields = { regular: 'autoCreateRegular', lastvalue: 'autoCreateLastvalue' } as const;

const formatVersion = 1;
const patchCheck = Compile(MqConfigPatch);
const variables = sections.find(({ parent }) => parent === 'mq')?.fields ?? {};
const plainKeyNames = Object.keys(plainKeys) as PlainKey[];
const bothKinds = 'Queues should be configured to be automatically created either as regular or lastvalue';

/** See the file header. */
export class MqConfigStore {
  readonly #file: string;
  readonly #base: MqConfig;
  readonly #env: Environment;
  readonly #watchers = new Set<MqConfigWatcher>();
  #stored: MqConfigPatch;
  #current: MqConfig;
  #turn: Promise<void> = Promise.resolve();

  private constructor(options: MqConfigStoreOptions, stored: MqConfigPatch) {
    this.#file = options.file;
    this.#base = options.config;
    this.#env = options.env;
    this.#stored = stored;
    this.#current = this.#typed(this.#effective(stored));
  }

  /** Reads the stored part. Throws `OperationalError` ERR_CONFIG when file or environment hold something impossible. */
  static async open(options: MqConfigStoreOptions): Promise<MqConfigStore> {
    const stored = await readStored(options.file);
    try {
      return new MqConfigStore(options, stored);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      throw new OperationalError(
        'ERR_CONFIG',
        `the queue configuration (environment and ${options.file}) is not usable: ${error.message}`,
        error,
      );
    }
  }

  /** What is in force. Frozen; a change makes a new object. */
  get current(): MqConfig {
    return this.#current;
  }

  /** What is in force as one would write it: durations as given, `auto_create` filled with its defaults. */
  raw(): MqConfigObject {
    return this.#effective(this.#stored);
  }

  /**
   * Puts the keys of `patch` over what is stored. Throws `OperatorError`: BAD_REQUEST for values that are not
   * possible or that the environment fixes, SERVICE_UNAVAILABLE when the file cannot be written (then nothing
   * has changed). `guard` sees the outcome before it is written and may throw.
   */
  async update(patch: MqConfigPatch, guard?: (next: MqConfig) => void): Promise<void> {
    const turn = this.#turn.then(() => this.#update(patch, guard));
    this.#turn = turn.catch(() => undefined);
    return await turn;
  }

  /** Calls `watcher` on every change until the returned function is called. */
  watch(watcher: MqConfigWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  async #update(patch: MqConfigPatch, guard?: (next: MqConfig) => void): Promise<void> {
    // The patch alone first: a bad value must not hide behind a fixed key.
    this.#typed(this.#layer(patch));
    this.#refuseFixed(patch);
    const stored = { ...this.#stored, ...patch };
    const next = this.#typed(this.#effective(stored));
    guard?.(next);
    try {
      await replaceFile(this.#file, `${JSON.stringify({ version: formatVersion, mq: stored }, null, 2)}\n`);
    } catch (error) {
      throw new OperatorError('SERVICE_UNAVAILABLE', 'The configuration could not be written', error);
    }
    const previous = this.#current;
    this.#stored = stored;
    this.#current = next;
    // A watcher may leave while it runs: walk over a copy.
    for (const watcher of [...this.#watchers]) watcher(next, previous);
  }

  #refuseFixed(patch: MqConfigPatch): void {
    const inForce = this.raw();
    for (const key of plainKeyNames) {
      const variable = this.#setBy(plainKeys[key]);
      const value = patch[key];
      if (variable === undefined || value === undefined) continue;
      if (parsePlain(key, value) !== this.#base[plainKeys[key]]) throw fixedBy(key, variable);
    }
    if (patch.auto_create === undefined) return;
    for (const kind of autoCreateKinds) {
      const variable = this.#setBy(autoCreateFields[kind]);
      const value = patch.auto_create[kind];
      if (variable === undefined || value === undefined) continue;
      const given = fillAutoCreate(kind, value);
      if (!isDeepStrictEqual(given, inForce.auto_create[kind]))
        throw fixedBy(`auto_create.${kind}`, variable);
    }
  }

  /** Defaults, then `stored`, then the environment, as raw values. */
  #effective(stored: MqConfigPatch): MqConfigObject {
    const layered = this.#layer(stored);
    const entries = plainKeyNames.map((key) => {
      const fixed = this.#setBy(plainKeys[key]) !== undefined;
      return [key, fixed ? this.#baseRaw(key) : layered[key]] as const;
    });
    const autoCreate = { ...layered.auto_create };
    for (const kind of autoCreateKinds) {
      if (this.#setBy(autoCreateFields[kind]) !== undefined) autoCreate[kind] = this.#baseAutoCreate(kind);
    }
    return { ...layered, ...Object.fromEntries(entries), auto_create: autoCreate };
  }

  /** Defaults under `stored`; the environment left aside except where it is the base of a key. */
  #layer(stored: MqConfigPatch): MqConfigObject {
    const entries = plainKeyNames.map((key) => [key, stored[key] ?? this.#baseRaw(key)] as const);
    const autoCreate = stored.auto_create ?? {};
    return {
      ...Object.fromEntries(entries),
      auto_create: {
        regular: fillAutoCreate('regular', autoCreate.regular ?? false),
        lastvalue: fillAutoCreate('lastvalue', autoCreate.lastvalue ?? false),
      },
      quota: { ...quotaDefaults, ...stored.quota },
    } as MqConfigObject;
  }

  /** The loaded value as one would write it. */
  #baseRaw(key: PlainKey): unknown {
    const value = this.#base[plainKeys[key]];
    if (key === 'enable') return value === 'auto' ? value : value === 'true';
    return typeof value === 'number' && plainKeys[key].endsWith('Ms') ? formatDurationMs(value) : value;
  }

  #baseAutoCreate(kind: AutoCreateKind): QueueUpdateBody | false {
    const value = this.#base[autoCreateFields[kind]];
    const patch = { auto_create: { [kind]: value } };
    if (!patchCheck.Check(patch)) {
      const [fault] = patchCheck.Errors(patch);
      throw invalidField(`auto_create.${kind}`, fault?.message ?? 'is not the settings of a queue');
    }
    return fillAutoCreate(kind, patch.auto_create[kind] ?? false);
  }

  /** Name of the environment variable that sets a field, or undefined. */
  #setBy(field: keyof MqConfig): string | undefined {
    const variable = variables[field];
    if (variable === undefined) return undefined;
    const names = [variable.name, variable.alias];
    return names.find((name) => name !== undefined && (this.#env[name]?.trim() ?? '') !== '');
  }

  /** Checks every value and gives the form that the broker works with. */
  #typed(raw: MqConfigObject): MqConfig {
    const { regular = false, lastvalue = false } = raw.auto_create;
    if (regular !== false && lastvalue !== false) throw badRequest(bothKinds);
    if (regular !== false) applySettings(defaultSettings(false, 'drop'), regular, 'auto_create.regular.');
    if (lastvalue !== false) {
      applySettings(defaultSettings(true, 'drop'), lastvalue, 'auto_create.lastvalue.');
      checkKeyExpression('auto_create.lastvalue.key_expression', lastvalue.key_expression);
    }
    if (raw.quota.buffer_flush_interval !== undefined) {
      readUnit('quota.buffer_flush_interval', () => parseDurationMs(raw.quota.buffer_flush_interval ?? 0));
    }
    const plain = plainKeyNames.map((key) => [plainKeys[key], parsePlain(key, raw[key])] as const);
    return Object.freeze({
      ...this.#base,
      ...Object.fromEntries(plain),
      autoCreateRegular: regular,
      autoCreateLastvalue: lastvalue,
    });
  }
}

/** Reads one plain value by the rules of its environment variable. */
function parsePlain(key: PlainKey, value: unknown): unknown {
  const variable: Variable<unknown> | undefined = variables[plainKeys[key]];
  return readUnit(key, () => variable?.parse(String(value)), value);
}

function readUnit<T>(path: string, read: () => T, value?: unknown): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnitError) throw invalidField(path, error.message, value);
    throw error;
  }
}

function fillAutoCreate(kind: AutoCreateKind, given: QueueUpdateBody | false): QueueUpdateBody | false {
  if (given === false) return false;
  const key = kind === 'lastvalue' ? { key_expression: defaultKeyExpression } : {};
  const limits = { ...settingDefaultTexts.limits, ...given.limits };
  const window = given.local_max_inflight;
  const alone = window === undefined ? {} : { fast_max_inflight: window };
  return { ...key, ...settingDefaultTexts, ...alone, ...given, limits };
}

/** Throws `OperatorError` BAD_REQUEST when `source` is not a key expression. */
export function checkKeyExpression(path: string, source: string | undefined): void {
  if (source === undefined) return;
  try {
    compileKeyExpression(source);
  } catch (error) {
    throw invalidField(path, error instanceof Error ? error.message : String(error), source);
  }
}

function fixedBy(key: string, variable: string): OperatorError {
  return badRequest(`${key} is set by the environment variable ${variable} and cannot be changed here`);
}

async function readStored(file: string): Promise<MqConfigPatch> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    throw new OperationalError('ERR_CONFIG', `${file} cannot be read`, error);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new OperationalError('ERR_CONFIG', `${file} is not JSON; remove it to start with defaults`, error);
  }
  if (typeof content !== 'object' || content === null || !('version' in content) || !('mq' in content)) {
    throw new OperationalError('ERR_CONFIG', `${file} is not a stored queue configuration`);
  }
  if (content.version !== formatVersion) {
    throw new OperationalError(
      'ERR_CONFIG',
      `${file} has format version ${String(content.version)}; this broker reads ${formatVersion}`,
    );
  }
  if (!patchCheck.Check(content.mq)) {
    const [fault] = patchCheck.Errors(content.mq);
    const place = `${fault?.instancePath ?? ''} ${fault?.message ?? ''}`.trim();
    throw new OperationalError('ERR_CONFIG', `${file} holds an impossible value: ${place}`);
  }
  return content.mq;
}
