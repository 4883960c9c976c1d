/**
 * Valid packets of every type and version, as a start for mutations. Pure.
 *
 * Always true: what is made here is well-formed for its version. Client ids and topics come from small sets,
 * so that cases meet in the same sessions, subscriptions and retained messages, and state stays bounded.
 */
import mqttPacket from 'mqtt-packet';

const topics = ['a', 'a/b', 'a/b/c', 'fuzz/1', 'fuzz/ä', '$SYS/x', 'x'.repeat(300)];
const filters = [
  'a',
  'a/#',
  '+/b',
  '#',
  '+',
  'a/+/c',
  'fuzz/+',
  '$SYS/#',
  '$q/fuzz/#',
  '$queue/jobs',
  '$queue/jobs/fuzz/#',
  '$share/g/a/#',
  '$share/h/+',
];
/** Topics and filters that are refused, some of them with the end of the connection. */
const oddTopics = ['$q/a', '$queue/b', '$share/g/a'];
const oddFilters = ['$share//a', '$share/g', 'a/#/b', ''];
const clientIds = Array.from({ length: 24 }, (_, i) => `fuzz-${i}`);

/** Packets of a client's daily life. */
const clientTypes = [
  'publish',
  'publish',
  'publish',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'subscribe',
  'unsubscribe',
  'pingreq',
];

/** Packets that end the connection, or that only a server sends. */
const finalTypes = ['disconnect', 'auth', 'connect', 'connack', 'suback', 'unsuback', 'pingresp'];

/** Every packet type that a peer could send. */
export const packetTypes = [...new Set([...clientTypes, ...finalTypes])];

/** A type, mostly one behind which the connection goes on. */
export function packetTypeOf(random) {
  return random.pick(random.chance(0.93) ? clientTypes : finalTypes);
}

/** A valid CONNECT. */
export function connectPacket(random, version) {
  const packet = {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clean: random.chance(0.6),
    clientId: random.chance(0.95) ? random.pick(clientIds) : '',
    keepalive: random.pick([0, 1, 60, 65_535]),
  };
  if (packet.clientId === '') packet.clean = true;
  if (packet.clientId === '' && version === 3) packet.clientId = random.pick(clientIds);
  if (random.chance(0.3)) packet.username = random.pick(['u', 'ü', 'user']);
  if (packet.username !== undefined && random.chance(0.5)) packet.password = Buffer.from('secret');
  if (random.chance(0.3)) {
    packet.will = {
      topic: random.pick(topics.slice(0, 5)),
      payload: random.bytes(random.below(20)),
      qos: random.below(3),
      retain: random.chance(0.3),
    };
    if (version === 5 && random.chance(0.6)) {
      packet.will.properties = { willDelayInterval: random.below(3), ...messageProperties(random) };
      delete packet.will.properties.topicAlias;
    }
  }
  if (version === 5 && random.chance(0.7)) {
    packet.properties = {
      sessionExpiryInterval: random.pick([0, 1, 2, 3600, 0xffff_ffff]),
      receiveMaximum: random.pick([1, 2, 10, 65_535]),
      topicAliasMaximum: random.pick([0, 1, 10, 65_535]),
      maximumPacketSize: random.pick([20, 40, 100, 1000, 268_435_460]),
      requestResponseInformation: random.chance(0.5),
      requestProblemInformation: random.chance(0.5),
      userProperties: { a: 'b', c: ['d', 'e'] },
    };
    for (const name of Object.keys(packet.properties)) if (random.chance(0.4)) delete packet.properties[name];
    if (random.chance(0.05)) packet.properties.authenticationMethod = random.pick(['SCRAM-SHA-256', 'x', '']);
    if (packet.properties.authenticationMethod !== undefined && random.chance(0.7)) {
      packet.properties.authenticationData = Buffer.from('n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL');
    }
  }
  return packet;
}

function messageProperties(random) {
  const properties = {
    payloadFormatIndicator: random.chance(0.5),
    messageExpiryInterval: random.pick([0, 1, 3600, 0xffff_ffff]),
    topicAlias: random.pick([1, 2, 10]),
    responseTopic: random.pick(topics.slice(0, 5)),
    correlationData: random.bytes(random.below(16)),
    userProperties: { a: 'b', c: ['d', 'e'] },
    contentType: 'text/plain',
  };
  for (const name of Object.keys(properties)) if (random.chance(0.6)) delete properties[name];
  return properties;
}

function packetOf(random, type, version) {
  const messageId = random.pick([1, 2, 3, 4, 5, 255, 256, 65_535]);
  const withProperties = version === 5 && random.chance(0.5);
  switch (type) {
    case 'connect':
      return connectPacket(random, version);
    case 'publish': {
      const qos = random.below(3);
      const packet = {
        cmd: 'publish',
        topic: random.pick(random.chance(0.97) ? topics : oddTopics),
        payload: random.bytes(random.chance(0.05) ? 5000 : random.below(40)),
        qos,
        dup: qos > 0 && random.chance(0.3),
        retain: random.chance(0.2),
        messageId,
      };
      if (withProperties) packet.properties = messageProperties(random);
      if (packet.properties?.topicAlias !== undefined && random.chance(0.3)) packet.topic = '';
      return packet;
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const packet = { cmd: type, messageId };
      if (version === 5 && random.chance(0.5))
        packet.reasonCode = type === 'pubrel' || type === 'pubcomp' ? 0x92 : 0x80;
      if (withProperties) packet.properties = { reasonString: 'why', userProperties: { a: 'b' } };
      return packet;
    }
    case 'subscribe':
      return {
        cmd: 'subscribe',
        messageId,
        subscriptions: Array.from({ length: 1 + random.below(4) }, () => ({
          topic: random.pick(random.chance(0.97) ? filters : oddFilters),
          qos: random.below(3),
          ...(version === 5 ? { nl: random.chance(0.2), rap: random.chance(0.3), rh: random.below(3) } : {}),
        })),
        ...(withProperties
          ? { properties: { subscriptionIdentifier: random.pick([1, 127, 128, 268_435_455]) } }
          : {}),
      };
    case 'unsubscribe':
      return {
        cmd: 'unsubscribe',
        messageId,
        unsubscriptions: Array.from({ length: 1 + random.below(3) }, () =>
          random.pick(random.chance(0.97) ? filters : oddFilters),
        ),
        ...(withProperties ? { properties: { userProperties: { a: 'b' } } } : {}),
      };
    case 'connack':
      return { cmd: 'connack', returnCode: 0, reasonCode: 0, sessionPresent: false };
    case 'suback':
    case 'unsuback':
      return { cmd: type, messageId, granted: [0] };
    case 'disconnect':
      return {
        cmd: 'disconnect',
        ...(version === 5 ? { reasonCode: random.pick([0, 4, 0x81]) } : {}),
        ...(withProperties ? { properties: { sessionExpiryInterval: random.pick([0, 1, 3600]) } } : {}),
      };
    case 'auth':
      return {
        cmd: 'auth',
        reasonCode: random.pick([0, 0x18, 0x19]),
        properties: {
          authenticationMethod: 'SCRAM-SHA-256',
          authenticationData: Buffer.from('c=biws,r=x,p=y'),
        },
      };
    default:
      return { cmd: type };
  }
}

/** The bytes of a valid packet of `type` in `version` (AUTH exists in 5 only; elsewhere it comes in its MQTT 5 form). */
export function packetBytes(random, type, version) {
  const packet = packetOf(random, type, version);
  return mqttPacket.generate(packet, { protocolVersion: type === 'auth' ? 5 : version });
}

/** The bytes of a valid CONNECT in `version`. */
export function connectBytes(random, version) {
  return mqttPacket.generate(connectPacket(random, version), { protocolVersion: version });
}
