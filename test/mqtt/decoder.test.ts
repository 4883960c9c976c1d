/**
 * The decoder against `mqtt-packet` on generated packets, at every split point, and under pauses.
 * Quick tier. `SLUICE_TEST_SEED` repeats a run.
 */
import type { IPublishPacket, Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { Decoder } from '../../src/mqtt/decoder.js';
import type { DecoderOptions } from '../../src/mqtt/decoder.js';
import type { ProtocolVersion } from '../../src/mqtt/packet-type.js';
import { publishProperties, randomConnect, randomPacket, readAll, toBytes } from './packets.js';
import { Random, testSeed } from './random.js';
import { RecordingSink } from './recording-sink.js';
import type { Seen } from './recording-sink.js';

const seed = testSeed();
const versions: readonly ProtocolVersion[] = [3, 4, 5];
const generous: DecoderOptions = {
  maximumPacketSize: 1_000_000,
  topicAliasMaximum: 10,
  packetsPerSliceMax: 1_000_000,
};

function started(version: ProtocolVersion, options: Partial<DecoderOptions> = {}) {
  const sink = new RecordingSink();
  const decoder = new Decoder(sink, { ...generous, ...options });
  decoder.setVersion(version);
  return { sink, decoder };
}

/** What `mqtt-packet` says about a packet, in the words of `Seen`. */
function expected(packet: Packet, bytes: Buffer, version: ProtocolVersion): Seen {
  switch (packet.cmd) {
    case 'publish':
      return expectedPublish(packet, version);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const tail = version === 5 && bytes.length > 6 ? bytes.subarray(6).toString('hex') : '';
      return {
        cmd: 'ack',
        type: packet.cmd,
        packetId: packet.messageId!,
        reasonCode: packet.reasonCode ?? 0,
        properties: tail,
      };
    }
    case 'pingreq':
      return { cmd: 'ping' };
    default:
      return { cmd: 'control', packet, frame: bytes.toString('hex') };
  }
}

function expectedPublish(packet: IPublishPacket, version: ProtocolVersion): Seen {
  const empty = { ...packet, payload: Buffer.alloc(0), qos: 0 as const, dup: false };
  const topicBytes = Buffer.byteLength(packet.topic);
  // The bytes of the properties: what stands after the topic when there is nothing else.
  const bytes = toBytes(empty, version);
  const body = bytes.subarray(bytes.length - propertyBytes(bytes, topicBytes, version));
  return {
    cmd: 'publish',
    qos: packet.qos,
    dup: packet.dup,
    retain: packet.retain,
    topic: packet.topic,
    packetId: packet.messageId ?? 0,
    properties: body.toString('hex'),
    payload: Buffer.from(packet.payload).toString('hex'),
    topicAlias: packet.properties?.topicAlias ?? 0,
    messageExpiryInterval: packet.properties?.messageExpiryInterval ?? -1,
  };
}

function propertyBytes(bytes: Buffer, topicBytes: number, version: ProtocolVersion): number {
  if (version < 5) return 0;
  const header = bytes[1]! < 128 ? 2 : 3;
  const lengthAt = header + 2 + topicBytes;
  const lengthWidth = bytes[lengthAt]! < 128 ? 1 : 2;
  return bytes.length - lengthAt - lengthWidth;
}

/** `bytesMax` bounds the size of one packet. */
function randomStream(random: Random, version: ProtocolVersion, count: number, bytesMax = Infinity) {
  const parts: Buffer[] = [];
  const expectations: Seen[] = [];
  while (parts.length < count) {
    const bytes = toBytes(randomPacket(random, version), version);
    if (bytes.length > bytesMax) continue;
    const [read] = readAll(bytes, version);
    parts.push(bytes);
    expectations.push(expected(read!, bytes, version));
  }
  return { bytes: Buffer.concat(parts), expectations };
}

describe('differential', () => {
  for (const version of versions) {
    test(`2000 generated packets of version ${version} are read as mqtt-packet reads them, seed ${seed} [broker]`, () => {
      const random = new Random(seed + version);
      const { bytes, expectations } = randomStream(random, version, 2000);
      const { sink, decoder } = started(version);
      expect(decoder.write(bytes)).toBe('ready');
      expect(decoder.carriedBytes).toBe(0);
      expect(sink.seen).toEqual(expectations);
    });

    test(`500 generated CONNECT packets of version ${version} are read as mqtt-packet reads them, seed ${seed} [broker]`, () => {
      const random = new Random(seed + 10 + version);
      for (let i = 0; i < 500; i++) {
        const bytes = toBytes(randomConnect(random, version), version);
        const [read] = readAll(bytes, version);
        const sink = new RecordingSink();
        const decoder = new Decoder(sink, generous);
        expect(decoder.write(bytes)).toBe('ready');
        expect(sink.seen).toEqual([{ cmd: 'control', packet: read, frame: bytes.toString('hex') }]);
        expect(decoder.connectVersion).toBe(version);
      }
    });
  }
});

describe('chunks', () => {
  for (const version of versions) {
    test(`a stream of version ${version} cut in two at any byte gives the same packets, seed ${seed} [MQTT-4.2-1]`, () => {
      const { bytes, expectations } = randomStream(new Random(seed + 20 + version), version, 12, 300);
      const chunk = Buffer.alloc(bytes.length);
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { sink, decoder } = started(version);
        // One shared chunk that is overwritten after each write, as a socket's read buffer is.
        bytes.copy(chunk, 0, 0, cut);
        decoder.write(chunk, 0, cut);
        chunk.fill(0xee);
        bytes.copy(chunk, 0, cut);
        decoder.write(chunk, 0, bytes.length - cut);
        chunk.fill(0xee);
        if (sink.seen.length !== expectations.length) expect(cut).toBe('complete');
        if (cut % 97 === 0) expect(sink.seen).toEqual(expectations);
        expect(decoder.carriedBytes).toBe(0);
      }
    });

    test(`a stream of version ${version} in random chunks gives the same packets, seed ${seed} [MQTT-4.2-1]`, () => {
      const random = new Random(seed + 30 + version);
      const { bytes, expectations } = randomStream(random, version, 300);
      for (const largest of [1, 2, 3, 7, 50, 1000, 9000]) {
        const { sink, decoder } = started(version);
        const chunk = Buffer.alloc(largest);
        for (let pos = 0; pos < bytes.length;) {
          const size = Math.min(1 + random.below(largest), bytes.length - pos);
          bytes.copy(chunk, 0, pos, pos + size);
          decoder.write(chunk, 0, size);
          chunk.fill(0xee);
          pos += size;
        }
        expect(sink.seen).toEqual(expectations);
        expect(decoder.carriedBytes).toBe(0);
      }
    });
  }

  test('a partial packet takes memory for the bytes that came, not for the length it claims [broker]', () => {
    const { decoder } = started(4, { maximumPacketSize: 268_435_460 });
    const before = process.memoryUsage().arrayBuffers;
    decoder.write(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61]));
    expect(decoder.carriedBytes).toBe(8);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });
});

describe('pauses', () => {
  test('a refused packet and all behind it are delivered again, in order, exactly once [broker]', () => {
    for (const version of versions) {
      const random = new Random(seed + 40 + version);
      const { bytes, expectations } = randomStream(random, version, 200);
      const { sink, decoder } = started(version);
      sink.answer = () => random.chance(0.6);
      const chunk = Buffer.alloc(3000);
      for (let pos = 0; pos < bytes.length;) {
        const size = Math.min(1 + random.below(3000), bytes.length - pos);
        bytes.copy(chunk, 0, pos, pos + size);
        let state = decoder.write(chunk, 0, size);
        chunk.fill(0xee);
        pos += size;
        // Now and then more bytes come in although the decoder is held.
        while (state === 'held' && random.chance(0.8)) state = decoder.resume();
      }
      while (decoder.state === 'held') decoder.resume();
      expect(decoder.state).toBe('ready');
      expect(sink.seen).toEqual(expectations);
      expect(decoder.carriedBytes).toBe(0);
    }
  });

  test('one write delivers at most the packets of a slice, resume the next slice [broker]', () => {
    const { sink, decoder } = started(4, { packetsPerSliceMax: 3 });
    const ping = Buffer.from([0xc0, 0]);
    expect(decoder.write(Buffer.concat(Array.from({ length: 8 }, () => ping)))).toBe('slice-used');
    expect(sink.seen.length).toBe(3);
    expect(decoder.resume()).toBe('slice-used');
    expect(sink.seen.length).toBe(6);
    expect(decoder.resume()).toBe('ready');
    expect(sink.seen.length).toBe(8);
    expect(decoder.carriedBytes).toBe(0);
  });

  test('a slice that ends with the last packet is not reported as used up [broker]', () => {
    const { decoder } = started(4, { packetsPerSliceMax: 2 });
    expect(decoder.write(Buffer.from([0xc0, 0, 0xc0, 0]))).toBe('ready');
  });

  test('stop in a sink call keeps what follows that packet until resume [broker]', () => {
    const { sink, decoder } = started(4);
    sink.onSeen = () => decoder.stop();
    expect(decoder.write(Buffer.from([0xc0, 0, 0xc0, 0, 0xc0]))).toBe('stopped');
    expect(sink.seen.length).toBe(1);
    expect(decoder.carriedBytes).toBe(3);
    expect(decoder.resume()).toBe('stopped');
    sink.onSeen = () => {};
    expect(decoder.write(Buffer.from([0]))).toBe('stopped');
    expect(decoder.resume()).toBe('ready');
    expect(sink.seen.length).toBe(3);
  });

  test('close in a sink call ends delivery at once and gives the memory back [broker]', () => {
    const { sink, decoder } = started(4);
    decoder.write(Buffer.from([0xc0]));
    sink.onSeen = () => decoder.close();
    expect(decoder.write(Buffer.from([0, 0xc0, 0, 0xc0, 0]))).toBe('closed');
    expect(sink.seen.length).toBe(1);
    expect(decoder.carriedBytes).toBe(0);
    expect(decoder.write(Buffer.from([0xc0, 0]))).toBe('closed');
    expect(decoder.resume()).toBe('closed');
    expect(sink.seen.length).toBe(1);
  });

  test('a CONNECT that is stopped on is followed by packets of the version it set [MQTT-3.1.0-1]', () => {
    const sink = new RecordingSink();
    const decoder = new Decoder(sink, generous);
    sink.onSeen = () => decoder.stop();
    const connect = toBytes(randomConnect(new Random(seed), 5), 5);
    const publish = toBytes(
      { cmd: 'publish', topic: 't', payload: 'p', qos: 0, dup: false, retain: false },
      5,
    );
    expect(decoder.write(Buffer.concat([connect, publish]))).toBe('stopped');
    sink.onSeen = () => {};
    decoder.setVersion(5);
    expect(decoder.resume()).toBe('ready');
    expect(sink.seen[1]).toMatchObject({ cmd: 'publish', topic: 't', payload: '70', properties: '' });
  });

  test('a sink that calls back into the decoder is caught as our own fault [broker]', () => {
    const { sink, decoder } = started(4);
    sink.onSeen = () => void decoder.resume();
    expect(() => decoder.write(Buffer.from([0xc0, 0]))).toThrow('called back');
  });
});

describe('property scan', () => {
  test(`alias and expiry of generated PUBLISH properties are found wherever they stand, seed ${seed} [MQTT-3.3.2-6]`, () => {
    const random = new Random(seed + 50);
    for (let i = 0; i < 2000; i++) {
      const properties = publishProperties(random);
      const packet = {
        cmd: 'publish',
        topic: 't',
        payload: '',
        qos: 0,
        dup: false,
        retain: false,
        ...(properties === undefined ? {} : { properties }),
      } as Packet;
      const { sink, decoder } = started(5);
      decoder.write(toBytes(packet, 5));
      expect(sink.seen[0]).toMatchObject({
        topicAlias: properties?.['topicAlias'] ?? 0,
        messageExpiryInterval: properties?.['messageExpiryInterval'] ?? -1,
      });
    }
  });
});
