/**
 * A message that the broker says in its own name. Main thread, pure.
 *
 * Always true: its topic is under `$SYS/`, which no client can publish to, its QoS is 0 and its client id is empty.
 * Gives up: properties; a text needs none.
 */
import type { LocalMessage } from '../session/local-publisher.js';

const noProperties = Buffer.alloc(0);

/** A text under a topic of the broker's own; `retain` keeps it for subscribers to come. */
export function sysMessage(topic: string, text: string, retain: boolean): LocalMessage {
  return {
    topic,
    payload: Buffer.from(text),
    qos: 0,
    retain,
    properties: noProperties,
    messageExpiryInterval: 0,
    clientId: '',
    username: undefined,
    peername: '',
    protocolVersion: 5,
  };
}
