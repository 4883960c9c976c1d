/**
 * A broker with durable queues of its own kind, measured by the same engine through clients of its protocol.
 *
 * Always true: it stands in the cases whose durability it can promise, and in no other.
 */
import { measure } from '../load/run.mjs';

/** A peer of the cases whose durability is in `promises`: promise → what the peer calls it. */
export function queuePeer({ name, wire, promises, open, more = {} }) {
  return {
    name,
    kind: 'queue',
    durability: undefined,
    takes: ({ broker }) => promises[broker.durability] !== undefined,
    open: (broker) => open(broker.durability, promises[broker.durability]),
    measure: (target, load, onProgress) =>
      measure(target, { ...load, mode: 'queue', queue: false, wire, more }, onProgress),
  };
}

/** MQTT 3.1.1 with QoS 0 or 1 and no shared subscriptions: what older MQTT listeners can do. */
export function isPlainOld({ load }) {
  return load === undefined || (load.qos < 2 && load.protocol === 4 && load.mode !== 'share');
}
