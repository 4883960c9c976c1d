/**
 * What the broker offers of the protocol less than the specification allows. Main thread, at start; pure.
 *
 * Always true: the defaults offer all of it; a client that asks for more than is offered is told so by reason code, in
 * CONNACK where MQTT 5 has a property for it. Nothing here costs a message anything: what is not offered is refused by
 * tables that are made once. Source: MQTT 5.0 sections 3.1.3.1 and 3.2.2.3.4.
 */
import { flag, integer } from './variable.js';

/** What may be left out of MQTT. */
export const protocolSettings = {
  maximumQos: integer('SLUICE_MAX_QOS', {
    fallback: 2,
    min: 0,
    max: 2,
    help: 'Highest QoS of publishes and wills, announced as Maximum QoS; subscriptions are granted at most this one.',
  }),
  allowsEmptyClientId: flag('SLUICE_ALLOW_EMPTY_CLIENT_ID', {
    fallback: true,
    help: 'Whether a client without client id is given one; otherwise it is refused.',
  }),
};
