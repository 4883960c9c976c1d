/**
 * All shards, as the gateway and the operators see them: starts workers, restarts dead ones, passes calls along.
 * Main thread. The workers are Piscina threads, one long task each.
 *
 * Always true: one worker per shard; a worker that dies is started again by itself, at once the first time and with
 * growing pauses when it keeps dying; the others do not notice. While anything is under way the rings are polled once
 * per event-loop turn; when nothing was found they are marked asleep and doorbells take over.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { OperationalError, assert, unpackError } from '../base/error.js';
import { createRingMemory } from '../base/ring.js';
import type { LogDriver } from '../log/log.js';
import { PAGE_BYTES } from '../queue/arena.js';
import type { ConsumerStats, PeekedMessage, QueueDefinition, QueueStats } from '../queue/definition.js';
import { Counters, MAIN_BLOCK } from '../telemetry/counter.js';
import { slot as metric } from '../telemetry/counter-layout.js';
import { Calls, type ControlCall } from './calls.js';
import type { TakenCheckpoint } from './checkpoints.js';
import { ShardClient, type ShardMemory } from './client.js';
import { existingShards, readLayout, shardDirectory, writeLayout } from './layout.js';
import type {
  Attachment,
  Consumer,
  ConsumerDirectory,
  Publisher,
  PublisherHandle,
  PublishRanges,
  RowStore,
  Shards,
  ShardState,
} from './link.js';
import { OpenPublisher } from './open-publisher.js';
import { shardOf } from './placement.js';
import {
  CONSUMER_SLOTS_MAX,
  DOORBELL,
  type ControlResult,
  type Durability,
  type ToMain,
  type WorkerData,
} from './protocol.js';
import { readFigures } from './queue-figures.js';
import type { ReshardData } from './reshard.js';
import { RowIds, unpackRows } from './rows.js';

/** Pauses before a worker is started again: the shortest, and the longest for those that came up and those that did not. */
const PAUSE_MS_MIN = 50;
const UP_PAUSE_MS_MAX = 400;
const START_PAUSE_MS_MAX = 5000;
/** A worker that lived this long is not "dying again". */
const STABLE_MS = 1000;

/** How to open the shards. */
export interface PoolOptions {
  readonly shardCount: number;
  readonly dataDir: string;
  readonly driver: LogDriver;
  readonly durability: Durability;
  readonly fsyncIntervalMs: number;
  readonly storeMemoryBytes: number;
  /** Bytes of each ring, a power of two. */
  readonly ringBytes: number;
  /** Block memory per shard. */
  readonly arenaBytes: number;
  /** Part of it that one queue's unread messages may take. */
  readonly queueCacheBytes: number;
  readonly limitShards: number;
  readonly counterMemory: SharedArrayBuffer;
  log(level: 'info' | 'warn' | 'error', message: string, detail?: Record<string, unknown>): void;
}

/** One shard's worker: its port, its open calls, its life. */
interface Shard {
  readonly id: number;
  readonly client: ShardClient;
  readonly calls: Calls;
  port: MessagePort | null;
  abort: AbortController | null;
  state: 'starting' | 'up' | 'down' | 'closed';
  restarts: number;
  startedAtMs: number;
  pauseMs: number;
  diskBytes: number;
  queues: number;
}

/** Who else knows the queues of users. */
export interface QueueMirror {
  /** Those of a shard; with the store `memory` a worker that starts again begins with them. */
  queuesOf(shardId: number): readonly QueueDefinition[];
  /** A worker has started again and has `found`; its shard is not up yet. */
  adopt(shardId: number, found: readonly QueueDefinition[]): void;
}

/** See the file header. */
export class ShardPool implements Shards, ConsumerDirectory {
  readonly shardCount: number;
  readonly #options: PoolOptions;
  readonly #piscina: Piscina<WorkerData | ReshardData, number | undefined>;
  readonly #shards: Shard[];
  readonly #counters: Counters;
  readonly #freePublishers: number[] = [];
  #publisherCount = 0;
  readonly #rowIds = new RowIds();
  #pollScheduled = false;
  #onHandedOut: (deliveries: number, isTurnOver: boolean) => void = () => {};
  #mirror: QueueMirror = { queuesOf: () => [], adopt: () => {} };
  #isPumping = false;
  #isClosing = false;
  /** Time of the current turn, ms: one clock read per turn, not per message. */
  #nowMs = Date.now();

  constructor(options: PoolOptions) {
    this.#options = options;
    this.shardCount = options.shardCount;
    this.#counters = new Counters(options.counterMemory, MAIN_BLOCK);
    this.#piscina = new Piscina({
      filename: new URL('./worker.js', import.meta.url).href,
      name: 'runShard',
      // None before its task: Node 22 dies when a thread is ended while it loads its modules, as a start that fails would do.
      minThreads: 0,
      maxThreads: options.shardCount,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A shard worker waits on its own port and rings, not on Piscina's.
      atomics: 'disabled',
      recordTiming: false,
    });
    this.#shards = Array.from({ length: options.shardCount }, (_, id) => ({
      id,
      client: new ShardClient(id, () => this.#schedulePoll(), this.#counters),
      calls: new Calls(),
      port: null,
      abort: null,
      state: 'starting',
      restarts: 0,
      startedAtMs: 0,
      pauseMs: 0,
      diskBytes: 0,
      queues: 0,
    }));
  }

  /** Re-shards if needed, starts every worker, and resolves with all queues. Rejects with the first shard's failure. */
  async start(): Promise<QueueDefinition[]> {
    if (this.#options.driver !== 'memory') await this.#placeQueues();
    // All are waited for, also when one fails: for the reason above none is ended while it starts.
    const started = await Promise.allSettled(this.#shards.map((shard) => this.#run(shard)));
    const definitions: QueueDefinition[][] = [];
    for (const outcome of started) {
      if (outcome.status === 'rejected') throw outcome.reason;
      definitions.push(outcome.value);
    }
    return definitions.flat().toSorted((a, b) => a.createdAtMs - b.createdAtMs || a.id - b.id);
  }

  async #placeQueues(): Promise<void> {
    const { dataDir, driver, shardCount } = this.#options;
    const before = readLayout(dataDir);
    if (before === shardCount) return;
    if (before !== undefined || existingShards(dataDir).length > 0) {
      const filename = new URL('./reshard.js', import.meta.url).href;
      const moved = await this.#piscina
        .run({ dataDir, driver, shardCount }, { filename, name: 'reshard' })
        .catch((error: unknown) => {
          throw unpackError(error);
        });
      this.#options.log('info', 'queues were placed anew', {
        shardsBefore: before,
        shards: shardCount,
        queuesMoved: moved,
      });
    }
    writeLayout(dataDir, shardCount);
  }

  /** Starts a shard's worker; resolves with its queues once it is ready. */
  #run(shard: Shard): Promise<QueueDefinition[]> {
    const options = this.#options;
    const memory: ShardMemory = {
      toWorker: createRingMemory(options.ringBytes),
      toMain: createRingMemory(options.ringBytes),
      arena: new SharedArrayBuffer(Math.ceil(options.arenaBytes / PAGE_BYTES) * PAGE_BYTES),
      inFlightCounts: new SharedArrayBuffer(CONSUMER_SLOTS_MAX * 4),
    };
    const { port1, port2 } = new MessageChannel();
    const abort = new AbortController();
    shard.port = port1;
    shard.abort = abort;
    shard.state = 'starting';
    shard.startedAtMs = Date.now();
    const data: WorkerData = {
      ...memory,
      shardId: shard.id,
      epoch: shard.client.nextEpoch,
      directory: shardDirectory(options.dataDir, shard.id),
      driver: options.driver,
      durability: options.durability,
      fsyncIntervalMs: options.fsyncIntervalMs,
      storeMemoryBytes: options.storeMemoryBytes,
      limitShards: options.limitShards,
      queueCacheBytes: options.queueCacheBytes,
      counters: options.counterMemory,
      port: port2,
      definitions: options.driver === 'memory' ? this.#mirror.queuesOf(shard.id) : [],
    };
    return new Promise((resolve, reject) => {
      let failure: unknown;
      port1.on('message', (message: ToMain) => {
        if (message !== DOORBELL && 'failed' in message) {
          failure = unpackError(message.failed);
          abort.abort();
        } else if (message !== DOORBELL && 'ready' in message) {
          // Before anybody is attached again: to queues that are gone nobody shall be.
          if (shard.restarts > 0) this.#mirror.adopt(shard.id, message.ready.definitions);
          shard.state = 'up';
          this.#rowIds.startAfter(message.ready.lastRowId, Date.now());
          shard.client.up(memory);
          resolve([...message.ready.definitions]);
        } else {
          this.#onMessage(shard, message);
        }
      });
      this.#piscina.run(data, { transferList: [port2], signal: abort.signal }).then(
        () => this.#onEnd(shard, undefined, reject),
        (error: unknown) => this.#onEnd(shard, failure ?? error, reject),
      );
    });
  }

  #onMessage(shard: Shard, message: ToMain): void {
    if (message === DOORBELL) {
      shard.client.onDoorbell();
      this.#poll();
    } else if ('disk' in message) {
      shard.diskBytes = message.disk;
      shard.queues = message.queues;
    } else if ('log' in message) {
      this.#options.log(message.log.level, message.log.message, { shard: shard.id, ...message.log.detail });
    } else if ('id' in message) {
      shard.calls.answered(message);
    }
  }

  /** The worker's task has ended: closed as asked, or dead. */
  #onEnd(shard: Shard, error: unknown, rejectStart: (error: unknown) => void): void {
    const wasStarting = shard.state === 'starting';
    shard.state = this.#isClosing ? 'closed' : 'down';
    shard.port?.close();
    shard.port = null;
    shard.client.down();
    // The end of the task may be heard of before the answer to `close`, which asked for it.
    const isAsAsked = error === undefined && this.#isClosing;
    shard.calls.end(
      isAsAsked ? undefined : new OperationalError('ERR_SHARD_DOWN', `shard ${shard.id} ended`, error),
    );
    if (this.#isClosing) return;
    if (wasStarting && shard.restarts === 0) {
      rejectStart(error);
      return;
    }
    this.#restart(shard, error, !wasStarting);
  }

  #restart(shard: Shard, error: unknown, wasUp: boolean): void {
    // Whoever came up and was ended later comes back at once; whoever keeps dying waits longer each time.
    const isStable = wasUp && Date.now() - shard.startedAtMs >= STABLE_MS;
    const pauseMsMax = wasUp ? UP_PAUSE_MS_MAX : START_PAUSE_MS_MAX;
    shard.pauseMs =
      isStable || shard.restarts === 0 ? 0 : Math.min(pauseMsMax, Math.max(PAUSE_MS_MIN, shard.pauseMs * 2));
    shard.restarts++;
    this.#counters.add(metric.shardRestarts, 1);
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log('error', 'a shard worker ended and is started again', {
      shard: shard.id,
      reason,
      pauseMs: shard.pauseMs,
    });
    setTimeout(() => {
      if (this.#isClosing) return;
      this.#run(shard).catch(() => {
        // #onEnd has already seen to the next attempt.
      });
    }, shard.pauseMs);
  }

  /** Ends all workers after they have written everything. */
  async close(): Promise<void> {
    this.flush();
    this.#isClosing = true;
    const ends = await Promise.allSettled(
      this.#shards.map(async (shard) => {
        if (shard.state === 'up') await this.#call(shard, { call: 'close' });
      }),
    );
    this.#poll();
    await this.#piscina.destroy();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  // ── rings ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #schedulePoll(): void {
    if (this.#pollScheduled) return;
    this.#pollScheduled = true;
    setImmediate(() => {
      this.#pollScheduled = false;
      this.#poll();
    });
  }

  /** Writes out and reads in, once for every shard. Polls again in the next turn as long as something was found. */
  #poll(): void {
    this.#nowMs = Date.now();
    this.flush();
    let frames = 0;
    let deliveries = 0;
    for (const shard of this.#shards) {
      const drained = shard.client.drain();
      frames += drained.frames;
      deliveries += drained.deliveries;
      if (drained.ring) this.#ring(shard);
    }
    if (frames > 0) this.#onHandedOut(deliveries, true);
    // What the deliveries led to (acks of QoS 0 consumers, rejects) leaves in this turn as well.
    this.flush();
    if (frames > 0) {
      this.#schedulePoll();
      return;
    }
    for (const shard of this.#shards) if (!shard.client.sleep()) this.#schedulePoll();
  }

  pump(): void {
    if (!this.#pollScheduled || this.#isPumping) return;
    this.#isPumping = true;
    this.flush();
    let deliveries = 0;
    for (const shard of this.#shards) {
      const drained = shard.client.drain();
      deliveries += drained.deliveries;
      if (drained.ring) this.#ring(shard);
    }
    if (deliveries > 0) this.#onHandedOut(deliveries, false);
    this.#isPumping = false;
  }

  flush(): void {
    for (const shard of this.#shards) if (shard.client.flush()) this.#ring(shard);
  }

  onHandedOut(listener: (deliveries: number, isTurnOver: boolean) => void): void {
    this.#onHandedOut = listener;
  }

  /** `mirror` hears of every restart. */
  mirrorIn(mirror: QueueMirror): void {
    this.#mirror = mirror;
  }

  #ring(shard: Shard): void {
    this.#counters.add(metric.doorbells, 1);
    shard.port?.postMessage(DOORBELL);
  }

  // ── Shards ─────────────────────────────────────────────────────────────────────────────────────────────────────

  shardOf(topicFilter: string): number {
    return shardOf(topicFilter, this.shardCount);
  }

  openPublisher(publisher: Publisher): PublisherHandle {
    const slot = this.#freePublishers.pop() ?? this.#publisherCount++;
    const opened = new OpenPublisher(publisher, slot, this.shardCount, (handle) => {
      for (const { client } of this.#shards) client.closePublisher(handle);
      this.#freePublishers.push(slot);
    });
    for (const { client } of this.#shards) client.expect(opened);
    return opened;
  }

  hasRoom(shardId: number, bytes: number): boolean {
    return this.#client(shardId).hasRoom(bytes);
  }

  whenRoom(shardId: number, resume: () => void): void {
    this.#client(shardId).whenRoom(resume);
  }

  publish(
    shardId: number,
    publisher: PublisherHandle,
    token: number,
    queueIds: Uint32Array,
    ranges: PublishRanges,
  ): void {
    // After idling the turn's time is old: the first write of a turn reads the clock.
    if (!this.#pollScheduled) this.#nowMs = Date.now();
    this.#client(shardId).publish(publisher as OpenPublisher, token, queueIds, ranges, this.#nowMs);
  }

  nextRowId(): number {
    return this.#rowIds.next();
  }

  putRow(
    shardId: number,
    publisher: PublisherHandle,
    token: number,
    store: RowStore,
    rowId: number,
    value: Uint8Array | undefined,
    joinsPrevious: boolean,
  ): void {
    this.#client(shardId).putRow(publisher as OpenPublisher, token, store, rowId, value, joinsPrevious);
  }

  async readRows(
    store: RowStore,
    onRow: (shardId: number, rowId: number, value: Uint8Array) => void,
  ): Promise<void> {
    for (const shard of this.#shards) {
      for (let fromRowId = 0; fromRowId >= 0;) {
        const page = (await this.#call(shard, { call: 'rows', store, fromRowId })) as ArrayBuffer;
        fromRowId = unpackRows(page, (rowId, value) => onRow(shard.id, rowId, value));
      }
    }
  }

  attach(shardId: number, queueId: number, consumer: Consumer): Attachment {
    return this.#client(shardId).attach(queueId, consumer);
  }

  consumerOf(shardId: number, slot: number): Consumer | undefined {
    return this.#client(shardId).consumerOf(slot);
  }

  #client(shardId: number): ShardClient {
    return (this.#shards[shardId] as Shard).client;
  }

  // ── control ────────────────────────────────────────────────────────────────────────────────────────────────────

  #call(shard: Shard, call: ControlCall): Promise<ControlResult> {
    const { port } = shard;
    if (port === null || shard.state !== 'up') {
      return Promise.reject(new OperationalError('ERR_SHARD_DOWN', `shard ${shard.id} is not up`));
    }
    return shard.calls.send(port, call);
  }

  #callTo(shardId: number, call: ControlCall): Promise<ControlResult> {
    return this.#call(this.#shards[shardId] as Shard, call);
  }

  #callFor(definition: QueueDefinition, call: ControlCall): Promise<ControlResult> {
    const shard = this.#shards[this.shardOf(definition.topicFilter)];
    assert(shard !== undefined, 'placement names a shard');
    return this.#call(shard, call);
  }

  async createQueue(definition: QueueDefinition): Promise<void> {
    await this.#callFor(definition, { call: 'create', definition });
  }
  async updateQueue(definition: QueueDefinition): Promise<void> {
    await this.#callFor(definition, { call: 'update', definition });
  }
  async deleteQueue(definition: QueueDefinition): Promise<void> {
    await this.#callFor(definition, { call: 'delete', definition });
  }
  async purgeQueue(definition: QueueDefinition): Promise<number> {
    return (await this.#callFor(definition, { call: 'purge', definition })) as number;
  }
  async queueStats(definition: QueueDefinition): Promise<QueueStats> {
    return (await this.#callFor(definition, { call: 'stats', definition })) as QueueStats;
  }
  queueFigures(definitions: readonly QueueDefinition[]): Promise<ReadonlyMap<number, Float64Array>> {
    return readFigures(
      definitions,
      ({ topicFilter }) => this.shardOf(topicFilter),
      (definition, queueIds) => this.#callFor(definition, { call: 'figures', queueIds }),
    );
  }
  async consumerStats(definition: QueueDefinition): Promise<ConsumerStats[]> {
    return (await this.#callFor(definition, { call: 'consumers', definition })) as ConsumerStats[];
  }
  async peek(definition: QueueDefinition, afterOffset: number, countMax: number): Promise<PeekedMessage[]> {
    return (await this.#callFor(definition, {
      call: 'peek',
      definition,
      afterOffset,
      countMax,
    })) as PeekedMessage[];
  }

  async beginCheckpoint(shardId: number): Promise<TakenCheckpoint> {
    return (await this.#callTo(shardId, { call: 'checkpoint' })) as TakenCheckpoint;
  }
  async checkpointPage(shardId: number, checkpointId: string): Promise<ArrayBuffer | undefined> {
    return (await this.#callTo(shardId, { call: 'checkpointPage', checkpointId })) as ArrayBuffer | undefined;
  }
  async endCheckpoint(shardId: number): Promise<void> {
    await this.#callTo(shardId, { call: 'endCheckpoint' });
  }

  async holdQueue(definition: QueueDefinition, milliseconds: number): Promise<void> {
    const untilMs = milliseconds === 0 ? 0 : Date.now() + milliseconds;
    await this.#callFor(definition, { call: 'hold', definition, untilMs });
  }
  async discard(definition: QueueDefinition, offsets: readonly number[]): Promise<number> {
    return (await this.#callFor(definition, { call: 'discard', definition, offsets })) as number;
  }

  shardStates(): ShardState[] {
    return this.#shards.map(({ id, state, restarts, diskBytes, queues }) => ({
      shardId: id,
      state: state === 'closed' ? 'down' : state,
      restarts,
      diskBytes,
      queues,
    }));
  }

  killShard(shardId: number): void {
    this.#shards[shardId]?.abort?.abort();
  }
}
