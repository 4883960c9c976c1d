/**
 * Plain topics as fast as they go: one to one, one to many, many to one, and shared subscriptions.
 *
 * Always true: the topics of the publishers differ, payloads are 256 B unless the title says so, and nothing is stored.
 */
import { loadCase, scaled, timesOf } from './scenario.mjs';

const nothing = 'nothing stored';

/** The scenarios `pair`, `fan-out`, `fan-in` and `share`. */
export const throughputScenarios = [
  {
    name: 'pair',
    about: 'one publisher, one subscriber, QoS 0, 1 and 2',
    cases: (context) => [
      plain('qos0-256', 'QoS 0, 256 B', { qos: 0 }, context),
      plain('qos0-64', 'QoS 0, 64 B', { qos: 0, payload: 64 }, context),
      plain('qos1-100', 'QoS 1, 100 in flight', { qos: 1, inFlight: 100 }, context),
      plain('qos1-1000', 'QoS 1, 1,000 in flight', { qos: 1, inFlight: 1000 }, context),
      ...(context.quick
        ? []
        : [
            plain('qos1-v5', 'QoS 1, 100 in flight, MQTT 5', { qos: 1, inFlight: 100, protocol: 5 }, context),
            plain('qos2-20', 'QoS 2, 20 in flight', { qos: 2, inFlight: 20 }, context),
            plain('qos0-64k', 'QoS 0, 64 KiB', { qos: 0, payload: 65_536 }, context),
          ]),
    ],
  },
  {
    name: 'fan-out',
    about: 'one publisher, 100 subscribers that each get every message',
    cases: (context) => {
      const consumers = scaled(100, context);
      return [
        plain('qos0', `1 to ${consumers}, QoS 0`, { qos: 0, consumers }, context),
        plain(
          'qos1',
          `1 to ${consumers}, QoS 1, 100 in flight`,
          { qos: 1, consumers, inFlight: 100 },
          context,
        ),
      ];
    },
  },
  {
    name: 'fan-in',
    about: '100 publishers, one subscriber that gets everything',
    cases: (context) => {
      const publishers = scaled(100, context);
      return [
        plain('qos0', `${publishers} to 1, QoS 0`, { qos: 0, publishers }, context),
        plain(
          'qos1',
          `${publishers} to 1, QoS 1, 10 in flight each`,
          { qos: 1, publishers, inFlight: 10 },
          context,
        ),
      ];
    },
  },
  {
    name: 'share',
    about: '50 publishers, 50 subscribers of one shared subscription',
    cases: (context) => {
      const half = scaled(50, context);
      const load = { mode: 'share', publishers: half, consumers: half };
      return [
        plain('qos0', `${half} to ${half}, QoS 0`, { ...load, qos: 0 }, context),
        plain(
          'qos1',
          `${half} to ${half}, QoS 1, 100 in flight each`,
          { ...load, qos: 1, inFlight: 100 },
          context,
        ),
      ];
    },
  },
];

function plain(id, title, load, context) {
  return loadCase({ id, title, durability: nothing, load: { ...load, ...timesOf(context) } });
}
