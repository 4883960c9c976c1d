/**
 * Values as people read them: sizes, spans of time, and texts from elsewhere made harmless. Pure.
 *
 * Always true: what is shown holds no control character, so that a topic or a client id of a stranger cannot steer the
 * terminal; a width counts columns of a terminal, not characters. Scripts get exact numbers by `--json` instead.
 */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const wide =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;

/** `text` with every control character written as an escape. */
export function harmless(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100
      ? String.raw`\x${code.toString(16).padStart(2, '0')}`
      : String.raw`\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Columns that a terminal needs for `text`. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}|\u200D/u.test(character)) continue;
    width += wide.test(character) ? 2 : 1;
  }
  return width;
}

/** `text` cut to `columns`, with an ellipsis when something is missing. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** A span of time in its two largest units: `3d 4h`, `12m 5s`, `1.2s`, `35ms`. */
export function spanText(ms: number): string {
  if (ms < second) return `${Math.round(ms)}ms`;
  if (ms < minute) return `${(ms / second).toFixed(1)}s`;
  if (ms < hour) return `${Math.floor(ms / minute)}m ${Math.floor((ms % minute) / second)}s`;
  if (ms < day) return `${Math.floor(ms / hour)}h ${Math.floor((ms % hour) / minute)}m`;
  return `${Math.floor(ms / day)}d ${Math.floor((ms % day) / hour)}h`;
}

/** A size in binary units with one decimal: `1.5 MB`. */
export function sizeText(bytes: number): string {
  let amount = bytes;
  for (const unit of ['B', 'KB', 'MB', 'GB']) {
    if (amount < 1024) return unit === 'B' ? `${amount} B` : `${amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TB`;
}

/** A rate per second: whole when large, one decimal when small. */
export function rateText(perSecond: number): string {
  return perSecond === 0 || perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}
