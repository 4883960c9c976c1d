/**
 * Keeps secrets out of the log. Main thread; pure.
 *
 * Always true: the value of a field whose name speaks of a secret is hidden, however deep it lies; and in the text of the
 * line what looks like one is hidden, wherever it comes from: credentials of a URL or of an `Authorization` header, signed
 * tokens, private keys. Bytes are shown by their number only. Gives up: a secret that neither has such a name nor looks like
 * one; so no code may put one into a message. Cost: linear in the length of the line, for lines that are written only.
 */

/** Stands where a secret was. */
export const HIDDEN = '[hidden]';

const DEPTH_MAX = 8;

/** Names of fields that hold a secret; what counts, names or places one (`tokens`, `passwordFile`) holds none. */
const secretName =
  /(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|authorization|cookie|credentials?|private[-_]?key|proof)$/i;

/**
 * The same name in the text of a line, with a text, a number, a flat list or a flat object as its value. No pattern may end
 * between a backslash and what it escapes, nor within a number: the line would be no JSON any more.
 */
const secretField =
  /"([^"\\]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|authorization|cookie|credentials?|private[-_]?key|proof))":(?:"(?:[^"\\]|\\.)*"|\[(?:[^[\]{}"\\]|"(?:[^"\\]|\\.)*")*\]|\{(?:[^{}"\\]|"(?:[^"\\]|\\.)*")*\}|-?\d[\d.eE+-]*)/gi;

/**
 * What looks like a secret, with what is written instead. A word begins also behind an escape, such as that of a line break,
 * whose last character is a letter or a digit.
 */
const secretTexts: readonly (readonly [RegExp, string])[] = [
  [/(\b[a-z][a-z\d+.-]{0,20}:\/\/)[^\s/@"'\\]+@/gi, `$1${HIDDEN}@`],
  [/(?:\b|(?<=\\(?:[bfnrt]|u[\da-f]{4})))(bearer)\s+[\w+/=.~-]{6,}/gi, `$1 ${HIDDEN}`],
  [
    /(?:\b|(?<=\\(?:[bfnrt]|u[\da-f]{4})))([Bb]asic|[Dd]igest)\s+(?=[\w+/=.~-]{0,200}[A-Z\d])[\w+/=.~-]{6,}/g,
    `$1 ${HIDDEN}`,
  ],
  [/(?:\b|(?<=\\(?:[bfnrt]|u[\da-f]{4})))eyJ[\w-]{8,300}\.[\w-]{2,}\.[\w-]*/g, HIDDEN],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^"\\]|\\.)*/g, HIDDEN],
  [/([?&;](?:password|passwd|secret|token|access_token)=)[^&\s"'\\]+/gi, `$1${HIDDEN}`],
];

/** A copy of `value` without secrets. Objects of classes stay as they are; `hideInLine` sees what they print. */
export function hideInFields(value: Record<string, unknown>, depth = 0): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    shown[name] =
      secretName.test(name) && inner !== undefined && inner !== null ? HIDDEN : hide(inner, depth);
  }
  return shown;
}

/** A line of JSON without what looks like a secret. */
export function hideInLine(line: string): string {
  let shown = line.replace(secretField, `"$1":"${HIDDEN}"`);
  for (const [pattern, instead] of secretTexts) shown = shown.replace(pattern, instead);
  return shown;
}

function hide(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= DEPTH_MAX) return '[deep]';
  if (Array.isArray(value)) return value.map((inner) => hide(inner, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return hideInFields(value as Record<string, unknown>, depth + 1);
}
