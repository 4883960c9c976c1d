/**
 * What passes through the broker per second, from the counters of all threads. Main thread.
 *
 * Always true: a rate is the growth of a counter between two samples that lie at least half a second apart; who asks after a
 * long silence waits for a second sample instead of getting the mean of an hour. Nothing is sampled by itself.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { slot } from '../telemetry/counter-layout.js';
import type { CounterReader } from '../telemetry/counter.js';
import { catalogue } from '../telemetry/metric-catalogue.js';

/** Growth per second. */
export interface LoadRates {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly messagesDropped: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

const names = ['messagesIn', 'messagesOut', 'messagesDropped', 'bytesIn', 'bytesOut'] as const;
const sampleMsMin = 500;
/** An older sample says nothing about now. */
const sampleMsMax = 10_000;
const waitMs = 1000;
const noRates: LoadRates = { messagesIn: 0, messagesOut: 0, messagesDropped: 0, bytesIn: 0, bytesOut: 0 };

interface Sample {
  readonly atMs: number;
  readonly totals: LoadRates;
}

/** See the file header. */
export class LoadMeter {
  readonly #counters: CounterReader;
  readonly #nowMs: () => number;
  #last: Sample | undefined;
  #rates: LoadRates = noRates;
  #waiting: Promise<LoadRates> | undefined;

  /** `nowMs` is any clock that does not go back. */
  constructor(counters: CounterReader, nowMs: () => number) {
    this.#counters = counters;
    this.#nowMs = nowMs;
  }

  /** Rates since the sample before; the first call, and the first after a silence, knows none and says 0. */
  tick(): LoadRates {
    const nowMs = this.#nowMs();
    const last = this.#last;
    if (last !== undefined && nowMs - last.atMs < sampleMsMin) return this.#rates;
    const totals = this.#read();
    this.#last = { atMs: nowMs, totals };
    if (last === undefined || nowMs - last.atMs > sampleMsMax) return (this.#rates = noRates);
    const seconds = (nowMs - last.atMs) / 1000;
    const rates: Record<string, number> = {};
    for (const name of names) rates[name] = Math.max(0, (totals[name] - last.totals[name]) / seconds);
    return (this.#rates = rates as unknown as LoadRates);
  }

  /** Rates of the last seconds; waits for a second sample when there is none. */
  now(): Promise<LoadRates> {
    const last = this.#last;
    if (last !== undefined && this.#nowMs() - last.atMs <= sampleMsMax && this.#waiting === undefined) {
      return Promise.resolve(this.tick());
    }
    this.#waiting ??= this.#sampleTwice();
    return this.#waiting;
  }

  async #sampleTwice(): Promise<LoadRates> {
    this.tick();
    await pause(waitMs);
    this.#waiting = undefined;
    return this.tick();
  }

  #read(): LoadRates {
    return {
      messagesIn: this.#family('publishesReceived'),
      messagesOut: this.#family('publishesSent'),
      messagesDropped: this.#family('messagesDropped'),
      bytesIn: this.#counters.total(slot.bytesReceived),
      bytesOut: this.#counters.total(slot.bytesSent),
    };
  }

  #family(key: 'publishesReceived' | 'publishesSent' | 'messagesDropped'): number {
    let sum = 0;
    for (let i = 0; i < catalogue[key].values.length; i++) sum += this.#counters.total(slot[key] + i);
    return sum;
  }
}
