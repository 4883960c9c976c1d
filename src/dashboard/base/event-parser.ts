/**
 * Takes the text of an event stream apart, in whatever pieces it arrives. In the browser; pure.
 *
 * Always true: the same events come out however the text was cut; comments and events without data are left out; no more than
 * `eventCharsMax` is kept of an event that does not end. Gives up ids and retry times, which the broker does not send.
 * Source: HTML, section 9.2.6.
 */

/** An event: `data` is the text of its data lines. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Longest event, in characters. */
export const eventCharsMax = 4 * 1024 * 1024;

/** See the file header. One per stream. */
export class EventParser {
  #rest = '';

  /** The events that are complete now. Throws `RangeError` for one that is too long. */
  push(piece: string): ServerEvent[] {
    const text = this.#rest + piece;
    // A line may end in CR LF, and the two may come apart.
    const safe = text.endsWith('\r') ? text.length - 1 : text.length;
    const blocks = text.slice(0, safe).replaceAll('\r\n', '\n').replaceAll('\r', '\n').split('\n\n');
    this.#rest = (blocks.pop() ?? '') + text.slice(safe);
    if (this.#rest.length > eventCharsMax) throw new RangeError('an event of the stream is too long');
    return blocks.flatMap((block) => parse(block));
  }
}

function parse(block: string): ServerEvent[] {
  let name = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
  }
  return data.length === 0 ? [] : [{ name, data: data.join('\n') }];
}
