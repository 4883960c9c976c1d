/**
 * Wills: when they are published, and when not. Main thread, one per gateway.
 *
 *   armed ──connection lost──▶ delayed ──delay over, session over──▶ publishing ──▶ (forgotten)
 *     ╰──DISCONNECT──▶ (forgotten)  ╰──resumed in time──▶ (forgotten)
 *
 * Always true: a will is published once its connection is gone without DISCONNECT 0x00 [MQTT-3.1.2-8] [MQTT-3.14.4-3],
 * after Will Delay Interval or with the end of the session, whichever is first, unless the session is resumed before
 * [MQTT-3.1.3-9]. Every will is a row of the log from CONNECT until it is published or dropped: after a restart, planned
 * or not, the wills of clients that were connected are due as if they had lost their connection at the start (MQTT 5
 * section 3.1.2.5 allows it to wait for that). Gives up: exactly once; a crash between the publish and the deletion of
 * its row repeats it. Times are exact to the caller's tick, never early.
 */
import type { Config } from '../config/config.js';
import { reasonCode } from '../mqtt/reason-code.js';
import { RowStore, type Shards } from '../shard/link.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { ClientIdentity, Clock } from './context.js';
import type { LocalMessage, LocalPublisher } from './local-publisher.js';
import type { RowWriter } from './row-writer.js';
import { topicLimitFault } from './topic-limit.js';
import { WillCalendar } from './will-calendar.js';
import { storedWillProperties, type WillWithBytes } from './will-properties.js';
import { decodeWill, encodeWill, type WillRecord } from './will-record.js';

/** What the service works on. */
export interface WillServiceDeps {
  readonly publisher: LocalPublisher;
  readonly shards: Shards;
  readonly rows: RowWriter;
  readonly clock: Clock;
  readonly config: Config;
  readonly counters: Counters;
  readonly logger: Logger;
  /** False: the will is dropped at its time. `owner` as it was at CONNECT; undefined when that was before the start. */
  readonly mayPublish?: ((will: LocalMessage, owner: ClientIdentity | undefined) => boolean) | undefined;
  /** Unix ms; for times that outlive the process. */
  readonly unixMs?: () => number;
}

interface Entry {
  record: WillRecord;
  readonly shardId: number;
  readonly rowId: number;
  readonly owner: ClientIdentity | undefined;
  readonly bytes: number;
  state: 'armed' | 'delayed' | 'publishing';
  /** Gateway clock. */
  dueAtMs: number;
}

const ended = {
  published: slotOf('willsEnded', 'published'),
  cancelled: slotOf('willsEnded', 'cancelled'),
  disconnected: slotOf('willsEnded', 'disconnected'),
  notAuthorized: slotOf('willsEnded', 'not-authorized'),
  refused: slotOf('willsEnded', 'refused'),
} as const;

/** Wills that one tick publishes at most; the rest waits for the next one. */
const perTickMax = 5000;
/** Memory of a will beside its bytes. */
const entryBytes = 512;

/** See the file header. */
export class WillService {
  readonly #deps: WillServiceDeps;
  readonly #unixMs: () => number;
  /** Armed and delayed ones. */
  readonly #byClient = new Map<string, Entry>();
  readonly #calendar = new WillCalendar<Entry>();
  /** All that are not forgotten. */
  #bytes = 0;
  #isStopped = false;

  constructor(deps: WillServiceDeps) {
    this.#deps = deps;
    this.#unixMs = deps.unixMs ?? Date.now;
  }

  /** Wills that are armed or delayed. */
  get count(): number {
    return this.#byClient.size;
  }

  /** Why a CONNECT with this will is to be refused: a reason code, or 0. Call before the CONNACK. */
  fault(will: WillWithBytes): number {
    const fault = willFault(will, this.#deps.config);
    if (fault !== 0) return fault;
    const bytes = entryBytes + will.payload.length + (will.propertyBytes?.length ?? 0);
    return this.#bytes + bytes > this.#deps.config.willBytesMax ? reasonCode.quotaExceeded : 0;
  }

  /** Reads the wills of the last run. Call at the start, before the first client; they are due at a `tick`. */
  async load(): Promise<void> {
    const { shards, rows, clock, logger } = this.#deps;
    const startMs = clock.nowMs();
    let damaged = 0;
    await shards.readRows(RowStore.will, (shardId, rowId, value) => {
      const record = decodeWill(value);
      if (record === undefined) {
        damaged++;
        rows.remove(shardId, RowStore.will, rowId);
        return;
      }
      const entry = this.#entry(record, shardId, rowId, undefined);
      const other = this.#byClient.get(record.clientId);
      // Two of one client: the older one was being published when the process ended.
      const older = other === undefined ? undefined : other.rowId < rowId ? other : entry;
      if (older !== entry) this.#book(entry);
      entry.state = 'delayed';
      entry.dueAtMs = startMs + this.#remainingMs(record);
      this.#calendar.add(entry, entry.dueAtMs);
      if (older === undefined) return;
      older.state = 'publishing';
      this.#calendar.add(older, startMs);
    });
    if (damaged > 0) logger.warn({ rows: damaged }, 'rows that are no wills were deleted');
  }

  /** CONNECT was accepted and has a will. Nothing waits for its row. */
  arm(clientId: string, will: WillWithBytes, owner: ClientIdentity, sessionExpiryS: number): void {
    if (this.#isStopped) return;
    const before = this.#byClient.get(clientId);
    if (before !== undefined) this.#publish(before);
    const row = encodeWill(recordOf(clientId, will, owner, sessionExpiryS));
    // Read back: the fields become views of the row's bytes, which are all that is kept.
    const record = decodeWill(row)!;
    const { shards } = this.#deps;
    const entry = this.#entry(record, shards.shardOf(clientId), shards.nextRowId(), owner);
    this.#book(entry);
    this.#writeRow(entry, row);
  }

  /** The client said DISCONNECT with another reason code than 0x04 [MQTT-3.14.4-3]. */
  disarm(clientId: string): void {
    const entry = this.#byClient.get(clientId);
    if (entry?.state === 'armed') this.#end(entry, ended.disconnected);
  }

  /** The connection is gone and the will is still armed. `sessionExpiryS` is what the session has left to live. */
  connectionLost(clientId: string, sessionExpiryS: number): void {
    const entry = this.#byClient.get(clientId);
    if (this.#isStopped || entry === undefined || entry.state !== 'armed') return;
    const delayS = Math.min(entry.record.delayS, sessionExpiryS);
    if (delayS === 0) {
      this.#publish(entry);
      return;
    }
    entry.state = 'delayed';
    entry.dueAtMs = this.#deps.clock.nowMs() + delayS * 1000;
    this.#calendar.add(entry, entry.dueAtMs);
    const row = encodeWill({ ...entry.record, dueUnixMs: this.#unixMs() + delayS * 1000 });
    entry.record = decodeWill(row)!;
    this.#writeRow(entry, row);
  }

  /** The session is over, by its expiry or by a Clean Start: a will that waits does so no longer [MQTT-3.1.2-8]. */
  sessionEnded(clientId: string): void {
    const entry = this.#byClient.get(clientId);
    // The will of a connection that is still there has its turn with `connectionLost`.
    if (!this.#isStopped && entry?.state === 'delayed') this.#publish(entry);
  }

  /** A new connection of the client, before its own will is armed: in time it cancels a delayed will [MQTT-3.1.3-9]. */
  reconnected(clientId: string, sessionPresent: boolean): void {
    const entry = this.#byClient.get(clientId);
    if (this.#isStopped || entry === undefined) return;
    const isDue =
      entry.state === 'armed' ? entry.record.delayS === 0 : entry.dueAtMs <= this.#deps.clock.nowMs();
    if (sessionPresent && !isDue) this.#end(entry, ended.cancelled);
    else this.#publish(entry);
  }

  /** Publishes what is due. Call every half a second or so. */
  tick(nowMs: number): void {
    if (this.#isStopped) return;
    for (const entry of this.#calendar.takeDue(nowMs, perTickMax)) this.#publish(entry);
  }

  /** The server stops: wills stay rows and are due at the next start. Call before connections are closed. */
  stop(): void {
    this.#isStopped = true;
  }

  #entry(record: WillRecord, shardId: number, rowId: number, owner: ClientIdentity | undefined): Entry {
    const bytes = entryBytes + record.properties.length + record.payload.length;
    this.#bytes += bytes;
    return { record, shardId, rowId, owner, bytes, state: 'armed', dueAtMs: 0 };
  }

  #book(entry: Entry): void {
    if (!this.#byClient.has(entry.record.clientId)) this.#deps.counters.add(slot.wills, 1);
    this.#byClient.set(entry.record.clientId, entry);
  }

  #unbook(entry: Entry): void {
    if (this.#byClient.get(entry.record.clientId) !== entry) return;
    this.#byClient.delete(entry.record.clientId);
    this.#deps.counters.add(slot.wills, -1);
  }

  /** How long a restored will has to wait: as from now when its client was connected, else what is left. */
  #remainingMs({ delayS, sessionExpiryS, dueUnixMs }: WillRecord): number {
    const wholeMs = Math.min(delayS, sessionExpiryS) * 1000;
    if (dueUnixMs === 0) return wholeMs;
    // Never longer than the whole: the clock of the machine may have been set back.
    return Math.min(wholeMs, Math.max(0, dueUnixMs - this.#unixMs()));
  }

  #publish(entry: Entry): void {
    const { publisher, mayPublish, clock, logger } = this.#deps;
    this.#calendar.remove(entry);
    this.#unbook(entry);
    entry.state = 'publishing';
    const { record } = entry;
    if (mayPublish !== undefined && !mayPublish(record, entry.owner)) {
      logger.debug({ clientId: record.clientId, topic: record.topic }, 'a will is not authorized');
      this.#end(entry, ended.notAuthorized);
      return;
    }
    const isTaken = publisher.publish(record, (ok) => this.#end(entry, ok ? ended.published : ended.refused));
    // Too much is under way: again at the next tick.
    if (!isTaken) this.#calendar.add(entry, clock.nowMs());
  }

  #end(entry: Entry, outcome: number): void {
    this.#calendar.remove(entry);
    this.#unbook(entry);
    this.#bytes -= entry.bytes;
    this.#deps.counters.add(outcome, 1);
    this.#deps.rows.remove(entry.shardId, RowStore.will, entry.rowId);
  }

  #writeRow({ shardId, rowId, record }: Entry, value: Uint8Array): void {
    const { rows, logger } = this.#deps;
    rows.put(shardId, RowStore.will, rowId, value, (isStored) => {
      if (isStored) return;
      logger.warn({ clientId: record.clientId }, 'a will could not be stored: it does not survive a restart');
    });
  }
}

/** Reserved first levels: what the server says itself, and names of subscriptions that are no topics. */
const reservedPrefixes = ['$SYS/', '$q/', '$queue/'];

/**
 * Why a client may not have this will, whoever it is: the reason code for CONNACK, or 0. That the topic is a topic name
 * has been checked by the decoder [MQTT-3.1.3-11].
 */
export function willFault({ topic }: WillWithBytes, config: Config): number {
  if (topic.startsWith('$share/')) return reasonCode.topicNameInvalid;
  if (reservedPrefixes.some((prefix) => topic.startsWith(prefix))) return reasonCode.notAuthorized;
  return topicLimitFault(topic, config) === undefined ? 0 : reasonCode.topicNameInvalid;
}

function recordOf(
  clientId: string,
  will: WillWithBytes,
  { username, peername, protocolVersion }: ClientIdentity,
  sessionExpiryS: number,
): WillRecord {
  const { willDelayInterval, messageExpiryInterval } = will.properties ?? {};
  return {
    clientId,
    username,
    peername,
    protocolVersion,
    topic: will.topic,
    payload: Buffer.from(will.payload),
    qos: will.qos ?? 0,
    retain: will.retain ?? false,
    properties: storedWillProperties(will),
    // 0 seconds is the shortest life there is: for the queues that is one second.
    messageExpiryInterval: messageExpiryInterval === undefined ? 0 : Math.max(1, messageExpiryInterval),
    delayS: willDelayInterval ?? 0,
    sessionExpiryS,
    dueUnixMs: 0,
  };
}
