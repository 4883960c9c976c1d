/**
 * Codec rates on one thread: parse and generate of a 256 B QoS 1 PUBLISH, ours beside `mqtt-packet`;
 * acknowledgements; and where `copyRange` should change from a loop to `Buffer.copy`.
 *
 * Own loops instead of a bench library: one operation takes some 60 ns, less than a library's own
 * call. Every figure is the best of several rounds, because the machine may be shared. The quick
 * tests run it with tiny counts so that it cannot rot.
 */
import { pathToFileURL } from 'node:url';
import mqttPacket from 'mqtt-packet';
import type { Packet } from 'mqtt-packet';
import { Decoder } from '../src/mqtt/decoder.js';
import type { PacketSink } from '../src/mqtt/decoder.js';
import { createPublishExtras, noExtras, publishSize, writeAck, writePublish } from '../src/mqtt/encoder.js';
import type { ProtocolVersion } from '../src/mqtt/packet-type.js';

/** One measured line: operations per second. */
export interface BenchResult {
  readonly name: string;
  readonly perSecond: number;
}

const chunkBytes = 65_536;
const topicName = 'plant/7/line/3/sensor/temperature';

class CountingSink implements PacketSink {
  packets = 0;
  sum = 0;

  onPublish(
    _buffer: Buffer,
    flags: number,
    topicStart: number,
    topicEnd: number,
    packetId: number,
    propertiesStart: number,
    propertiesEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): boolean {
    this.packets++;
    this.sum += flags + topicEnd - topicStart + packetId;
    this.sum += propertiesEnd - propertiesStart + payloadEnd - payloadStart;
    return true;
  }

  onAck(_type: number, packetId: number): boolean {
    this.packets++;
    this.sum += packetId;
    return true;
  }

  onPing(): boolean {
    this.packets++;
    return true;
  }

  onPacket(): boolean {
    this.packets++;
    return true;
  }
}

/** Best rate of `rounds` runs of `run`, which answers how many operations it did. */
function measure(name: string, rounds: number, run: () => number): BenchResult {
  let best = 0;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const operations = run();
    best = Math.max(best, (operations * 1000) / (performance.now() - start));
  }
  return { name, perSecond: best };
}

function publishPacket(version: ProtocolVersion, properties: boolean): Packet {
  return {
    cmd: 'publish',
    topic: topicName,
    payload: Buffer.alloc(256, 0x61),
    qos: 1,
    dup: false,
    retain: false,
    messageId: 4711,
    ...(version === 5 && properties
      ? { properties: { messageExpiryInterval: 60, userProperties: { unit: 'celsius' } } }
      : {}),
  };
}

/** As many whole packets as fit a read chunk. */
function chunkOf(packet: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: Math.floor(chunkBytes / packet.length) }, () => packet));
}

function benchParse(scale: number): BenchResult[] {
  const cases: readonly (readonly [string, ProtocolVersion, Buffer])[] = [
    ['parse PUBLISH 256 B QoS 1, 3.1.1', 4, mqttPacket.generate(publishPacket(4, false))],
    [
      'parse PUBLISH 256 B QoS 1, 5.0',
      5,
      mqttPacket.generate(publishPacket(5, false), { protocolVersion: 5 }),
    ],
    [
      'parse PUBLISH 256 B QoS 1, 5.0, expiry and user property',
      5,
      mqttPacket.generate(publishPacket(5, true), { protocolVersion: 5 }),
    ],
    ['parse PUBACK', 4, Buffer.from([0x40, 2, 0x12, 0x67])],
  ];
  return cases.map(([name, version, packet]) => {
    const chunk = chunkOf(packet);
    const sink = new CountingSink();
    const decoder = new Decoder(sink, {
      maximumPacketSize: 1_048_576,
      packetsPerSliceMax: 1_000_000,
    });
    decoder.setVersion(version);
    return measure(name, 5, () => {
      const before = sink.packets;
      for (let i = 0; i < scale; i++) {
        // An odd cut, so that every chunk but the first completes a carried packet.
        decoder.write(chunk, 0, chunk.length - 100);
        decoder.write(chunk, chunk.length - 100, chunk.length);
      }
      return sink.packets - before;
    });
  });
}

function benchMqttPacketParse(scale: number): BenchResult {
  const chunk = chunkOf(mqttPacket.generate(publishPacket(4, false)));
  let packets = 0;
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  parser.on('packet', () => packets++);
  return measure('mqtt-packet: parse PUBLISH 256 B QoS 1, 3.1.1', 3, () => {
    const before = packets;
    for (let i = 0; i < scale; i++) parser.parse(chunk);
    return packets - before;
  });
}

function benchGenerate(scale: number): BenchResult[] {
  const source = Buffer.alloc(4096, 0x61);
  const topicBytes = topicName.length;
  const target = Buffer.alloc(chunkBytes);
  const identified = createPublishExtras();
  identified.subscriptionIdentifiers = [5];
  identified.messageExpiryInterval = 60;
  // `gap` is what stands between topic and properties in the source: as in a packet, or nothing.
  const cases = [
    ['generate PUBLISH 256 B QoS 1, 3.1.1, from a packet', 4, 0, 2, noExtras],
    ['generate PUBLISH 256 B QoS 1, 5.0, from a packet', 5, 0, 3, noExtras],
    ['generate PUBLISH 256 B QoS 1, 3.1.1', 4, 0, 0, noExtras],
    ['generate PUBLISH 256 B QoS 1, 5.0', 5, 0, 0, noExtras],
    ['generate PUBLISH 256 B QoS 1, 5.0, 30 B properties, expiry, identifier', 5, 30, 0, identified],
  ] as const;
  return cases.map(([name, version, propertyBytes, gap, extras]) => {
    const size = publishSize(version, 1, topicBytes, propertyBytes, 256, extras);
    const perTurn = Math.floor(chunkBytes / size);
    return measure(name, 5, () => {
      for (let turn = 0; turn < scale; turn++) {
        let offset = 0;
        for (let i = 0; i < perTurn; i++) {
          const topicStart = (i * 7) & 1023;
          const start = topicStart + topicBytes + gap;
          offset = writePublish(
            target,
            offset,
            version,
            2,
            i + 1,
            source,
            topicStart,
            topicStart + topicBytes,
            source,
            start,
            start + propertyBytes,
            start + propertyBytes,
            start + propertyBytes + 256,
            extras,
          );
        }
      }
      return scale * perTurn;
    });
  });
}

function benchGenerateAck(scale: number): BenchResult {
  const target = Buffer.alloc(chunkBytes);
  const perTurn = chunkBytes / 4;
  return measure('generate PUBACK', 5, () => {
    for (let turn = 0; turn < scale; turn++) {
      let offset = 0;
      for (let i = 0; i < perTurn; i++) offset = writeAck(target, offset, 4, 4, i + 1, 0);
    }
    return scale * perTurn;
  });
}

function benchMqttPacketGenerate(scale: number): BenchResult {
  const packet = publishPacket(4, false);
  let bytes = 0;
  return measure('mqtt-packet: generate PUBLISH 256 B QoS 1, 3.1.1', 3, () => {
    for (let i = 0; i < scale * 100; i++) bytes += mqttPacket.generate(packet).length;
    return bytes > 0 ? scale * 100 : 0;
  });
}

function benchCopy(scale: number): BenchResult[] {
  const source = Buffer.alloc(8192, 0x61);
  const target = Buffer.alloc(8192);
  const results: BenchResult[] = [];
  for (const length of [16, 32, 64, 128, 256, 512]) {
    results.push(
      measure(`copy ${length} B by a loop`, 3, () => {
        for (let n = 0; n < scale * 1000; n++) {
          const start = n & 1023;
          for (let i = 0; i < length; i++) target[start + i] = source[start + i]!;
        }
        return scale * 1000;
      }),
      measure(`copy ${length} B by Buffer.copy`, 3, () => {
        for (let n = 0; n < scale * 1000; n++) {
          const start = n & 1023;
          source.copy(target, start, start, start + length);
        }
        return scale * 1000;
      }),
    );
  }
  return results;
}

/** Runs every bench; `scale` 1 takes milliseconds and proves only that it runs, 1000 measures. */
export function benchMqtt(scale: number): BenchResult[] {
  return [
    ...benchParse(scale),
    benchMqttPacketParse(Math.ceil(scale / 10)),
    ...benchGenerate(scale),
    benchGenerateAck(Math.ceil(scale / 10)),
    benchMqttPacketGenerate(scale),
    ...benchCopy(scale),
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, perSecond } of benchMqtt(1000)) {
    console.log(`${name.padEnd(72)} ${(perSecond / 1e6).toFixed(2).padStart(7)} M/s`);
  }
}
