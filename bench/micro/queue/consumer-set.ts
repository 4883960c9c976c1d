/**
 * Dispatch: choosing a consumer for the next message, by strategy and number of consumers. Bench process.
 *
 * Always true: half of every window is in flight and the oldest message is acked for each new one, so that nobody is
 * idle and `least_inflight` has to look; `slow` means that one consumer in ten acks nothing and its window is full.
 * Every choice has credit, and the strategies that promise an even split keep it.
 */
import { ConsumerSet, QueueConsumer } from '../../../src/queue/consumer-set.js';
import type { DispatchStrategy } from '../../../src/queue/definition.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const window = 10;
const operations = 1000;
const strategies: readonly DispatchStrategy[] = ['random', 'round_robin', 'least_inflight'];

/** A cheap generator with a fixed seed (xorshift32), so that runs compare. */
function seededRandom(): () => number {
  let state = 0x2545_f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}

function task(strategy: DispatchStrategy, size: number, hasSlow: boolean): Task {
  const name = `${strategy}, ${size} consumers${hasSlow ? ', one in ten slow' : ''}`;
  const counts = new Int32Array(new SharedArrayBuffer(size * 4));
  const set = new ConsumerSet(counts, seededRandom());
  const chosen = new Float64Array(size);
  const consumers = Array.from(
    { length: size },
    (_, slot) => new QueueConsumer(slot, Buffer.from(`consumer-${slot}`), window, false),
  );
  for (const consumer of consumers) set.add(consumer);
  set.setWindow(window);
  const isSlow = (slot: number): boolean => hasSlow && slot % 10 === 0;
  /** Slots in the order in which they will ack. */
  const outstanding: number[] = [];
  let oldest = 0;
  for (let slot = 0; slot < size; slot++) counts[slot] = isSlow(slot) ? window : 0;
  for (let round = 0; round < window / 2; round++) {
    for (let slot = 0; slot < size; slot++) {
      if (isSlow(slot)) continue;
      outstanding.push(slot);
      counts[slot] = (counts[slot] as number) + 1;
    }
  }
  return {
    name,
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const consumer = set.pick(strategy, -1, undefined);
        if (consumer === null) throw new Error(`${name}: nobody has credit`);
        set.assigned(consumer);
        const { slot } = consumer;
        chosen[slot] = (chosen[slot] as number) + 1;
        const acking = outstanding[oldest] as number;
        counts[acking] = (counts[acking] as number) - 1;
        set.answered(consumers[acking] as QueueConsumer);
        outstanding[oldest] = slot;
        oldest = oldest + 1 === outstanding.length ? 0 : oldest + 1;
      }
      let full = 0;
      let fewest = Number.POSITIVE_INFINITY;
      let most = 0;
      for (let slot = 0; slot < size; slot++) {
        if ((counts[slot] as number) > window) full++;
        if (isSlow(slot)) continue;
        fewest = Math.min(fewest, chosen[slot] as number);
        most = Math.max(most, chosen[slot] as number);
      }
      same(`${name}: windows exceeded`, full, 0);
      if (strategy !== 'random') same(`${name}: an even split`, most - fewest <= 1, true);
    },
  };
}

/** Operations are choices. */
export function benchConsumerSet(scale: number): Figure[] {
  const sizes = scale < 10 ? [2, 10] : [2, 10, 100, 1000, 10_000];
  return measure(
    scale,
    sizes.flatMap((consumers) =>
      strategies.flatMap((strategy) =>
        consumers < 10
          ? [task(strategy, consumers, false)]
          : [task(strategy, consumers, false), task(strategy, consumers, true)],
      ),
    ),
  );
}
