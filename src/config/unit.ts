/**
 * Durations and byte sizes as people write them. Runs on every thread; pure.
 *
 * Always true: a result is a whole, non-negative, safe number in the base unit (ms or bytes); anything else
 * throws a `UnitError` whose text can be shown to the person who wrote the value. Used for environment
 * variables and for the REST API alike, so that both accept the same texts.
 */

/** A text is not what it should be. `message` is a full sentence that repeats the offending value. */
export class UnitError extends Error {
  override readonly name = 'UnitError';
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Bytes. */
export const KB = 1024;
/** Bytes. */
export const MB = 1024 * KB;
/** Bytes. */
export const GB = 1024 * MB;

const byteUnits: Readonly<Record<string, number>> = { b: 1, kb: KB, mb: MB, gb: GB, tb: 1024 * GB };

const durationPart = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/gi;
const durationText = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/i;
const byteText = /^(\d+(?:\.\d+)?)\s*(b|[kmgt]i?b)$/i;

/** Milliseconds of a number of ms, of its digits, or of a text such as `100ms`, `10s`, `1h30m` or `7d`. Throws `UnitError`. */
export function parseDurationMs(value: string | number): number {
  const text = String(value).trim();
  if (/^\d+$/.test(text)) return whole(Number(text), value, durationHint);
  if (typeof value === 'number' || !durationText.test(text))
    throw new UnitError(`${shown(value)} ${durationHint}`);
  let ms = 0;
  for (const [, count = '', unit = ''] of text.matchAll(durationPart)) {
    ms += Number(count) * (durationUnits[unit.toLowerCase()] ?? 0);
  }
  return whole(Math.round(ms), value, durationHint);
}

/** Bytes of a number, of its digits, or of a text such as `512B`, `64KB`, `100MB` or `1GB` (units are binary: 1KB = 1024). Throws `UnitError`. */
export function parseBytes(value: string | number): number {
  const text = String(value).trim();
  if (/^\d+$/.test(text)) return whole(Number(text), value, bytesHint);
  const match = typeof value === 'string' ? byteText.exec(text) : null;
  if (match === null) throw new UnitError(`${shown(value)} ${bytesHint}`);
  const [, count = '', unit = ''] = match;
  return whole(
    Math.round(Number(count) * (byteUnits[unit.toLowerCase().replace('i', '')] ?? 0)),
    value,
    bytesHint,
  );
}

/** The shortest text with one or two units that `parseDurationMs` reads back as the same number: `5400000` is `1h30m`. */
export function formatDurationMs(ms: number): string {
  if (ms === 0) return '0ms';
  let rest = ms;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const size = durationUnits[unit] ?? 1;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** The largest binary unit that divides `bytes`: `1048576` is `1MB`, `1000` is `1000B`. */
export function formatBytes(bytes: number): string {
  for (const unit of ['tb', 'gb', 'mb', 'kb'] as const) {
    const size = byteUnits[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit.toUpperCase()}`;
  }
  return `${bytes}B`;
}

const durationHint = 'is not a duration: give whole milliseconds or a text such as 100ms, 10s, 1h30m or 7d';
const bytesHint = 'is not a size: give whole bytes or a text such as 512B, 64KB, 100MB or 1GB';

function whole(result: number, value: string | number, hint: string): number {
  if (!Number.isSafeInteger(result)) throw new UnitError(`${shown(value)} ${hint}`);
  return result;
}

function shown(value: string | number): string {
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}
