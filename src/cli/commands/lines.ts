/**
 * The lines of a stream as bytes. Runs in the process of the command.
 *
 * Always true: a line is what stands between two line feeds, byte for byte: it need not be UTF-8, and a carriage return
 * belongs to it. What follows the last line feed is a line when it is not empty. Memory is bounded by the longest line
 * that is taken; a longer one is refused before it has been read to its end.
 */
import type { Readable } from 'node:stream';

import { CommandError, exitCode } from '../io.js';

const lineFeed = 0x0a;

/** The lines of standard input; throws at one of more than `bytesMax` bytes. */
export async function* linesOf(input: Readable, bytesMax: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer): void => {
    length += part.length;
    if (length > bytesMax) {
      throw new CommandError(
        exitCode.wrongUse,
        `a line of standard input is larger than ${bytesMax / 2 ** 20} MB`,
      );
    }
    parts.push(part);
  };
  const take = (): Buffer => {
    const line = Buffer.concat(parts, length);
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    let start = 0;
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, start)) {
      add(bytes.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < bytes.length) add(bytes.subarray(start));
  }
  if (length > 0) yield take();
}
