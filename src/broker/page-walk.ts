/**
 * Pages of what is too much to look at in one go: clients, subscriptions, retained messages. Main thread.
 *
 * Always true: a walk looks for about two milliseconds and then waits its turn, and one turn of the event loop has one
 * such slice, however many walks there are; what comes or goes meanwhile is on a page or not. A walk that knows the
 * total from elsewhere ends with its page. Gives up: a snapshot of one moment.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Which page is wanted. */
export interface PageRequest {
  /** From 1. */
  readonly page: number;
  readonly limit: number;
}

/** One page. */
export interface Page<T> {
  readonly data: readonly T[];
  /** Of all pages. */
  readonly count: number;
  readonly hasNext: boolean;
}

/** What is walked over, and how. */
export interface WalkOptions<E, T> {
  readonly entries: Iterable<E | undefined>;
  /** Left out: all. An entry that is undefined costs a look and is passed over. */
  readonly wants?: (entry: E) => boolean;
  /** Called for what is on the page. */
  readonly view: (entry: E) => T;
  /** How many are wanted in total, when that is known. */
  readonly total?: number | undefined;
}

const sliceMs = 2;
/** The clock is read after so many looks. */
const clockEvery = 64;

/** See the file header. One for all walks of a broker. */
export class PageWalks {
  readonly #nowMs: () => number;
  #last: Promise<unknown> = Promise.resolve();

  /** `nowMs` is any clock that does not go back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Walks until the page is full, and on to the end when nobody knows the total. */
  async page<E, T>(request: PageRequest, options: WalkOptions<E, T>): Promise<Page<T>> {
    const { wants, view, total } = options;
    const first = (request.page - 1) * request.limit;
    const end = first + request.limit;
    const data: T[] = [];
    let found = 0;
    await this.slices(options.entries, (entry) => {
      if (entry === undefined || wants?.(entry) === false) return true;
      if (found >= first && found < end) data.push(view(entry));
      found++;
      // One more than the page has shows that there is a next one.
      return total === undefined || found <= end;
    });
    return { data, count: Math.max(total ?? found, found), hasNext: found > end };
  }

  /** Calls `each` for all entries, in slices, until it says false. */
  async slices<E>(entries: Iterable<E>, each: (entry: E) => boolean): Promise<void> {
    const iterator = entries[Symbol.iterator]();
    for (;;) {
      await this.#turn();
      const endMs = this.#nowMs() + sliceMs;
      for (let looks = 1; ; looks++) {
        const next = iterator.next();
        if (next.done === true) return;
        if (!each(next.value)) {
          iterator.return?.();
          return;
        }
        if (looks % clockEvery === 0 && this.#nowMs() >= endMs) break;
      }
    }
  }

  /** Resolves in a turn of the event loop of its own. */
  #turn(): Promise<unknown> {
    const turn = this.#last.then(() => nextTurn());
    this.#last = turn;
    return turn;
  }
}
