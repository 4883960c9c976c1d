import { expect, test } from 'vitest';
import { assert } from '../../src/base/error.js';
import { BLOCK_HEADER_BYTES, RECORD_HEADER_BYTES, decodeSummary } from '../../src/log/record-format.js';
import { evictOverflow } from '../../src/queue/eviction.js';
import type { QueueConsumer } from '../../src/queue/consumer-set.js';
import type { DispatchStrategy, QueueDefinition } from '../../src/queue/definition.js';
import { expireUnread, type ExpiryWalk } from '../../src/queue/expiry.js';
import type { Queue } from '../../src/queue/queue.js';
import { Random, testSeed } from '../mqtt/random.js';
import { FakeHost, type FakeDelivery, type TestMessage } from './fake-host.js';

/** One message in the naive model. Offsets are its place in order of arrival. */
interface ModelMessage {
  readonly id: number;
  readonly bytes: number;
  readonly key: string;
  readonly expiresMs: number;
  readonly from: string;
  isCommitted: boolean;
  /** Slot of the consumer that has it, -1 = nobody. */
  holder: number;
  tag: number;
  attempts: number;
  wasDelivered: boolean;
  /** Overwritten while a consumer has it: it ends when that one answers. */
  isSuperseded: boolean;
  /** `over`: settled, and whether the log knows. */
  state: 'live' | 'over' | 'forgotten';
}

interface Scenario {
  readonly name: string;
  readonly isLastvalue: boolean;
  readonly strategy: DispatchStrategy;
  readonly withExpiry: boolean;
  readonly withLimits: boolean;
  readonly withNoLocal: boolean;
  readonly pages: number;
  readonly payloadBytesMax: number;
  readonly steps: number;
}

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'käse', ''];
const CLIENTS = ['alice', 'bob', 'carol'];

/** Drives a queue and a naive model side by side and compares them. */
class Run {
  readonly random: Random;
  readonly scenario: Scenario;
  host: FakeHost;
  queue: Queue;
  definition: Partial<QueueDefinition>;
  nowMs = 1_000_000;
  /** By id; ids ascend in order of arrival. */
  messages = new Map<number, ModelMessage>();
  consumers: QueueConsumer[] = [];
  nextId = 1;
  lastFirstDelivery = 0;
  uncommitted = false;
  expired = 0;
  evicted = 0;
  overwritten = 0;
  deliveries = 0;
  restarts = 0;
  walk: ExpiryWalk | null = null;
  readonly label: () => string;

  constructor(scenario: Scenario, seed: number, step: () => number) {
    this.scenario = scenario;
    this.random = new Random(seed);
    this.label = () => `${scenario.name}: seed ${seed}, step ${step()}`;
    this.definition = {
      isLastvalue: scenario.isLastvalue,
      dispatchStrategy: scenario.strategy,
      localMaxInflight: 5,
      fastMaxInflight: 9,
      ...(scenario.withLimits ? { messagesMax: 60 } : {}),
    };
    this.host = this.newHost(undefined);
    this.queue = this.host.queue(this.definition);
  }

  newHost(old: FakeHost | undefined): FakeHost {
    const { pages } = this.scenario;
    const host = new FakeHost({
      pages,
      random: () => this.random.next(),
      ringDeliveriesMax: 40,
      ...(old === undefined ? {} : { log: old.log }),
    });
    host.onDeliver = (delivery) => this.onDeliver(delivery);
    return host;
  }

  get live(): ModelMessage[] {
    return [...this.messages.values()].filter(({ state }) => state === 'live');
  }

  onDeliver({ id, consumerSlot, tag, attempt, expiryInterval, bytes }: FakeDelivery): void {
    const message = this.messages.get(id);
    const where = `${this.label()}: message ${id}`;
    if (message === undefined) throw new Error(`${where} was never published`);
    if (message.state !== 'live') throw new Error(`${where} is over and was delivered`);
    if (!message.isCommitted) throw new Error(`${where} was delivered before its commit`);
    if (message.holder !== -1) throw new Error(`${where} went to two consumers`);
    if (message.isSuperseded) throw new Error(`${where} is overwritten and was delivered`);
    if (message.expiresMs <= this.nowMs) throw new Error(`${where} has expired and was delivered`);
    if (bytes.length !== message.bytes) throw new Error(`${where} has another length`);
    const consumer = this.consumers.find(({ slot }) => slot === consumerSlot);
    if (consumer === undefined) throw new Error(`${where} went to a consumer that has left`);
    // The count was raised before the delivery.
    const held = this.host.inFlightCounts[consumerSlot] as number;
    if (held > consumer.window) throw new Error(`${where}: over the window, ${held} of ${consumer.window}`);
    if (consumer.noLocal && consumer.clientId.toString() === message.from)
      throw new Error(`${where} went to its own publisher under No Local`);
    message.attempts++;
    if (attempt !== message.attempts)
      throw new Error(`${where}: attempt ${attempt}, not ${message.attempts}`);
    const isFirst = !message.wasDelivered;
    message.wasDelivered = true;
    if (isFirst && !this.scenario.withNoLocal) {
      if (id < this.lastFirstDelivery) throw new Error(`${where} came after ${this.lastFirstDelivery}`);
      this.lastFirstDelivery = id;
    }
    const remaining =
      message.expiresMs === Number.POSITIVE_INFINITY ? 0 : Math.ceil((message.expiresMs - this.nowMs) / 1000);
    if (expiryInterval !== remaining)
      throw new Error(`${where}: expires in ${expiryInterval}, not ${remaining} s`);
    message.holder = consumerSlot;
    message.tag = tag;
    this.deliveries++;
  }

  over(message: ModelMessage): void {
    message.state = 'over';
    message.holder = -1;
  }

  publish(): void {
    const { random, scenario } = this;
    const count = 1 + random.below(scenario.isLastvalue ? 6 : 30);
    const batch: (TestMessage & { key: string })[] = [];
    for (let i = 0; i < count; i++) {
      const id = this.nextId++;
      const expiryS = scenario.withExpiry && random.chance(0.5) ? 1 + random.below(20) : 0;
      const key = scenario.isLastvalue ? random.pick(KEYS) : '';
      const from = random.pick(CLIENTS);
      const payloadBytes = random.chance(0.02) ? scenario.payloadBytesMax : 4 + random.below(3000);
      batch.push({ id, key, from, payloadBytes, expiryS, publishedMs: this.nowMs });
      const expiresMs = expiryS === 0 ? Number.POSITIVE_INFINITY : this.nowMs + expiryS * 1000;
      const bytes = (40 + 4 + Math.max(4, payloadBytes) + from.length + Buffer.byteLength(key) + 7) & ~7;
      if (scenario.isLastvalue) this.overwrite(key);
      this.messages.set(id, {
        id,
        bytes,
        key,
        expiresMs,
        from,
        isCommitted: false,
        holder: -1,
        tag: 0,
        attempts: 0,
        wasDelivered: false,
        isSuperseded: false,
        state: 'live',
      });
    }
    if (scenario.isLastvalue) for (const message of batch) this.host.appendKeyed(this.queue, message);
    else this.host.append(this.queue, batch, 1 + random.below(20));
    this.uncommitted = true;
    if (random.chance(0.1)) return this.crash();
    if (random.chance(0.3)) this.queue.flushAcks(this.host.batch);
    this.host.write();
    this.noteFlushed();
    // With fsync the commit comes later; several may be open.
    if (random.chance(0.7)) this.commit();
  }

  overwrite(key: string): void {
    for (const message of this.messages.values()) {
      if (message.key !== key) continue;
      if (message.state === 'live' && !message.isSuperseded) {
        if (message.holder === -1) this.over(message);
        else message.isSuperseded = true;
      }
    }
  }

  /** After a write: which settled messages the log has forgotten too is the log's to say (see `restart`). */
  noteFlushed(): void {
    if (this.queue.hasUnwrittenAcks) return;
    for (const message of this.messages.values()) if (message.state === 'over') message.state = 'forgotten';
  }

  commit(): void {
    this.queue.commit(this.queue.nextOffset);
    for (const message of this.messages.values()) message.isCommitted = true;
    this.uncommitted = false;
    if (this.scenario.withLimits) this.evict();
  }

  evict(): void {
    const limit = this.definition.messagesMax ?? Number.POSITIVE_INFINITY;
    const before = this.queue.counters.evicted;
    evictOverflow(this.queue, 16, Number.POSITIVE_INFINITY);
    let evicted = this.queue.counters.evicted - before;
    this.evicted += evicted;
    const hadMessages = this.live.length;
    for (const message of this.live) {
      if (evicted === 0) break;
      // Returned messages come before the cursor, and within each group the oldest goes first.
      if (message.holder !== -1 || !message.isCommitted) continue;
      if (message.wasDelivered || this.live.every((other) => other.holder !== -1 || !other.wasDelivered)) {
        this.over(message);
        evicted--;
      }
    }
    assert(evicted === 0, `${this.label()}: more was evicted than nobody had`);
    const left = this.live.filter(({ holder, isCommitted }) => holder === -1 && isCommitted).length;
    if (this.live.length > limit && left > 0 && this.queue.backlog.seek() !== 'memory-full')
      throw new Error(`${this.label()}: over its limit, ${hadMessages}`);
  }

  /** A crash: what is in memory is gone, what was not written is gone. */
  crash(): void {
    this.restarts++;
    this.host.batch.clear();
    const stored = new Set(this.storedIds());
    for (const message of this.messages.values()) {
      if (message.state === 'live' && !stored.has(message.id)) {
        // Only what was never written may be missing, and what was overwritten in a consumer's hands.
        if (message.isCommitted && !message.isSuperseded && message.expiresMs > this.nowMs) {
          throw new Error(`${this.label()}: message ${message.id} is lost`);
        }
        message.state = 'forgotten';
      } else if (stored.has(message.id)) {
        if (message.state === 'forgotten')
          throw new Error(`${this.label()}: message ${message.id} came back`);
        message.state = 'live';
      }
      message.holder = -1;
      message.attempts = 0;
      message.wasDelivered = false;
      message.isCommitted = true;
      message.isSuperseded = false;
    }
    this.host = this.newHost(this.host);
    this.queue = this.host.queue(this.definition);
    this.consumers = [];
    this.lastFirstDelivery = 0;
    this.uncommitted = false;
    this.walk = null;
  }

  /** Ids of all live records of the log, read naively. */
  storedIds(): number[] {
    const ids: number[] = [];
    for (const { firstOffset, value } of this.host.log.readSummaries(1, 0, Number.MAX_SAFE_INTEGER)) {
      const { recordCount, ackBits } = decodeSummary(value);
      const block = Buffer.from(
        this.host.log.readBlock(1, firstOffset) ?? expect.fail('a summary without its block'),
      );
      let at = BLOCK_HEADER_BYTES;
      for (let index = 0; index < recordCount; index++) {
        const isDone = (((ackBits?.[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1;
        if (!isDone) ids.push(block.readUInt32LE(at + RECORD_HEADER_BYTES + block.readUInt16LE(at + 6)));
        at += block.readUInt32LE(at);
      }
    }
    return ids;
  }

  answer(): void {
    const held = this.live.filter(({ holder }) => holder !== -1);
    if (held.length === 0) return;
    const message = this.random.pick(held);
    const consumer = this.consumers.find(({ slot }) => slot === message.holder) as QueueConsumer;
    // Which of the refused ones is evicted first is not said, so with limits nobody refuses.
    const kinds = ['ack', 'ack', 'ack', 'release', this.scenario.withLimits ? 'ack' : 'reject'] as const;
    const kind = this.random.pick(kinds);
    const tag = message.tag;
    expect(this.host.answer(this.queue, consumer, tag, kind, this.nowMs), this.label()).toBe(true);
    message.holder = -1;
    if (kind === 'ack' || message.isSuperseded) this.over(message);
    if (kind === 'release') message.attempts--;
    expect(this.host.inFlight.find(tag), `${this.label()}: a tag is void once it is answered`).toBe(-1);
  }

  detach(): void {
    if (this.consumers.length === 0) return;
    const [consumer] = this.consumers.splice(this.random.below(this.consumers.length), 1);
    this.queue.detach(consumer as QueueConsumer);
    for (const message of this.live) {
      if (message.holder !== consumer?.slot) continue;
      message.holder = -1;
      if (message.isSuperseded) this.over(message);
    }
  }

  attach(): void {
    if (this.consumers.length >= 4) return;
    const noLocal = this.scenario.withNoLocal && this.random.chance(0.5);
    const window = 1 + this.random.below(12);
    this.consumers.push(this.host.attach(this.queue, window, this.random.pick(CLIENTS), noLocal));
  }

  dispatch(): void {
    this.queue.dispatch(this.nowMs, 1 + this.random.below(50));
    this.noteExpired();
    if (this.random.chance(0.8)) this.host.read();
  }

  /** What the queue counted as expired must have been over its time; which ones, only their number tells. */
  noteExpired(): void {
    if (!this.scenario.withExpiry) return;
    this.expired += this.queue.counters.expired;
    this.queue.counters.expired = 0;
  }

  purge(): void {
    const count = this.queue.purge();
    expect(count, this.label()).toBeGreaterThanOrEqual(0);
    for (const message of this.messages.values()) {
      message.state = 'forgotten';
      message.isCommitted = true;
    }
    // What clients still hold stays in their windows until they answer; here they leave.
    this.host.batch.dropQueue(this.queue.id);
    this.host.batch.putQueue(this.queue.id, Buffer.from('{}'));
    this.host.write();
    while (this.consumers.length > 0) this.detach();
  }

  change(): void {
    this.definition = {
      ...this.definition,
      ...this.anyWindows(),
      streamMaxBufferSize: this.random.chance(0.2) ? 3 : 2000,
      paused: this.random.chance(0.1),
      dispatchStrategy: this.random.pick(['random', 'round_robin', 'least_inflight'] as const),
      ...(this.scenario.withLimits ? { messagesMax: 1 + this.random.below(80) } : {}),
    };
    this.queue.update({ ...this.queue.definition, ...this.definition });
  }

  /** One window, or one for all and a wider one for whoever earns it. */
  anyWindows(): Pick<QueueDefinition, 'localMaxInflight' | 'fastMaxInflight'> {
    const localMaxInflight = 1 + this.random.below(8);
    return { localMaxInflight, fastMaxInflight: localMaxInflight + this.random.below(3) * 4 };
  }

  sweep(): void {
    if (this.consumers.length > 0 && this.random.chance(0.5)) {
      this.queue.consumers.earn(this.random.pick(this.consumers), this.random.below(15));
    }
    this.queue.endLapsedWindows(this.nowMs);
    this.walk = expireUnread(this.queue, this.host, this.host.batch, this.nowMs, this.walk);
    this.host.write();
    this.noteExpired();
  }

  step(): void {
    const { random } = this;
    this.nowMs += random.below(this.scenario.withExpiry ? 400 : 60);
    const dice = random.below(100);
    if (dice < 22) this.publish();
    else if (dice < 55) this.dispatch();
    else if (dice < 82) for (let i = 0; i < 8; i++) this.answer();
    else if (dice < 87) this.attach();
    else if (dice < 89) this.detach();
    else if (dice < 94) {
      this.queue.flushAcks(this.host.batch);
      this.host.write();
      this.noteFlushed();
    } else if (dice < 95) this.change();
    else if (dice < 97) this.sweep();
    else if (dice === 97) this.host.reclaimMemory();
    else if (dice === 98 && random.chance(0.2)) this.purge();
    else if (dice === 99 && random.chance(0.3)) this.crash();
    if (this.uncommitted && random.chance(0.3)) this.commit();
    this.check();
  }

  check(): void {
    const { queue } = this;
    const where = this.label();
    const { live } = this;
    const held = live.filter(({ holder }) => holder !== -1);
    assert(
      queue.inFlightCount === held.length,
      `${where}: in flight ${queue.inFlightCount}, not ${held.length}`,
    );
    const heldBytes = held.reduce((sum, { bytes }) => sum + bytes, 0);
    assert(
      queue.inFlightBytes === heldBytes,
      `${where}: bytes in flight ${queue.inFlightBytes}, not ${heldBytes}`,
    );
    const bytes = live.reduce((sum, message) => sum + message.bytes, 0);
    const { liveCount, liveBytes } = queue.ledger;
    if (!this.scenario.withExpiry) {
      assert(liveCount === live.length, `${where}: ${liveCount} messages, not ${live.length}`);
      assert(liveBytes === bytes, `${where}: ${liveBytes} bytes, not ${bytes}`);
    } else {
      const alive = live.filter(({ expiresMs, holder }) => holder !== -1 || expiresMs > this.nowMs).length;
      assert(
        liveCount <= live.length && liveCount >= alive,
        `${where}: ${liveCount} of ${alive} to ${live.length}`,
      );
    }
    for (const consumer of this.consumers) {
      const mine = held.filter(({ holder }) => holder === consumer.slot).length;
      const count = this.host.inFlightCounts[consumer.slot];
      assert(count === mine, `${where}: counter of a consumer ${count}, not ${mine}`);
    }
  }

  /** At the end everything that is left comes out, once, and nothing else. */
  drain(): void {
    if (this.uncommitted) this.commit();
    while (this.consumers.length > 0) this.detach();
    // What was on its way to those who have left.
    this.host.read();
    this.queue.update({
      ...this.queue.definition,
      paused: false,
      localMaxInflight: 100,
      streamMaxBufferSize: 2000,
    });
    const consumer = this.host.attach(this.queue, 100, 'drain');
    this.consumers.push(consumer);
    const left = this.live.filter(({ expiresMs }) => expiresMs > this.nowMs).map(({ id }) => id);
    const seen: number[] = [];
    for (let turn = 0; ; turn++) {
      const end = this.queue.dispatch(this.nowMs, 1000);
      const read = this.host.read();
      assert(
        read.length > 0 || end !== 'memory-full' || turn === 0,
        `${this.label()}: stuck for want of memory`,
      );
      for (const { id, tag } of read) {
        seen.push(id);
        this.host.answer(this.queue, consumer, tag, 'ack', this.nowMs);
        this.over(this.messages.get(id) as ModelMessage);
      }
      // What was acked keeps its memory until the log knows.
      if (end === 'memory-full') this.host.flush(this.queue);
      if (end === 'caught-up' && this.host.ring.length === 0) break;
      assert(turn < 10_000, `${this.label()}: the queue does not drain (${end})`);
    }
    expect(
      seen.toSorted((a, b) => a - b),
      this.label(),
    ).toEqual(left);
    this.queue.flushAcks(this.host.batch);
    this.host.write();
    expect(this.queue.ledger.liveCount).toBe(0);
    expect(this.queue.ledger.liveBytes).toBe(0);
    expect(this.host.log.readSummaries(1, 0, 10), `${this.label()}: blocks stay in the log`).toEqual([]);
    expect(this.host.log.readKeys(1, undefined, 10), `${this.label()}: keys stay in the log`).toEqual([]);
    expect(this.host.inFlight.used, `${this.label()}: entries are left`).toBe(0);
    this.host.read();
    const pagesHeld = this.host.arena.pageCount - this.host.arena.freePages;
    expect(pagesHeld, `${this.label()}: block memory is left`).toBeLessThanOrEqual(1);
  }
}

const base = {
  isLastvalue: false,
  strategy: 'random' as const,
  withExpiry: false,
  withLimits: false,
  withNoLocal: false,
  pages: 3,
  payloadBytesMax: 200_000,
  steps: 900,
};

const scenarios: Scenario[] = [
  { ...base, name: 'regular, little memory' },
  { ...base, name: 'regular, much memory', pages: 64, strategy: 'least_inflight' },
  {
    ...base,
    name: 'regular, blocks over pages',
    pages: 8,
    payloadBytesMax: 700_000,
    strategy: 'round_robin',
  },
  { ...base, name: 'regular with expiry', withExpiry: true },
  { ...base, name: 'regular with limits', withLimits: true },
  { ...base, name: 'regular with No Local', withNoLocal: true },
  { ...base, name: 'last-value, little memory', isLastvalue: true },
  { ...base, name: 'last-value, much memory', isLastvalue: true, pages: 64 },
  { ...base, name: 'last-value with expiry', isLastvalue: true, withExpiry: true },
  { ...base, name: 'last-value with No Local', isLastvalue: true, withNoLocal: true, pages: 64 },
];

test.each(scenarios.map((scenario): [string, Scenario] => [scenario.name, scenario]))(
  'a %s queue does what a naive model does, whatever happens to it [broker]',
  (_name, scenario) => {
    const seed = testSeed();
    let step = 0;
    const run = new Run(scenario, seed, () => step);
    for (; step < scenario.steps; step++) run.step();
    run.drain();
    expect(run.deliveries).toBeGreaterThan(100);
    expect(run.restarts).toBeGreaterThan(1);
    if (scenario.withExpiry) expect(run.expired).toBeGreaterThan(3);
    if (scenario.withLimits) expect(run.evicted).toBeGreaterThan(0);
  },
);
