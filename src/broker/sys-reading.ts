/**
 * The numbers behind the `$SYS` topics, from the counters of all threads and from who holds the rest. Main thread.
 *
 * Always true: a reading disturbs no writer and is a few additions old at most; shard workers bring their gauges up to
 * date about once a second.
 */
import { slot } from '../telemetry/counter-layout.js';
import type { CounterReader } from '../telemetry/counter.js';
import { catalogue } from '../telemetry/metric-catalogue.js';
import type { SysReading } from './sys-topics.js';

/** What no counter holds. Each is asked once per update. */
export interface SysGauges {
  clientsConnected(): number;
  sessions(): number;
  retainedCount(): number;
  retainedBytes(): number;
  sharedSubscriptions(): number;
  /** Seconds since the start. */
  uptimeS(): number;
}

/** One reading. */
export function readSys(counters: CounterReader, gauges: SysGauges): SysReading {
  const { heapUsed, external } = process.memoryUsage();
  const family = (key: 'packetsReceived' | 'packetsSent' | FamilyOfPublishes): number => {
    let sum = 0;
    for (let i = 0; i < catalogue[key].values.length; i++) sum += counters.total(slot[key] + i);
    return sum;
  };
  const inFlight = counters.total(slot.messagesInFlight);
  const shared = gauges.sharedSubscriptions();
  return {
    uptimeS: gauges.uptimeS(),
    clientsConnected: gauges.clientsConnected(),
    sessions: gauges.sessions(),
    clientsExpired: counters.total(slot.sessionsExpired),
    bytesReceived: counters.total(slot.bytesReceived),
    bytesSent: counters.total(slot.bytesSent),
    packetsReceived: family('packetsReceived'),
    packetsSent: family('packetsSent'),
    publishesReceived: family('publishesReceived'),
    publishesSent: family('publishesSent'),
    publishesDropped: family('messagesDropped'),
    publishBytesReceived: counters.total(slot.publishBytesReceived),
    publishBytesSent: counters.total(slot.publishBytesSent),
    connects: counters.total(slot.packetsReceived + catalogue.packetsReceived.values.indexOf('connect')),
    socketsOpened: counters.total(slot.connectionsOpened),
    messagesInFlight: inFlight,
    messagesStored: counters.total(slot.messagesReady) + inFlight,
    messageBytesStored: counters.total(slot.messageBytes),
    retainedCount: gauges.retainedCount(),
    retainedBytes: gauges.retainedBytes(),
    subscriptions: counters.total(slot.subscriptions) + counters.total(slot.queueSubscriptions),
    sharedSubscriptions: shared,
    heapBytes: heapUsed + external,
  };
}

type FamilyOfPublishes = 'publishesReceived' | 'publishesSent' | 'messagesDropped';
