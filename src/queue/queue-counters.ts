/**
 * Counters of one queue since its worker started, and its rates. Shard worker.
 *
 * Always true: counters only grow. Rates come from one sample of the counters per second, so that counting a message
 * stays one addition; they are means over at most the last five samples.
 */
const SAMPLES = 6;

/** Mean growth per second of a counter that is sampled about once a second. */
export class RateMeter {
  readonly #totals = new Float64Array(SAMPLES);
  readonly #timesMs = new Float64Array(SAMPLES);
  #count = 0;

  sample(total: number, nowMs: number): void {
    const at = this.#count++ % SAMPLES;
    this.#totals[at] = total;
    this.#timesMs[at] = nowMs;
  }

  get perSecond(): number {
    if (this.#count < 2) return 0;
    const newest = (this.#count - 1) % SAMPLES;
    const oldest = this.#count < SAMPLES ? 0 : this.#count % SAMPLES;
    const elapsedMs = (this.#timesMs[newest] as number) - (this.#timesMs[oldest] as number);
    if (elapsedMs <= 0) return 0;
    return (((this.#totals[newest] as number) - (this.#totals[oldest] as number)) * 1000) / elapsedMs;
  }
}

/** See the file header. */
export class QueueCounters {
  stored = 0;
  delivered = 0;
  acked = 0;
  rejected = 0;
  redelivered = 0;
  expired = 0;
  evicted = 0;
  overwritten = 0;
  refused = 0;
  keyErrors = 0;
  readonly inRate = new RateMeter();
  readonly outRate = new RateMeter();

  /** Called about once a second. */
  sample(nowMs: number): void {
    this.inRate.sample(this.stored, nowMs);
    this.outRate.sample(this.acked, nowMs);
  }
}
