/**
 * What a function of the key expression language is, as data. No state.
 *
 * The compiler checks names and numbers of arguments against these definitions and `docs/key-expression.md`
 * lists them; a test keeps the two equal. A function is prepared once per place where it is called, with the
 * arguments that are constants, so that patterns, formats, paths and algorithms are compiled once and
 * their faults are found before any message.
 */
import type { KeyContext, KeyPart } from './context.js';
import { KeyEvaluationError } from './error.js';
import { textArg, type Value, type ValueList } from './value.js';

/** Heading under which a function is documented. */
export type FunctionGroup =
  | 'Case and trim'
  | 'Slices'
  | 'Lists'
  | 'Build'
  | 'Regular expressions'
  | 'Encoding'
  | 'Hashing'
  | 'Compare'
  | 'Logic'
  | 'JSON and JWT'
  | 'Random and system'
  | 'Topics'
  | 'Erlang modules';

/** Runs the function on evaluated arguments; throws `KeyEvaluationError`. */
export type FunctionCall = (args: ValueList, context: KeyContext) => Value;

/** Environment variables by full name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** One function. */
export interface KeyFunction {
  readonly name: string;
  /** Accepted numbers of arguments, ascending. */
  readonly arities: readonly number[];
  readonly group: FunctionGroup;
  /** Arguments as documented, without the name: `(text, start[, length])`. */
  readonly parameters: string;
  /** One sentence for the table of functions. */
  readonly help: string;
  /** Present when the result depends on more than the arguments. */
  readonly uses?: Extract<KeyPart, 'clock' | 'random'>;
  /**
   * Makes the call for one place in an expression. `constants[i]` is the value of argument i when it is the
   * same for every message, else undefined. Throws `KeyEvaluationError` when a constant cannot be used.
   */
  readonly prepare: (constants: readonly (Value | undefined)[], environment: Environment) => FunctionCall;
}

/** Most compiled forms of arguments that are not constants, kept per call place. */
const rememberedMax = 64;

/** `make`, with the results of the last few keys kept. For arguments that are usually, but not surely, the same. */
export function remembered<T>(make: (key: string) => T): (key: string) => T {
  const results = new Map<string, T>();
  return (key) => {
    const known = results.get(key);
    if (known !== undefined) return known;
    const result = make(key);
    if (results.size >= rememberedMax) results.clear();
    results.set(key, result);
    return result;
  };
}

function option<T extends string>(args: ValueList, index: number, words: readonly T[]): T {
  const given = textArg(args, index);
  const found = words.find((word) => word === given);
  if (found === undefined) {
    throw new KeyEvaluationError(
      'value',
      `argument ${index + 1} is "${given}", not one of ${words.join(', ')}`,
    );
  }
  return found;
}

/** Prepares a call whose argument `index`, when given, must be one of `words`; a constant is checked at once. */
export function withOption<T extends string>(
  index: number,
  words: readonly T[],
  call: (args: ValueList, word: T | undefined) => Value,
): KeyFunction['prepare'] {
  return (constants) => {
    if (constants[index] !== undefined)
      option(
        constants.map((value) => value ?? null),
        index,
        words,
      );
    return (args) => call(args, args.length > index ? option(args, index, words) : undefined);
  };
}
