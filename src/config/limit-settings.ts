/**
 * Settings that keep one client, one address, or many slow readers from taking what belongs to all. Main thread, at start.
 *
 * Always true: 0 turns a limit off where its range allows 0; what happens at each limit, and which counter tells, is the
 * table of docs/limits.md. Rates are per second with a burst of some seconds' worth, so that a fleet that comes back after
 * a restart is no attack. Gives up: limits per listener other than its number of connections.
 */
import { GB, KB, MB } from './unit.js';
import { bytes, choice, duration, integer } from './variable.js';

/** Limits of connections, of what a client publishes, and of memory over all clients. */
export const limitSettings = {
  connectionRateMax: integer('SLUICE_CONNECTION_RATE', {
    fallback: 5000,
    min: 0,
    max: 1_000_000,
    unit: 'connections/s',
    help: 'New connections per second over all listeners, after a burst of ten times as many; one more is closed at once. A TLS connection counts as four. 0 for no limit.',
  }),
  connectionRatePerAddressMax: integer('SLUICE_CONNECTION_RATE_PER_ADDRESS', {
    fallback: 2000,
    min: 0,
    max: 1_000_000,
    unit: 'connections/s',
    help: 'The same for one address, or one IPv6 network of 64 bits; with a PROXY header the address that it names.',
  }),
  connectionsPerAddressMax: integer('SLUICE_CONNECTIONS_PER_ADDRESS', {
    fallback: 50_000,
    min: 0,
    max: 10_000_000,
    unit: 'connections',
    help: 'Open connections of one address, or one IPv6 network of 64 bits; one more is closed at once. 0 for no limit.',
  }),
  tcpKeepAliveMs: duration('SLUICE_TCP_KEEPALIVE', {
    fallback: 300_000,
    min: 0,
    max: 86_400_000,
    help: 'Silence after which the system asks whether the machine at the other end is still there; it ends connections that Keep Alive does not. 0 for never.',
  }),
  writeStallTimeoutMs: duration('SLUICE_WRITE_STALL_TIMEOUT', {
    live: true,
    fallback: 60_000,
    min: 1000,
    max: 86_400_000,
    help: 'A connection that takes no byte of what waits for it in so long is closed.',
  }),
  topicBytesMax: bytes('SLUICE_TOPIC_BYTES_MAX', {
    live: true,
    fallback: 65_535,
    min: 64,
    max: 65_535,
    help: 'Length of a topic name or filter in UTF-8.',
  }),
  subscriptionBytesMax: bytes('SLUICE_SUBSCRIPTION_BYTES', {
    live: true,
    fallback: 16 * MB,
    min: 64 * KB,
    max: 64 * GB,
    help: 'Topic filters of one client together, in characters; `SLUICE_SUBSCRIPTIONS_MAX` bounds their number.',
  }),
  publishRateMax: integer('SLUICE_PUBLISH_RATE', {
    live: true,
    fallback: 0,
    min: 0,
    max: 100_000_000,
    unit: 'messages/s',
    help: 'Messages per second that a connection may publish, after a burst of one second. 0 for no limit.',
  }),
  publishBytesRateMax: bytes('SLUICE_PUBLISH_BYTES_RATE', {
    live: true,
    fallback: 0,
    min: 0,
    max: 1024 * GB,
    help: 'Bytes per second that a connection may publish: topics, properties and payloads. 0 for no limit.',
  }),
  publishRateAction: choice('SLUICE_PUBLISH_RATE_ACTION', {
    live: true,
    words: ['slow-down', 'disconnect'],
    fallback: 'slow-down',
    help: 'What happens past these two: `slow-down` reads no more until there is room again, `disconnect` closes with 0x96.',
  }),
  outboxesBytesMax: bytes('SLUICE_OUTBOXES_BYTES', {
    fallback: 512 * MB,
    min: 16 * MB,
    max: 1024 * GB,
    help: 'Memory for what waits for slow readers, all connections together. From half of it on `SLUICE_OUTBOX_BYTES` shrinks step by step, so that the slowest lose QoS 0 messages first.',
  }),
  sessionQueueBytesMax: bytes('SLUICE_SESSION_QUEUE_BYTES', {
    fallback: 16 * MB,
    min: 64 * KB,
    max: 64 * GB,
    help: 'The bound of `SLUICE_SESSION_QUEUE_MAX` in bytes; past either the oldest message gives way.',
  }),
  sessionQueuesBytesMax: bytes('SLUICE_SESSION_QUEUES_BYTES', {
    fallback: 512 * MB,
    min: MB,
    max: 1024 * GB,
    help: 'The same over all sessions; past it a session drops its own oldest messages for a new one.',
  }),
};
