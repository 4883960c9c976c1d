/** The encoder against `mqtt-packet`, its sizes, and the property copy. Quick tier. */
import mqttPacket from 'mqtt-packet';
import type { IPublishPacket, Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import {
  ackBytesMax,
  ackSize,
  createPublishExtras,
  encodePacket,
  noExtras,
  pingBytes,
  publishSize,
  writeAck,
  writePingreq,
  writePingresp,
  writePublish,
} from '../../src/mqtt/encoder.js';
import type { AckType, ProtocolVersion } from '../../src/mqtt/packet-type.js';
import { packetName, packetType } from '../../src/mqtt/packet-type.js';
import {
  copyStoredProperties,
  createPropertyScan,
  isStoredForm,
  nextProperty,
  scanProperties,
  stripForStore,
} from '../../src/mqtt/property-scan.js';
import { readVarint, varintMax, varintSize, writeVarint } from '../../src/mqtt/varint.js';
import { publishProperties, randomConnect, randomPacket, randomTopic, readAll, toBytes } from './packets.js';
import { Random, testSeed } from './random.js';

const seed = testSeed();
const versions: readonly ProtocolVersion[] = [3, 4, 5];

/** Property bytes of a PUBLISH, without their length. */
function encodeProperties(properties: Record<string, unknown> | undefined): Buffer {
  const packet = { cmd: 'publish', topic: 't', payload: '', qos: 0, dup: false, retain: false };
  const bytes = toBytes((properties === undefined ? packet : { ...packet, properties }) as Packet, 5);
  const lengthAt = (bytes[1]! < 128 ? 2 : 3) + 3;
  const length = readVarint(bytes, lengthAt, bytes.length);
  return bytes.subarray(lengthAt + varintSize(length));
}

/** Without the properties that `copyStoredProperties` drops. */
function stored(properties: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (properties === undefined) return undefined;
  const {
    topicAlias: _alias,
    messageExpiryInterval: _expiry,
    subscriptionIdentifier: _id,
    ...rest
  } = properties;
  return rest;
}

describe('PUBLISH', () => {
  test(`what is written from byte ranges is what mqtt-packet writes, to the announced size, seed ${seed} [broker]`, () => {
    const random = new Random(seed);
    for (let i = 0; i < 3000; i++) {
      const version = random.pick(versions);
      const qos = random.below(3);
      const messageProperties = version === 5 ? stored(publishProperties(random)) : undefined;
      const packet = {
        cmd: 'publish',
        topic: randomTopic(random),
        payload: random.bytes(random.below(300)),
        qos,
        dup: qos > 0 && random.chance(0.5),
        retain: random.chance(0.5),
        ...(qos > 0 ? { messageId: 1 + random.below(65_535) } : {}),
        ...(messageProperties === undefined ? {} : { properties: messageProperties }),
      } as IPublishPacket;
      const expected = toBytes(packet, version);

      const topic = Buffer.from(packet.topic);
      const properties = encodeProperties(messageProperties);
      const payload = packet.payload as Buffer;
      // Ranges behind one another with a random gap; a gap as in a packet takes the one-copy path.
      const gap = random.chance(0.5) ? expected.length - 1 : 0;
      const idBytes = qos > 0 ? 2 : 0;
      const lengthBytes = version === 5 ? varintSize(properties.length) : 0;
      const filler = random.chance(0.6) ? idBytes + lengthBytes : gap % 7;
      const source = Buffer.concat([Buffer.alloc(3), topic, Buffer.alloc(filler, 0xee), properties, payload]);
      const topicEnd = 3 + topic.length;
      const propertiesStart = topicEnd + filler;
      const propertiesEnd = propertiesStart + properties.length;
      const isSameBuffer = random.chance(0.7);
      const flags = (packet.dup ? 8 : 0) | (qos << 1) | (packet.retain ? 1 : 0);
      const size = publishSize(version, qos, topic.length, properties.length, payload.length, noExtras);
      const target = Buffer.alloc(size + 10, 0xcc);
      const end = writePublish(
        target,
        5,
        version,
        flags,
        packet.messageId ?? 0,
        isSameBuffer ? source : topic,
        isSameBuffer ? 3 : 0,
        isSameBuffer ? topicEnd : topic.length,
        source,
        propertiesStart,
        propertiesEnd,
        propertiesEnd,
        propertiesEnd + payload.length,
        noExtras,
      );
      expect(end).toBe(5 + size);
      expect(target.subarray(5, end).toString('hex')).toBe(expected.toString('hex'));
      expect(target.subarray(end).every((byte) => byte === 0xcc)).toBe(true);
    }
  });

  test(`alias, expiry, identifiers and added properties of a delivery arrive, seed ${seed} [MQTT-3.3.4-4]`, () => {
    const random = new Random(seed + 1);
    for (let i = 0; i < 1000; i++) {
      const own = stored(publishProperties(random));
      const properties = encodeProperties(own);
      const payload = random.bytes(random.below(100));
      const source = Buffer.concat([properties, payload]);
      const extras = createPublishExtras();
      if (random.chance(0.5)) extras.topicAlias = 1 + random.below(65_535);
      if (random.chance(0.5)) extras.messageExpiryInterval = random.below(4_294_967_296);
      const identifiers = Array.from({ length: random.below(4) }, () => 1 + random.below(varintMax));
      extras.subscriptionIdentifiers = random.chance(0.5) ? identifiers : Uint32Array.from(identifiers);
      const isAppended = random.chance(0.5);
      if (isAppended) extras.appended = encodeProperties({ userProperties: { 'sluice-attempt': '2' } });
      const topic = extras.topicAlias !== 0 && random.chance(0.5) ? Buffer.alloc(0) : Buffer.from('a/b');
      const size = publishSize(5, 1, topic.length, properties.length, payload.length, extras);
      const target = Buffer.alloc(size);
      const end = writePublish(
        target,
        0,
        5,
        2,
        77,
        topic,
        0,
        topic.length,
        source,
        0,
        properties.length,
        properties.length,
        source.length,
        extras,
      );
      expect(end).toBe(size);
      const [read] = readAll(target, 5) as [IPublishPacket];
      const userProperties = { ...(own?.['userProperties'] as object) } as Record<string, unknown>;
      if (isAppended) userProperties['sluice-attempt'] = '2';
      expect(read.topic).toBe(topic.toString());
      expect((read.payload as Buffer).equals(payload)).toBe(true);
      expect({ ...read.properties, userProperties: { ...read.properties?.userProperties } }).toEqual({
        ...own,
        userProperties,
        ...(extras.topicAlias === 0 ? {} : { topicAlias: extras.topicAlias }),
        ...(extras.messageExpiryInterval < 0 ? {} : { messageExpiryInterval: extras.messageExpiryInterval }),
        ...(identifiers.length === 0
          ? {}
          : { subscriptionIdentifier: identifiers.length === 1 ? identifiers[0] : identifiers }),
      });
    }
  });

  test('properties and extras are left out before MQTT 5 [broker]', () => {
    const extras = createPublishExtras();
    extras.messageExpiryInterval = 5;
    extras.subscriptionIdentifiers = [1];
    const source = Buffer.from([1, 1, 0x70]);
    const target = Buffer.alloc(publishSize(4, 0, 1, 2, 1, extras));
    const end = writePublish(target, 0, 4, 0, 0, Buffer.from('t'), 0, 1, source, 0, 2, 2, 3, extras);
    expect(end).toBe(target.length);
    expect(target.toString('hex')).toBe('300400017470');
  });
});

describe('acknowledgements', () => {
  test('PUBACK, PUBREC, PUBREL and PUBCOMP are read back as written in every version [MQTT-3.4.2-1]', () => {
    for (const version of versions) {
      for (const type of [
        packetType.puback,
        packetType.pubrec,
        packetType.pubrel,
        packetType.pubcomp,
      ] as AckType[]) {
        for (const reasonCode of [0, type >= packetType.pubrel ? 0x92 : 0x97]) {
          const target = Buffer.alloc(ackBytesMax + 2, 0xcc);
          const end = writeAck(target, 1, type, version, 0xfedc, reasonCode);
          expect(end - 1).toBe(ackSize(version, reasonCode));
          const [read] = readAll(target.subarray(1, end), version);
          expect(read).toMatchObject({ cmd: packetName(type), messageId: 0xfedc });
          if (version === 5) expect(read).toMatchObject({ reasonCode });
          expect(target[end]).toBe(0xcc);
        }
      }
    }
  });

  test('PINGREQ and PINGRESP are two bytes [MQTT-3.12.4-1]', () => {
    const target = Buffer.alloc(4);
    expect(writePingresp(target, writePingreq(target, 0))).toBe(2 * pingBytes);
    expect(target.toString('hex')).toBe('c000d000');
  });
});

describe('other packets', () => {
  test(`encodePacket writes what mqtt-packet writes, seed ${seed} [broker]`, () => {
    const random = new Random(seed + 2);
    for (let i = 0; i < 300; i++) {
      const version = random.pick(versions);
      const packet = random.chance(0.2) ? randomConnect(random, version) : randomPacket(random, version);
      expect(
        encodePacket(packet, version).equals(mqttPacket.generate(packet, { protocolVersion: version })),
      ).toBe(true);
    }
  });

  test('a packet that cannot be encoded is our own fault and throws [broker]', () => {
    expect(() => encodePacket({ cmd: 'suback', granted: [] } as never, 5)).toThrow(/Invalid|Unhandled/);
  });
});

describe('variable byte integers', () => {
  test('every width is written shortest and read back [MQTT-1.5.5-1]', () => {
    for (const value of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, varintMax]) {
      const target = Buffer.alloc(6, 0xff);
      const end = writeVarint(target, 1, value);
      expect(end - 1).toBe(varintSize(value));
      expect(readVarint(target, 1, end)).toBe(value);
      expect(() => readVarint(target, 1, end - 1)).toThrow('cut off');
    }
  });

  test('a form that is not the shortest or has five bytes is refused [MQTT-1.5.5-1]', () => {
    for (const bytes of [
      [0x80, 0],
      [0xff, 0x80, 0],
      [0x80, 0x80, 0x80, 0],
      [0x80, 0x80, 0x80, 0x80, 1],
    ]) {
      expect(() => readVarint(Buffer.from(bytes), 0, bytes.length)).toThrow('MQTT-1.5.5-1');
    }
  });
});

describe('stored properties', () => {
  test(`alias, expiry and identifiers are dropped, all others keep bytes and order, seed ${seed} [MQTT-3.3.2-18]`, () => {
    const random = new Random(seed + 3);
    for (let i = 0; i < 2000; i++) {
      const properties = publishProperties(random) ?? {};
      if (random.chance(0.3)) properties['subscriptionIdentifier'] = [1, 300, 5];
      const encoded = encodeProperties(properties);
      // Properties cut apart and put together again in random order: any order is allowed.
      const pieces: Buffer[] = [];
      for (let pos = 0; pos < encoded.length;) {
        const next = nextProperty(encoded, pos, encoded.length);
        pieces.splice(random.below(pieces.length + 1), 0, encoded.subarray(pos, next));
        pos = next;
      }
      const shuffled = Buffer.concat(pieces);
      const kept = Buffer.concat(pieces.filter((piece) => ![0x23, 0x02, 0x0b].includes(piece[0]!)));

      const scan = createPropertyScan();
      scanProperties(shuffled, 0, shuffled.length, packetType.publish, scan);
      expect(isStoredForm(scan)).toBe(kept.length === shuffled.length);
      expect(scan.topicAlias).toBe(properties['topicAlias'] ?? 0);
      expect(scan.messageExpiryInterval).toBe(properties['messageExpiryInterval'] ?? -1);
      expect(scan.subscriptionIdentifierCount).toBe(
        properties['subscriptionIdentifier'] === undefined ? 0 : 3,
      );

      expect(stripForStore(shuffled).equals(kept)).toBe(true);
      const end = copyStoredProperties(shuffled, 0, shuffled.length, shuffled, 0);
      expect(shuffled.subarray(0, end).equals(kept)).toBe(true);
    }
  });
});
