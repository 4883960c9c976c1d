/**
 * Entry of a shard worker: opens the log, rebuilds the queues, then turns the loop until it is told to close.
 * Runs on a worker thread as one long Piscina task.
 *
 * Always true: while there is work the loop goes from turn to turn through setImmediate, so that control messages and
 * fsync callbacks get their share; without work it is asleep and a doorbell, a due time or the maintenance tick wakes
 * it. The task ends by `close` (resolves) or by a log failure (rejects); the pool restarts it in the second case.
 */
import { OperationalError, packError } from '../base/error.js';
import type { Log } from '../log/log.js';
import { openLog } from '../log/open.js';
import { Queue } from '../queue/queue.js';
import { recoverQueue } from '../queue/recovery.js';
import { Counters, workerBlock } from '../telemetry/counter.js';
import { slot as metric } from '../telemetry/counter-layout.js';
import { LoopProbe } from '../telemetry/loop-probe.js';
import { ShardControl, decodeDefinition, encodeDefinition } from './control.js';
import { FrameWait } from './frame-wait.js';
import { DOORBELL, type ControlRequest, type ToMain, type ToWorker, type WorkerData } from './protocol.js';
import { RingGauges } from './ring-gauges.js';
import { lastRowId } from './rows.js';
import { ShardLoop } from './shard-loop.js';

const MAINTENANCE_MS = 1000;
/** A longer timeout would overflow and fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Turns that a close spends on what is still in the ring. */
const CLOSE_TURNS_MAX = 64;
/** How long an idle worker blocks on its ring before it sleeps in the event loop: what a control call may wait. */
const DOZE_MS = 1;
/** The same while the disk's answer is awaited, which comes through the event loop. */
const DOZE_SYNCING_MS = 0.2;
/** The Piscina task. Resolves after a clean close. */
export async function runShard(data: WorkerData): Promise<void> {
  try {
    const log = await openLog({
      driver: data.driver,
      directory: data.directory,
      memoryBytesMax: data.storeMemoryBytes,
    });
    await new Promise<void>((resolve, reject) => new ShardWorker(data, log, resolve, reject).start());
  } catch (error) {
    data.port.postMessage({ failed: packError(error) } satisfies ToMain);
    // The pool ends the thread, and with it what a log that failed cannot let go of: RocksDB refuses to close after a
    // failed write, and as long as its handle and the lock live nobody can open the directory again.
    await new Promise(() => {});
  }
}

/** Drives one `ShardLoop`. */
class ShardWorker {
  readonly #data: WorkerData;
  readonly #log: Log;
  readonly #loop: ShardLoop;
  readonly #control: ShardControl;
  readonly #wait: FrameWait;
  readonly #probe: LoopProbe;
  readonly #counters: Counters;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #requests: ControlRequest[] = [];
  #state: 'running' | 'asleep' | 'closing' | 'ended' = 'running';
  #turnScheduled = false;
  #dueTimer: NodeJS.Timeout | null = null;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #maintenance: NodeJS.Timeout | null = null;
  #syncTimer: NodeJS.Timeout | null = null;
  /** Queues with a control call whose commit is awaited; 0 stands for the rows. */
  readonly #serving = new Set<number>();
  /** The last doze brought nothing: sleep next. */
  #dozedOut = false;

  constructor(data: WorkerData, log: Log, resolve: () => void, reject: (error: unknown) => void) {
    this.#data = data;
    this.#log = log;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#counters = new Counters(data.counters, workerBlock(data.shardId));
    this.#counters.resetGauges();
    this.#loop = new ShardLoop(
      {
        log,
        durability: data.durability,
        limitShards: data.limitShards,
        queueCacheBytes: data.queueCacheBytes,
        counters: this.#counters,
        ringDoorbell: () => {
          this.#counters.add(metric.doorbells, 1);
          data.port.postMessage(DOORBELL);
        },
        wake: () => this.#wake(),
        report: (level, message, detail) =>
          this.#tell({ log: { level, message, ...(detail === undefined ? {} : { detail }) } }),
        fail: (error) => this.#end(error),
      },
      data.epoch,
      data.toWorker,
      data.toMain,
      data.arena,
      data.inFlightCounts,
    );
    this.#control = new ShardControl(this.#loop, log);
    this.#wait = new FrameWait(this.#loop, () => performance.now());
    const rings = new RingGauges(this.#counters, data.toWorker, data.toMain);
    this.#probe = new LoopProbe(this.#counters, {
      waitedMs: () => this.#wait.waitedMs,
      onLook: () => rings.look(),
    });
  }

  start(): void {
    this.#guard(() => this.#begin());
  }

  #begin(): void {
    const batch = this.#log.batch();
    for (const definition of this.#data.definitions) {
      batch.putQueue(definition.id, encodeDefinition(definition));
    }
    this.#log.write(batch);
    const definitions = this.#log.queues().map(({ meta }) => decodeDefinition(meta));
    for (const definition of definitions) {
      const queue = new Queue(definition, this.#loop);
      recoverQueue(queue, this.#loop, Date.now());
      this.#loop.queues.set(definition.id, queue);
    }
    this.#data.port.on('message', (message: ToWorker) => {
      if (message === DOORBELL) this.#wake();
      else this.#serve(message);
    });
    this.#probe.start();
    this.#maintenance = setInterval(() => this.#guard(() => this.#maintain()), MAINTENANCE_MS);
    if (this.#data.durability === 'interval') this.#syncAtIntervals();
    this.#tell({ ready: { definitions, lastRowId: lastRowId(this.#log) } });
    this.#tellSize();
    this.#scheduleTurn();
  }

  #tellSize(): void {
    const disk = this.#log.diskBytes();
    this.#counters.set(metric.logDiskBytes, disk);
    let queues = 0;
    for (const queue of this.#loop.queues.values()) if (!queue.belongsToSession) queues++;
    this.#tell({ disk, queues });
  }

  #tell(message: ToMain): void {
    this.#data.port.postMessage(message);
  }

  #wake(): void {
    if (this.#state === 'asleep') {
      this.#loop.wakeUp();
      this.#state = 'running';
    }
    if (this.#state === 'running') this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      if (this.#state === 'running') this.#guard(() => this.#turn());
    });
  }

  /** Works as long as there is work, dozes for a moment, then sleeps until something wakes it. */
  #turn(): void {
    const end = this.#loop.turn(Date.now());
    if (end === 'busy') {
      this.#dozedOut = false;
      this.#scheduleTurn();
      return;
    }
    const dueMs = this.#loop.nextDueMs();
    if (end === 'idle' && !this.#dozedOut) {
      const dozeMs = this.#loop.isSyncing ? DOZE_SYNCING_MS : DOZE_MS;
      this.#dozedOut = !this.#wait.wait(Math.min(dozeMs, dueMs - Date.now()));
      // What came is taken at once; then through the event loop, in case control calls or the disk's answer came meanwhile.
      if (!this.#dozedOut) this.#loop.turn(Date.now());
      this.#scheduleTurn();
      return;
    }
    if (!this.#loop.sleep()) {
      this.#scheduleTurn();
      return;
    }
    this.#dozedOut = false;
    this.#state = 'asleep';
    this.#armDueTimer(dueMs);
  }

  /** Makes sure that a turn happens at `dueMs`; an earlier timer that is already armed will do. */
  #armDueTimer(dueMs: number): void {
    if (dueMs >= this.#dueAtMs) return;
    if (this.#dueTimer !== null) clearTimeout(this.#dueTimer);
    this.#dueAtMs = dueMs;
    this.#dueTimer = setTimeout(
      () => {
        this.#dueTimer = null;
        this.#dueAtMs = Number.POSITIVE_INFINITY;
        this.#wake();
      },
      Math.min(TIMER_MS_MAX, Math.max(1, dueMs - Date.now())),
    );
  }

  #maintain(): void {
    this.#loop.maintain(Date.now());
    this.#tellSize();
    this.#wake();
  }

  /** fsync at least every `fsyncIntervalMs`; one at a time, and none once the log is to be closed. */
  #syncAtIntervals(): void {
    if (this.#isEnding) return;
    this.#syncTimer = setTimeout(() => {
      this.#log.sync((error) => {
        if (error === null) this.#syncAtIntervals();
        else this.#end(error);
      });
    }, this.#data.fsyncIntervalMs).unref();
  }

  get #isEnding(): boolean {
    return this.#state === 'closing' || this.#state === 'ended';
  }

  #serve(request: ControlRequest): void {
    this.#requests.push(request);
    this.#serveRequests();
  }

  /**
   * Begins control calls in the order in which they came. One waits while the one before it for the same queue is under
   * way, and those behind it with it; the others share their fsync: a thousand new queues cost a few, not a thousand.
   */
  #serveRequests(): void {
    for (let request = this.#requests[0]; request !== undefined; request = this.#requests[0]) {
      if (this.#isEnding) return;
      if (request.call === 'close') {
        if (this.#serving.size > 0) return;
        this.#requests.length = 0;
        void this.#close(request.id);
        return;
      }
      const queueId = 'definition' in request ? request.definition.id : 0;
      if (this.#serving.has(queueId)) return;
      this.#requests.shift();
      this.#serving.add(queueId);
      void this.#answer(request, queueId);
    }
  }

  async #answer(request: Exclude<ControlRequest, { call: 'close' }>, queueId: number): Promise<void> {
    try {
      this.#tell({ id: request.id, result: await this.#control.run(request) });
    } catch (error) {
      const code = error instanceof OperationalError ? error.code : 'ERR_SHARD_CALL';
      this.#tell({
        id: request.id,
        error: { code, message: error instanceof Error ? error.message : String(error) },
      });
      // What the call has begun may be half done: the worker that comes back reads what is.
      if (code === 'ERR_LOG_WRITE' || code === 'ERR_LOG_SYNC') this.#end(error);
    }
    this.#serving.delete(queueId);
    this.#wake();
    this.#serveRequests();
  }

  async #close(id: number): Promise<void> {
    this.#state = 'closing';
    this.#stopTimers();
    try {
      for (let turn = 0; turn < CLOSE_TURNS_MAX && this.#loop.turn(Date.now()) === 'busy'; turn++);
      this.#loop.flush();
      // Settlements that wait for the disk are told before the end.
      await new Promise<void>((resolve, reject) =>
        this.#log.sync((error) => (error === null ? resolve() : reject(error))),
      );
      this.#loop.turn(Date.now());
      await this.#log.close();
      this.#state = 'ended';
      this.#tell({ id, result: undefined });
      this.#data.port.close();
      this.#resolve();
    } catch (error) {
      this.#end(error);
    }
  }

  #stopTimers(): void {
    this.#probe.stop();
    if (this.#maintenance !== null) clearInterval(this.#maintenance);
    if (this.#dueTimer !== null) clearTimeout(this.#dueTimer);
    if (this.#syncTimer !== null) clearTimeout(this.#syncTimer);
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#end(error);
    }
  }

  /** The shard cannot go on: the log is closed as well as it can be, and the pool decides. */
  #end(error: unknown): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#stopTimers();
    this.#counters.add(metric.logErrors, 1);
    this.#log.close().then(
      () => this.#reject(error),
      () => this.#reject(error),
    );
  }
}
