/**
 * What a client of the page has received: the newest messages, for a list. In the browser.
 *
 * Always true: at most `keptMax` messages with at most `payloadBytesMax` each are kept, the oldest go first, so that a flood
 * costs no more memory than a trickle; the list that is shown changes at most ten times per second. All are counted. Gives
 * up the rest of a long payload; its length is told.
 */
import { signal } from '@preact/signals';
import type { IncomingPublish } from 'mqtt/dist/mqtt.esm';

/** Messages that are kept. */
export const keptMax = 500;
const payloadBytesMax = 16 * 1024;
const publishMs = 100;

/** A message as it arrived. */
export interface ReceivedMessage {
  /** Number of arrival, from 1. */
  readonly number: number;
  readonly timeMs: number;
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  /** The first part of it. */
  readonly payload: Uint8Array;
  /** Length of the whole payload. */
  readonly payloadBytes: number;
  readonly userProperties: readonly (readonly [string, string])[];
  readonly contentType: string;
}

/** See the file header. */
export class ReceivedMessages {
  /** The newest first. */
  readonly list = signal<readonly ReceivedMessage[]>([]);
  /** All since the last `clear`. */
  readonly total = signal(0);
  #kept: ReceivedMessage[] = [];
  #count = 0;
  #timer = 0;

  add(packet: IncomingPublish): void {
    this.#count += 1;
    const { topic, qos, retain, dup, payload, properties = {} } = packet;
    this.#kept.push({
      number: this.#count,
      timeMs: Date.now(),
      topic,
      qos,
      retain,
      dup,
      payload: payload.slice(0, payloadBytesMax),
      payloadBytes: payload.length,
      userProperties: pairs(properties.userProperties ?? {}),
      contentType: properties.contentType ?? '',
    });
    // Cut rarely, so that a message costs no move of all others.
    if (this.#kept.length > keptMax * 2) this.#kept.splice(0, this.#kept.length - keptMax);
    if (this.#timer === 0) this.#timer = window.setTimeout(() => this.#show(), publishMs);
  }

  clear(): void {
    this.#kept = [];
    this.#count = 0;
    this.#show();
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.list.value = this.#kept.slice(-keptMax).toReversed();
    this.total.value = this.#count;
  }
}

function pairs(properties: Readonly<Record<string, string | readonly string[]>>): [string, string][] {
  return Object.entries(properties).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
}
