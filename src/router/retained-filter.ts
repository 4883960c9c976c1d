/**
 * A topic filter that jumps: for a topic in the order of retained-order.ts it says "match", or the first topic from
 * which on there may be one. Main thread.
 *
 * `a/+/c` on the topic `a/b/x/y` says "behind everything below a/b": a filter costs as many looks as there are branches
 * that it enters, not as many as there are topics. Always true: nothing that matches lies between the topic and the jump;
 * a wildcard in the first level does not match a topic that begins with `$` [MQTT-4.7.2-1].
 */
import { topicBytesMax } from '../mqtt/topic.js';

/** What `look` found. */
export const Look = {
  /** The topic matches. */
  match: 0,
  /** It does not, and the next one may. */
  step: 1,
  /** Nothing matches before `jump[0, jumpEnd)`. */
  jump: 2,
  /** Nothing matches from here on. */
  end: 3,
} as const;

const slash = 0x2f;
const dollar = 0x24;
const plus = Buffer.from('+');
const hash = Buffer.from('#');
/** Not in any filter's place and before everything but the slash: `a` and this is behind all of `a/…`. */
const behindSlash = 1;

/** See the file header. */
export class RetainedFilter {
  /** The place to go on, after `Look.jump`; at the start the first place to look at. */
  jump: Buffer;
  jumpEnd: number;
  readonly #levels: Buffer[];
  readonly #startsWild: boolean;

  /** `filter` is a valid filter without `$share` and the like. */
  constructor(filter: string) {
    this.#levels = filter
      .split('/')
      .map((level) => (level === '+' ? plus : level === '#' ? hash : Buffer.from(level)));
    const first = this.#levels[0]!;
    this.#startsWild = first === plus || first === hash;
    const wild = this.#levels.findIndex((level) => level === plus || level === hash);
    const literal = filter.split('/').slice(0, wild < 0 ? undefined : wild);
    this.jump = Buffer.from(literal.join('/'));
    this.jumpEnd = this.jump.length;
  }

  /** Looks at the topic `topic[start, end)`. */
  look(topic: Buffer, start: number, end: number): number {
    if (this.#startsWild && topic[start] === dollar) return this.#jumpBehind(topic, start, start, dollar + 1);
    const levels = this.#levels;
    const last = levels.length - 1;
    let at = start;
    let plusEnd = -1;
    for (let i = 0; ; i++) {
      const level = levels[i]!;
      if (level === hash) return Look.match;
      let levelEnd = at;
      if (level === plus) {
        while (levelEnd < end && topic[levelEnd] !== slash) levelEnd++;
        plusEnd = levelEnd;
      } else {
        let same = 0;
        while (same < level.length && levelEnd < end && topic[levelEnd] === level[same]) {
          same++;
          levelEnd++;
        }
        const byte = levelEnd < end ? topic[levelEnd]! : slash;
        if (same < level.length) {
          // A level that ends here, or has a smaller byte, comes before the one that is asked for.
          if (byte === slash || byte < level[same]!) return this.#jumpTo(topic, start, at, level);
          return this.#leavePlus(topic, start, plusEnd);
        }
        if (byte !== slash) return this.#leavePlus(topic, start, plusEnd);
      }
      if (levelEnd === end) {
        if (i === last || levels[i + 1] === hash) return Look.match;
        return Look.step;
      }
      if (i === last) return this.#leavePlus(topic, start, plusEnd);
      at = levelEnd + 1;
    }
  }

  /** The branch of the last `+` has no more matches. */
  #leavePlus(topic: Buffer, start: number, plusEnd: number): number {
    return plusEnd < 0 ? Look.end : this.#jumpBehind(topic, start, plusEnd, behindSlash);
  }

  #jumpBehind(topic: Buffer, start: number, end: number, byte: number): number {
    const length = end - start;
    this.#reserve(length + 1);
    topic.copy(this.jump, 0, start, end);
    this.jump[length] = byte;
    this.jumpEnd = length + 1;
    return Look.jump;
  }

  #jumpTo(topic: Buffer, start: number, end: number, level: Buffer): number {
    const length = end - start;
    this.#reserve(length + level.length);
    topic.copy(this.jump, 0, start, end);
    level.copy(this.jump, length);
    this.jumpEnd = length + level.length;
    return Look.jump;
  }

  #reserve(bytes: number): void {
    if (this.jump.length >= bytes) return;
    this.jump = Buffer.allocUnsafeSlow(Math.min(bytes * 2, 2 * topicBytesMax));
  }
}
