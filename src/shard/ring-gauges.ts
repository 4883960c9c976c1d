/**
 * How full the two rings of a shard are. Shard worker; looked at ten times a second, shown once a second.
 *
 * Always true: a look is four atomic loads beside the ring's own work, so that no frame pays for it. Gives up: a peak
 * between two looks; a ring that fills often shows in the pauses of connections, which are counted each.
 */
import { ringFill } from '../base/ring.js';
import type { Counters } from '../telemetry/counter.js';
import { slot as metric } from '../telemetry/counter-layout.js';

const LOOKS_PER_VALUE = 10;

/** See the file header. */
export class RingGauges {
  readonly #counters: Counters;
  readonly #toShard: SharedArrayBuffer;
  readonly #fromShard: SharedArrayBuffer;
  #toShardMax = 0;
  #fromShardMax = 0;
  #looks = 0;

  constructor(counters: Counters, toShard: SharedArrayBuffer, fromShard: SharedArrayBuffer) {
    this.#counters = counters;
    this.#toShard = toShard;
    this.#fromShard = fromShard;
  }

  /** Takes one look. */
  look(): void {
    this.#toShardMax = Math.max(this.#toShardMax, ringFill(this.#toShard));
    this.#fromShardMax = Math.max(this.#fromShardMax, ringFill(this.#fromShard));
    if (++this.#looks < LOOKS_PER_VALUE) return;
    this.#looks = 0;
    this.#counters.set(metric.ringToShardFill, this.#toShardMax);
    this.#counters.set(metric.ringFromShardFill, this.#fromShardMax);
    this.#toShardMax = 0;
    this.#fromShardMax = 0;
  }
}
