/**
 * Parts of a pattern, and whether a text can match them in more than one way. Shard worker, no state.
 *
 * A backtracking engine takes exponential time when the body of a loop is ambiguous. The test here is that
 * of deterministic content models: wherever a part could both go on and stop, the next character alone must
 * decide. It errs on the safe side: some unambiguous loops are called ambiguous, never the other way
 * round. Character sets are bit masks, one bit for each of the first 256 characters and one for all others.
 * Source: Brueggemann-Klein and Wood, "One-Unambiguous Regular Languages" (1998).
 */

/** A part of a pattern: its translation, and what the check knows of it. */
export interface Part {
  /** JavaScript source. */
  readonly source: string;
  /** Characters that the part can begin with. */
  readonly first: bigint;
  /** Characters with which the part could go on although it could also stop. */
  readonly tail: bigint;
  /** Can match without consuming a character. */
  readonly isNullable: boolean;
  /** Some text is matched in more than one way. */
  readonly isAmbiguous: boolean;
  /** A quantifier may follow. */
  readonly isQuantifiable: boolean;
}

/** Bit that stands for every character past Latin-1. */
export const otherCharacters = 1n << 256n;

const everything = (1n << 257n) - 1n;

/** From this many possible rounds on, an ambiguous counted repetition is refused like an unbounded one. */
const roundsUnchecked = 4;

/** A part that consumes exactly one character out of `set`. */
export function setPart(source: string, set: bigint): Part {
  return { source, first: set, tail: 0n, isNullable: false, isAmbiguous: false, isQuantifiable: true };
}

/** An assertion: consumes nothing. */
export function zeroWidthPart(source: string): Part {
  return { source, first: 0n, tail: 0n, isNullable: true, isAmbiguous: false, isQuantifiable: false };
}

/** A reference to a group: could be anything. */
export function referencePart(source: string): Part {
  return {
    source,
    first: everything,
    tail: everything,
    isNullable: true,
    isAmbiguous: false,
    isQuantifiable: true,
  };
}

/** `parts` one after the other. */
export function joinedParts(parts: readonly Part[]): Part {
  let first = 0n;
  let tail = 0n;
  let isNullable = true;
  let isAmbiguous = false;
  let source = '';
  for (const part of parts) {
    // Where the text before can both go on and stop, the next character must decide which.
    if (part.isAmbiguous || (tail & part.first) !== 0n) isAmbiguous = true;
    if (isNullable) first |= part.first;
    tail = part.isNullable ? tail | part.tail : part.tail;
    isNullable &&= part.isNullable;
    source += part.source;
  }
  return { source, first, tail, isNullable, isAmbiguous, isQuantifiable: true };
}

/** One of `parts`. */
export function alternativeParts(parts: readonly Part[]): Part {
  let first = 0n;
  let tail = 0n;
  const isNullable = parts.some((part) => part.isNullable);
  let isAmbiguous = parts.filter((part) => part.isNullable).length > 1;
  for (const part of parts) {
    if (part.isAmbiguous || (first & part.first) !== 0n) isAmbiguous = true;
    first |= part.first;
    tail |= part.tail;
  }
  return {
    source: parts.map((part) => part.source).join('|'),
    first,
    // Where one may be nothing, each of the others could go on although the whole could stop.
    tail: isNullable ? tail | first : tail,
    isNullable,
    isAmbiguous,
    isQuantifiable: true,
  };
}

/** `part`, `min` to `max` times; undefined when that could take exponential time. `source` is the translation with the quantifier. */
export function repeatedPart(part: Part, source: string, min: number, max: number): Part | undefined {
  const isLoop = max > 1;
  const isAmbiguous = part.isAmbiguous || (isLoop && (part.isNullable || (part.tail & part.first) !== 0n));
  if (isAmbiguous && max > roundsUnchecked) return undefined;
  return {
    source,
    first: part.first,
    tail: min === max ? part.tail : part.tail | part.first,
    isNullable: part.isNullable || min === 0,
    isAmbiguous,
    isQuantifiable: false,
  };
}
