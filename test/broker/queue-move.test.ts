/** A move says what it did: what was stored elsewhere and did not end where it was is named, and the hold outlives a slow disk. */
import { afterEach, expect, test, vi } from 'vitest';

import { OperatorError } from '../../src/broker/operator-error.js';
import { type MoveSource, type MoveTarget, QueueMove } from '../../src/broker/queue-move.js';
import type { PeekedMessage } from '../../src/queue/definition.js';
import { PublishStatus, type Publisher, type PublisherHandle } from '../../src/shard/link.js';
import { definitionWith } from '../queue/fake-host.js';
import { message } from './fake-shards.js';

afterEach(() => vi.useRealTimers());

const from = definitionWith({ id: 1, name: 'from' });
const to = definitionWith({ id: 2, name: 'to', topicFilter: 'to/#' });
const figures = { ready: 0 } as Awaited<ReturnType<MoveSource['queueStats']>>;

/** Messages at offsets 0 to `count - 1`. */
class Source implements MoveSource {
  messages: PeekedMessage[];
  readonly holds: number[] = [];
  /** What happens to a message that is to be ended: it is, it stays, or it has gone by itself. */
  fateOf = (_offset: number): 'ended' | 'stays' | 'gone' => 'ended';

  constructor(count: number) {
    this.messages = Array.from({ length: count }, (_, offset) => message(offset));
  }

  async queueStats() {
    return { ...figures, ready: this.messages.length };
  }

  async holdQueue(_definition: unknown, milliseconds: number): Promise<void> {
    this.holds.push(milliseconds);
  }

  async peek(_definition: unknown, after: number, countMax: number): Promise<PeekedMessage[]> {
    return this.messages.filter(({ offset }) => offset > after).slice(0, countMax);
  }

  async discard(_definition: unknown, offsets: readonly number[]): Promise<number> {
    const fates = offsets.map((offset) => this.fateOf(offset));
    this.messages = this.messages.filter(({ offset }) => {
      const fate = fates[offsets.indexOf(offset)];
      return fate === undefined || fate === 'stays';
    });
    return fates.filter((fate) => fate === 'ended').length;
  }
}

/** Stores what it is given once `settle` says so. */
class Target implements MoveTarget {
  stored = 0;
  settle = (answer: () => void): void => queueMicrotask(answer);

  shardOf(): number {
    return 0;
  }

  hasRoom(): boolean {
    return true;
  }

  whenRoom(): void {}

  readonly #publishers = new Map<PublisherHandle, Publisher>();

  openPublisher(options: Publisher): PublisherHandle {
    const handle: PublisherHandle = { close: () => undefined };
    this.#publishers.set(handle, options);
    return handle;
  }

  publish(_shardId: number, handle: PublisherHandle, token: number): void {
    this.settle(() => {
      this.stored += 1;
      this.#publishers.get(handle)?.onSettled(token, 1, PublishStatus.stored);
    });
  }
}

test('messages that could not be ended are named, and are not said to have moved [broker]', async () => {
  const source = new Source(40);
  source.fateOf = (offset) => (offset === 17 || offset === 18 ? 'stays' : 'ended');
  const error: unknown = await new QueueMove(source, new Target(), () => true)
    .run(from, to, 100)
    .catch((e: unknown) => e);
  expect(error).toBeInstanceOf(OperatorError);
  expect((error as OperatorError).message).toMatch(
    /^2 messages are in both queues now.*; 38 messages were moved$/,
  );
  expect(source.holds.at(-1)).toBe(0);
});

test('nothing is ended in the source when the target has gone meanwhile [broker]', async () => {
  const source = new Source(40);
  const target = new Target();
  const move = new QueueMove(source, target, () => target.stored < 20);
  await expect(move.run(from, to, 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(source.messages.length, 'the step before it has moved').toBe(24);
});

test('messages that were gone by themselves are not counted, and do not end the move [broker]', async () => {
  const source = new Source(40);
  source.fateOf = (offset) => (offset === 3 ? 'gone' : 'ended');
  const target = new Target();
  expect(await new QueueMove(source, target, () => true).run(from, to, 100)).toBe(39);
  expect([source.messages.length, target.stored]).toEqual([0, 40]);
});

test('the source is held for as long as the target takes to store a step [broker]', async () => {
  vi.useFakeTimers();
  const source = new Source(1);
  const target = new Target();
  target.settle = (answer) => void setTimeout(answer, 60_000);
  const moved = new QueueMove(source, target, () => true).run(from, to, 10);
  let heldUntilMs = 0;
  let seen = 0;
  for (const startMs = Date.now(); Date.now() < startMs + 59_000;) {
    await vi.advanceTimersByTimeAsync(1000);
    for (; seen < source.holds.length; seen++) heldUntilMs = Date.now() + (source.holds[seen] as number);
    expect(heldUntilMs - Date.now()).toBeGreaterThan(5000);
  }
  await vi.advanceTimersByTimeAsync(2000);
  expect(await moved).toBe(1);
  expect(source.holds.at(-1)).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
