/**
 * Numbers, sizes, times and rates as people read them. In the browser; pure.
 *
 * Always true: a value that is missing or not a number reads `–`, never `NaN`; the same value always has the same text, so
 * columns do not jump. Sizes count in 1024. Times of the day are the reader's own. English, as all text.
 */
const none = '–';
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const dateAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** `12,345`. */
export function count(value: number | undefined): string {
  return isNumber(value) ? whole.format(value) : none;
}

/** `12.3K`, where room is short; exact below 10,000. */
export function shortCount(value: number | undefined): string {
  if (!isNumber(value)) return none;
  return value < 10_000 ? whole.format(value) : compact.format(value);
}

/** `3.4/s`, `12,345/s`. */
export function rate(perSecond: number | undefined): string {
  if (!isNumber(perSecond)) return none;
  return `${perSecond < 10 ? tenth.format(perSecond) : whole.format(perSecond)}/s`;
}

/** `12.3 MB`. */
export function bytes(value: number | undefined): string {
  if (!isNumber(value)) return none;
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(rest) : tenth.format(rest)} ${units[unit] ?? ''}`;
}

/** `0 ms`, `3.2 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number | undefined): string {
  if (!isNumber(ms)) return none;
  if (ms < 1000) return `${ms < 10 ? tenth.format(ms) : whole.format(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${tenth.format(seconds)} s`;
  const steps = [
    [86_400, 'd', 3600, 'h'],
    [3600, 'h', 60, 'min'],
    [60, 'min', 1, 's'],
  ] as const;
  for (const [size, name, smaller, smallerName] of steps) {
    if (seconds < size) continue;
    const large = Math.floor(seconds / size);
    const small = Math.floor((seconds - large * size) / smaller);
    return small === 0 ? `${large} ${name}` : `${large} ${name} ${small} ${smallerName}`;
  }
  return none;
}

/** `84 %` of 0.84. */
export function percent(share: number | undefined): string {
  return isNumber(share) ? `${whole.format(share * 100)} %` : none;
}

/** `13:45:07`. */
export function time(ms: number | undefined): string {
  return isNumber(ms) ? clock.format(ms) : none;
}

/** `23 Nov 2026, 13:45:07`. */
export function dateTime(ms: number | undefined): string {
  return isNumber(ms) ? dateAndTime.format(ms) : none;
}

/** `1 message`, `2 messages`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${whole.format(value)} ${value === 1 ? one : many}`;
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}
