/**
 * Payloads and messages as text, JSON or hexadecimal digits. Pure.
 *
 * Always true: nothing is lost: what is not well-formed UTF-8 becomes base64 in JSON and is marked so; text that goes to a
 * terminal has its control characters escaped, and text that goes elsewhere is the bytes as they came.
 */

/** How messages are printed. */
export const formats = ['text', 'json', 'hex'] as const;
/** One of them. */
export type Format = (typeof formats)[number];

/** The payload as text, or undefined when it is not UTF-8. */
export function utf8(payload: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    return undefined;
  }
}

/** Fields of a JSON object for a payload. */
export function payloadFields(payload: Buffer): { payload: string; payload_encoding: 'text' | 'base64' } {
  const text = utf8(payload);
  return text === undefined
    ? { payload: payload.toString('base64'), payload_encoding: 'base64' }
    : { payload: text, payload_encoding: 'text' };
}

/** Control characters but tab and line end as escapes, and bytes that are no text as `\xff`: for a terminal. */
export function visible(payload: Buffer): string {
  const text = utf8(payload) ?? payload.toString('latin1');
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return String.raw`\x${code.toString(16).padStart(2, '0')}`;
  });
}
