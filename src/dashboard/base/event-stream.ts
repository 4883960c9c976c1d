/**
 * One long answer of server-sent events, read with `fetch` because `EventSource` cannot carry a bearer token. In the browser.
 *
 * Always true: while it is open there is one request or a timer for the next; the pause after a failure grows from 1 s to
 * 30 s, with chance so that many browsers do not come back at once, and starts again after an event. A stream that says
 * nothing for 15 s, from the request on, counts as lost. An event that is too long ends it: memory stays bounded.
 */
import { apiUrl, authorization, failure, type Query } from './api.js';
import { EventParser } from './event-parser.js';
import { session } from './session.js';

/** How a stream is doing. */
export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';

/** What a stream tells. */
export interface StreamListener {
  event(name: string, data: unknown): void;
  state(state: StreamState): void;
}

const pauseMinMs = 1000;
const pauseMaxMs = 30_000;
const silenceMaxMs = 15_000;

/** See the file header. `open` starts, `close` ends for good or until the next `open`. */
export class EventStream {
  readonly #listener: StreamListener;
  #abort: AbortController | undefined;
  #timer: number | undefined;
  #pauseMs = pauseMinMs;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  /** Opens the stream at `path`, in place of the one that may be open. */
  open(path: string, query: Query = {}): void {
    this.#stop();
    this.#pauseMs = pauseMinMs;
    void this.#connect(path, query);
  }

  close(): void {
    this.#stop();
    this.#listener.state('closed');
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
  }

  async #connect(path: string, query: Query): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#listener.state('connecting');
    let wasGood = false;
    try {
      wasGood = await this.#read(path, query, abort);
    } catch {
      // Whatever it was, the answer is to try again.
    }
    if (this.#abort !== abort) return;
    abort.abort();
    if (wasGood) {
      void this.#connect(path, query);
      return;
    }
    this.#listener.state('waiting');
    const pauseMs = this.#pauseMs * (0.5 + Math.random());
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMaxMs);
    this.#timer = window.setTimeout(() => void this.#connect(path, query), pauseMs);
  }

  /** True for a stream that told something and was then ended by the broker, as it does from time to time. */
  async #read(path: string, query: Query, abort: AbortController): Promise<boolean> {
    let silence = 0;
    const listen = () => {
      clearTimeout(silence);
      silence = window.setTimeout(() => abort.abort(), silenceMaxMs);
    };
    listen();
    try {
      return await this.#follow(path, query, abort, listen);
    } finally {
      clearTimeout(silence);
    }
  }

  /** `heard` is called whenever the broker has said something. */
  async #follow(path: string, query: Query, abort: AbortController, heard: () => void): Promise<boolean> {
    const sent = session.value?.token;
    const response = await fetch(apiUrl(path, query), {
      headers: { ...authorization(), accept: 'text/event-stream' },
      credentials: 'omit',
      cache: 'no-store',
      signal: abort.signal,
    });
    if (!response.ok || response.body === null) throw failure(response, await response.text(), sent);
    heard();
    this.#listener.state('open');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    let wasGood = false;
    for (;;) {
      const { done, value } = await reader.read();
      heard();
      if (done) return wasGood;
      for (const { name, data } of parser.push(value)) {
        wasGood = true;
        this.#pauseMs = pauseMinMs;
        this.#listener.event(name, JSON.parse(data));
      }
    }
  }
}
