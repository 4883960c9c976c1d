/**
 * The body of an answer of `fetch`, up to a bound. Main thread.
 *
 * Always true: no more than the bound is kept, whatever the other side announces or sends; beyond it the
 * connection is given up. Gives up: bodies that are not UTF-8, whose bad bytes become U+FFFD.
 */

/** The body as text. Rejects with an `Error` when it is longer than `bytesMax`. */
export async function boundedText(response: Response, bytesMax: number): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    // Leaving the loop cancels the stream.
    if (length > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}
