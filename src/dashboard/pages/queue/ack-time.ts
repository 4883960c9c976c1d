/**
 * How long consumers take to acknowledge, from what the broker counts. In the browser; pure.
 *
 * Always true: the mean time in flight is the mean number in flight divided by acknowledgements per second (Little's law), over
 * the readings of the last half minute; a consumer that has acknowledged nothing in that time has no time. Readings of
 * consumers that are gone are forgotten. Gives up the distribution: the metrics have histograms.
 * Source: J. D. C. Little, "A Proof for the Queuing Formula: L = λW", 1961.
 */
/** A consumer as the API lists it. */
export interface QueueConsumer {
  readonly clientid: string;
  readonly in_flight: number;
  readonly window: number;
  readonly delivered: number;
  readonly acked: number;
  readonly rejected: number;
}

/** What is known of one consumer now. */
export interface ConsumerPace {
  /** Acknowledgements per second; undefined before the second reading. */
  readonly ackRate: number | undefined;
  /** Mean time from delivery to acknowledgement, ms; undefined when it cannot be told. */
  readonly ackTimeMs: number | undefined;
}

interface Reading {
  readonly timeMs: number;
  readonly inFlight: number;
  readonly acked: number;
}

const windowMs = 30_000;

/** See the file header. One per list of consumers. */
export class AckTimes {
  readonly #readings = new Map<string, Reading[]>();

  /** Takes a reading of all consumers. */
  add(timeMs: number, consumers: readonly QueueConsumer[]): void {
    const present = new Set(consumers.map(({ clientid }) => clientid));
    for (const clientId of this.#readings.keys()) if (!present.has(clientId)) this.#readings.delete(clientId);
    for (const { clientid, in_flight, acked } of consumers) {
      const old = this.#readings.get(clientid) ?? [];
      // A consumer that came back counts from zero again.
      const usable = (old.at(-1)?.acked ?? 0) > acked ? [] : old;
      const recent = usable.filter((reading) => timeMs - reading.timeMs <= windowMs);
      this.#readings.set(clientid, [...recent, { timeMs, inFlight: in_flight, acked }]);
    }
  }

  /** The pace of a consumer. */
  of(clientId: string): ConsumerPace {
    const readings = this.#readings.get(clientId) ?? [];
    const first = readings[0];
    const last = readings.at(-1);
    if (first === undefined || last === undefined || last.timeMs <= first.timeMs) {
      return { ackRate: undefined, ackTimeMs: undefined };
    }
    const ackRate = ((last.acked - first.acked) * 1000) / (last.timeMs - first.timeMs);
    const meanInFlight = readings.reduce((sum, { inFlight }) => sum + inFlight, 0) / readings.length;
    return { ackRate, ackTimeMs: ackRate === 0 ? undefined : (meanInFlight / ackRate) * 1000 };
  }
}
