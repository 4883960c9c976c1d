import { Readable } from 'node:stream';

import { expect, test } from 'vitest';

import { linesOf } from '../../src/cli/commands/lines.js';
import { CommandError } from '../../src/cli/io.js';

async function linesIn(bytes: Buffer, chunkBytes: number, bytesMax = 1000): Promise<string[]> {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
  const lines: string[] = [];
  for await (const line of linesOf(Readable.from(chunks), bytesMax)) lines.push(line.toString('latin1'));
  return lines;
}

test.each([1, 2, 3, 1000])(
  'lines are bytes between line feeds, in chunks of %i bytes [broker]',
  async (size) => {
    const bytes = Buffer.from('\xff\xfe\n\na\rb\r\n\u0085\x00\nlast', 'latin1');
    expect(await linesIn(bytes, size)).toEqual(['\xff\xfe', '', 'a\rb\r', '\u0085\x00', 'last']);
    expect(await linesIn(Buffer.from('a\n'), size)).toEqual(['a']);
    expect(await linesIn(Buffer.from(''), size)).toEqual([]);
  },
);

test('a line that is too long is refused before its end, and one that just fits is not [broker]', async () => {
  expect(await linesIn(Buffer.from('1234\n1234\n'), 3, 4)).toEqual(['1234', '1234']);
  await expect(linesIn(Buffer.from('1234\n12345'), 3, 4)).rejects.toThrow(CommandError);
  let given = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) {
        given += 1;
        yield Buffer.alloc(100, 'x');
      }
    })(),
  );
  await expect(linesOf(endless, 1000).next()).rejects.toThrow('a line of standard input is larger than');
  expect(given).toBeLessThan(200);
});
