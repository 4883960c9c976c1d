/**
 * A payload as text, JSON or hex. In the browser.
 *
 * Always true: bytes that are no UTF-8 are never shown as text by themselves; JSON is indented only when it is JSON; what is cut
 * off is said. Gives up guessing further formats.
 */
import { useState } from 'preact/hooks';

import { bytes as sizeText } from '../base/format.js';
import { Button } from './button.js';

type Form = 'text' | 'json' | 'hex';

/** Shown at most; a page of text that is longer helps nobody and costs the browser seconds. */
const shownBytesMax = 16 * 1024;

/** `totalBytes` is the length of the whole when `payload` is only its beginning. */
export function PayloadView(props: { payload: Uint8Array; totalBytes?: number }) {
  const shown = props.payload.subarray(0, shownBytesMax);
  const total = props.totalBytes ?? props.payload.length;
  const text = textOf(shown, shown.length < total);
  const json = text === undefined ? undefined : jsonOf(text);
  const usual: Form = json !== undefined ? 'json' : text !== undefined ? 'text' : 'hex';
  const [chosen, setChosen] = useState<Form | undefined>(undefined);
  const forms: readonly { form: Form; title: string; content: string | undefined }[] = [
    { form: 'text', title: 'Text', content: text },
    { form: 'json', title: 'JSON', content: json },
    { form: 'hex', title: 'Hex', content: hexOf(shown) },
  ];
  const current = forms.find(({ form, content }) => form === chosen && content !== undefined)?.form ?? usual;
  return (
    <div class="payload">
      <div class="toolbar" role="group" aria-label="Show the payload as">
        {forms.map(({ form, title, content }) => (
          <Button
            key={form}
            pressed={form === current}
            isDisabled={content === undefined}
            onClick={() => setChosen(form)}
          >
            {title}
          </Button>
        ))}
        <span class="soft">{sizeText(total)}</span>
      </div>
      {total === 0 ? (
        <p class="soft">The payload is empty.</p>
      ) : (
        <pre tabIndex={0} aria-label="Payload">
          {forms.find(({ form }) => form === current)?.content}
        </pre>
      )}
      {shown.length < total ? <p class="soft">The first {sizeText(shown.length)} are shown.</p> : null}
    </div>
  );
}

/** The bytes as text; undefined when they are none. `isCut`: the last character may be incomplete. */
export function textOf(payload: Uint8Array, isCut = false): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload, { stream: isCut });
    // Control characters other than tab and line ends are a sign of binary data.
    return /[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The bytes of base64 text. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function jsonOf(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return undefined;
  }
}

/** Lines of 16 bytes with their offset, and as ASCII. */
function hexOf(payload: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < payload.length; at += 16) {
    const row = [...payload.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${ascii}`);
  }
  return lines.join('\n');
}
