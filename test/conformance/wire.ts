/**
 * Bytes for the conformance tests: frames that a well-behaved library would not write, and what came back as
 * it was on the wire. Runs in the test process.
 */
import type { RawClient } from '../harness/raw-client.js';

/** Everything that arrives from now on, as it came. */
export function tap(client: RawClient): () => Buffer {
  const chunks: Buffer[] = [];
  client.socket.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
  return () => Buffer.concat(chunks);
}

/** Sizes of the packets in `bytes`, which must hold whole ones. */
export function packetSizes(bytes: Buffer): number[] {
  const sizes: number[] = [];
  for (let at = 0; at < bytes.length;) {
    let remaining = 0;
    let width = 0;
    let byte = 0x80;
    while (byte > 127) {
      byte = bytes[at + 1 + width] ?? 0;
      remaining |= (byte & 127) << (7 * width);
      width++;
    }
    sizes.push(1 + width + remaining);
    at += 1 + width + remaining;
  }
  return sizes;
}

/** Hex text as bytes; spaces are allowed. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');
}

/** A packet of `first` byte and `body`, with the right length. */
export function frame(first: number, ...body: (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(body.map((part) => (typeof part === 'string' ? hex(part) : part)));
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), bytes]);
}

/** A field with its two bytes of length. */
export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** CONNECT with any flags and payload. Keep Alive 0; MQTT 5 without properties. */
export function connectFrame(version: number, flags: number, ...payload: Buffer[]): Buffer {
  const head = Buffer.concat([field('MQTT'), Buffer.from([version, flags, 0, 0])]);
  return frame(0x10, head, version === 5 ? '00' : '', ...payload);
}

/** Strings that no field may hold: bytes and what is wrong with them. */
export const badStrings: readonly (readonly [string, Buffer])[] = [
  ['a lone continuation byte', Buffer.from([0x61, 0x80])],
  ['an overlong slash', Buffer.from([0xc0, 0xaf])],
  ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['a cut off character', Buffer.from([0xe2, 0x82])],
  ['a character above U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['U+0000', Buffer.from([0x61, 0x00, 0x62])],
];
