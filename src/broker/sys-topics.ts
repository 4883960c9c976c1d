/**
 * The `$SYS/broker` topics and what they say. Main thread, pure.
 *
 * Always true: a topic is in this table or it is not published; texts are decimal numbers, but for version and uptime.
 * `messages` counts MQTT packets of all types and `publish/messages` those of PUBLISH only, as in Mosquitto.
 * Source: the topics of Mosquitto 2; docs/sys-topics.md says where a number means something else here.
 */

/** Everything the topics are made from. Totals since the start unless said otherwise. */
export interface SysReading {
  readonly uptimeS: number;
  readonly clientsConnected: number;
  /** Sessions, connected or not, at this moment. */
  readonly sessions: number;
  readonly clientsExpired: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly packetsReceived: number;
  readonly packetsSent: number;
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly publishesDropped: number;
  readonly publishBytesReceived: number;
  readonly publishBytesSent: number;
  /** CONNECT packets. */
  readonly connects: number;
  readonly socketsOpened: number;
  /** Delivered and not yet acknowledged, now. */
  readonly messagesInFlight: number;
  /** In queues and sessions, in flight or not, now. */
  readonly messagesStored: number;
  readonly messageBytesStored: number;
  readonly retainedCount: number;
  readonly retainedBytes: number;
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  readonly heapBytes: number;
}

/** Highest values so far. */
export interface SysMaximum {
  readonly clients: number;
  readonly heapBytes: number;
}

/** One topic. */
export interface SysTopic {
  /** Below `$SYS/broker/`. */
  readonly name: string;
  /** What it says, for the document. */
  readonly meaning: string;
  value(now: SysReading, maximum: SysMaximum): number | string;
}

/** What all of these topics begin with. */
export const sysBrokerPrefix = '$SYS/broker/';

/** All topics but the version and the averages. */
export const sysTopics: readonly SysTopic[] = [
  topic('uptime', 'time since the start', ({ uptimeS }) => `${Math.floor(uptimeS)} seconds`),
  topic('clients/connected', 'connected clients', ({ clientsConnected }) => clientsConnected),
  topic('clients/active', 'the same under its older name', ({ clientsConnected }) => clientsConnected),
  topic('clients/disconnected', 'sessions whose client is away', awayOf),
  topic('clients/inactive', 'the same under its older name', awayOf),
  topic('clients/total', 'sessions, their clients connected or away', ({ sessions }) => sessions),
  topic('clients/maximum', 'most clients connected at an update', (_, { clients }) => clients),
  topic('clients/expired', 'sessions that expired', ({ clientsExpired }) => clientsExpired),
  topic('bytes/received', 'bytes read from clients', ({ bytesReceived }) => bytesReceived),
  topic('bytes/sent', 'bytes written to clients', ({ bytesSent }) => bytesSent),
  topic('messages/received', 'packets of any type from clients', ({ packetsReceived }) => packetsReceived),
  topic('messages/sent', 'packets of any type to clients', ({ packetsSent }) => packetsSent),
  topic(
    'messages/inflight',
    'messages of queues and stored sessions that wait for an acknowledgement',
    ({ messagesInFlight }) => messagesInFlight,
  ),
  topic('messages/stored', 'the same as `store/messages/count`', storedOf),
  topic(
    'publish/messages/received',
    'PUBLISH packets from clients',
    ({ publishesReceived }) => publishesReceived,
  ),
  topic('publish/messages/sent', 'PUBLISH packets to clients', ({ publishesSent }) => publishesSent),
  topic(
    'publish/messages/dropped',
    'live messages that a subscriber did not get',
    ({ publishesDropped }) => publishesDropped,
  ),
  topic(
    'publish/bytes/received',
    'payload of those PUBLISH packets',
    ({ publishBytesReceived }) => publishBytesReceived,
  ),
  topic('publish/bytes/sent', 'payload of those PUBLISH packets', ({ publishBytesSent }) => publishBytesSent),
  topic('store/messages/count', 'messages in queues and stored sessions, and retained ones', storedOf),
  topic(
    'store/messages/bytes',
    'their size',
    ({ messageBytesStored, retainedBytes }) => messageBytesStored + retainedBytes,
  ),
  topic('retained messages/count', 'retained messages', ({ retainedCount }) => retainedCount),
  topic('subscriptions/count', 'subscriptions of all kinds', ({ subscriptions }) => subscriptions),
  topic(
    'shared_subscriptions/count',
    'shared subscriptions among them',
    ({ sharedSubscriptions }) => sharedSubscriptions,
  ),
  topic('heap/current', 'bytes of the JavaScript heap and its buffers', ({ heapBytes }) => heapBytes),
  topic('heap/maximum', 'most of that at an update', (_, { heapBytes }) => heapBytes),
];

/** A total whose averages per minute over 1, 5 and 15 minutes are published under `load/<name>/`. */
export interface SysLoad {
  readonly name: string;
  readonly meaning: string;
  total(now: SysReading): number;
}

/** All averages. */
export const sysLoads: readonly SysLoad[] = [
  load('bytes/received', 'bytes read from clients', ({ bytesReceived }) => bytesReceived),
  load('bytes/sent', 'bytes written to clients', ({ bytesSent }) => bytesSent),
  load('connections', 'CONNECT packets', ({ connects }) => connects),
  load('messages/received', 'packets of any type from clients', ({ packetsReceived }) => packetsReceived),
  load('messages/sent', 'packets of any type to clients', ({ packetsSent }) => packetsSent),
  load('publish/dropped', 'messages dropped', ({ publishesDropped }) => publishesDropped),
  load('publish/received', 'PUBLISH packets from clients', ({ publishesReceived }) => publishesReceived),
  load('publish/sent', 'PUBLISH packets to clients', ({ publishesSent }) => publishesSent),
  load('sockets', 'network connections opened', ({ socketsOpened }) => socketsOpened),
];

function topic(name: string, meaning: string, value: SysTopic['value']): SysTopic {
  return { name, meaning, value };
}

function load(name: string, meaning: string, total: SysLoad['total']): SysLoad {
  return { name, meaning, total };
}

function awayOf({ sessions, clientsConnected }: SysReading): number {
  return Math.max(0, sessions - clientsConnected);
}

function storedOf({ messagesStored, retainedCount }: SysReading): number {
  return messagesStored + retainedCount;
}
