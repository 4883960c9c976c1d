/**
 * The kinds of configuration variables. Runs on the main thread, once, at start; pure.
 *
 * A variable knows its name, how to read its text, its default, and what a person must know to set it: the
 * loader, the documents and the tests all work from this one description. `parse` throws `UnitError` with
 * the reason; the loader adds the variable's name and gathers all of them.
 */
import { resolve } from 'node:path';

import { UnitError, formatBytes, formatDurationMs, parseBytes, parseDurationMs } from './unit.js';

/** One environment variable and the value it becomes. */
export interface Variable<T> {
  readonly name: string;
  /** The same setting under the name EMQX uses; `name` wins when both are set. */
  readonly alias: string | undefined;
  /** Kind of the value as documents call it. */
  readonly type: string;
  /** Accepted values, for documents. */
  readonly range: string;
  /** Unit of the value in `Config`; empty for none. */
  readonly unit: string;
  /** The default as one would write it; for computed defaults, how it is computed. */
  readonly defaultText: string;
  readonly help: string;
  /** True: SIGHUP puts another value in force, see config/live.ts. */
  readonly live?: true;
  /** The default. Computed at load time because some depend on the machine. */
  readonly fallback: () => T;
  readonly parse: (text: string) => T;
}

/** What every kind takes besides its own bounds. */
interface Common {
  readonly help: string;
  readonly alias?: string;
  readonly live?: true;
}

/** Bounds of a number; both ends are included. */
interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** A text that must match `pattern`. */
export function text(
  name: string,
  options: Common & { fallback: string; defaultText?: string; pattern: RegExp; range: string },
): Variable<string> {
  return {
    ...common(name, options),
    type: 'text',
    range: options.range,
    unit: '',
    defaultText: options.defaultText ?? options.fallback,
    fallback: () => options.fallback,
    parse: (given) => {
      if (!options.pattern.test(given))
        throw new UnitError(`${JSON.stringify(given)} is not ${options.range}`);
      return given;
    },
  };
}

/** A path; made absolute against the working directory. */
export function path(name: string, options: Common & { fallback: string }): Variable<string> {
  return {
    ...common(name, options),
    type: 'path',
    range: 'any path',
    unit: '',
    defaultText: options.fallback,
    fallback: () => resolve(options.fallback),
    parse: (given) => resolve(given),
  };
}

/** A path that may be left out, which is also said by `none`; made absolute against the working directory. */
export function optionalPath(name: string, options: Common): Variable<string | undefined> {
  return {
    ...common(name, options),
    type: 'path',
    range: 'any path',
    unit: '',
    defaultText: 'none',
    fallback: () => undefined,
    parse: (given) => (given === 'none' ? undefined : resolve(given)),
  };
}

/** A whole number in decimal digits. */
export function integer(
  name: string,
  options: Common & Bounds & { fallback: number | (() => number); defaultText?: string; unit?: string },
): Variable<number> {
  const { fallback } = options;
  return {
    ...common(name, options),
    type: 'integer',
    range: `${options.min} to ${options.max}`,
    unit: options.unit ?? '',
    defaultText: options.defaultText ?? String(fallback),
    fallback: typeof fallback === 'function' ? fallback : () => fallback,
    parse: (given) => {
      if (!/^-?\d+$/.test(given)) throw new UnitError(`${JSON.stringify(given)} is not a whole number`);
      return within(Number(given), given, options, String);
    },
  };
}

/** A span of time; milliseconds in `Config`. */
export function duration(name: string, options: Common & Bounds & { fallback: number }): Variable<number> {
  return {
    ...common(name, options),
    type: 'duration',
    range: `${formatDurationMs(options.min)} to ${formatDurationMs(options.max)}`,
    unit: 'ms',
    defaultText: formatDurationMs(options.fallback),
    fallback: () => options.fallback,
    parse: (given) => within(parseDurationMs(given), given, options, formatDurationMs),
  };
}

/** A span of time that MQTT counts in seconds: bare digits are seconds, and a text with units is rounded up to them. */
export function seconds(name: string, options: Common & Bounds & { fallback: number }): Variable<number> {
  return {
    ...common(name, options),
    type: 'seconds',
    range: `${options.min} to ${options.max}`,
    unit: 's',
    defaultText: String(options.fallback),
    fallback: () => options.fallback,
    parse: (given) => {
      const value = /^\d+$/.test(given) ? Number(given) : Math.ceil(parseDurationMs(given) / 1000);
      return within(value, given, options, String);
    },
  };
}

/** A size; bytes in `Config`. */
export function bytes(
  name: string,
  options: Common & Bounds & { fallback: number; powerOfTwo?: boolean },
): Variable<number> {
  const range = `${formatBytes(options.min)} to ${formatBytes(options.max)}`;
  return {
    ...common(name, options),
    type: 'size',
    range: options.powerOfTwo === true ? `${range}, a power of two` : range,
    unit: 'bytes',
    defaultText: formatBytes(options.fallback),
    fallback: () => options.fallback,
    parse: (given) => {
      const value = within(parseBytes(given), given, options, formatBytes);
      if (options.powerOfTwo === true && !Number.isInteger(Math.log2(value))) {
        throw new UnitError(`${JSON.stringify(given)} is not a power of two`);
      }
      return value;
    },
  };
}

/** One of a few words. */
export function choice<const T extends string>(
  name: string,
  options: Common & { words: readonly T[]; fallback: NoInfer<T> },
): Variable<T> {
  return {
    ...common(name, options),
    type: 'choice',
    range: options.words.join(', '),
    unit: '',
    defaultText: options.fallback,
    fallback: () => options.fallback,
    parse: (given) => {
      const word = options.words.find((candidate) => candidate === given.toLowerCase());
      if (word === undefined) {
        throw new UnitError(`${JSON.stringify(given)} is not one of ${options.words.join(', ')}`);
      }
      return word;
    },
  };
}

/** `true` or `false`. */
export function flag(name: string, options: Common & { fallback: boolean }): Variable<boolean> {
  const words = choice(name, {
    ...options,
    words: ['true', 'false'],
    fallback: options.fallback ? 'true' : 'false',
  });
  return {
    ...words,
    type: 'boolean',
    fallback: () => options.fallback,
    parse: (given) => words.parse(given) === 'true',
  };
}

/** A JSON object as parsed; its fields are checked by the layer that they belong to. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A JSON object, or `false` for none. */
export function objectOrFalse(name: string, options: Common): Variable<JsonObject | false> {
  return {
    ...common(name, options),
    type: 'JSON',
    range: 'a JSON object or false',
    unit: '',
    defaultText: 'false',
    fallback: () => false,
    parse: (given) => {
      const value = parseJson(given);
      if (value === false) return false;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new UnitError(`${JSON.stringify(given)} is not a JSON object or false`);
      }
      return value as JsonObject;
    },
  };
}

function parseJson(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch {
    return undefined;
  }
}

function common(
  name: string,
  { alias, help, live }: Common,
): { name: string; alias: string | undefined; help: string; live?: true } {
  return { name, alias, help, ...(live === true && { live }) };
}

function within(
  value: number,
  given: string,
  { min, max }: Bounds,
  format: (value: number) => string,
): number {
  if (value < min || value > max) {
    throw new UnitError(`${JSON.stringify(given)} is out of range: ${format(min)} to ${format(max)}`);
  }
  return value;
}
