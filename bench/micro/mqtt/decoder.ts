/**
 * Parsing on one thread: a read of 64 KiB full of PUBLISH or PUBACK, ours beside `mqtt-packet`. Bench process.
 *
 * Always true: every call ends with as many packets as the read holds; the read is cut at an odd place, so that one
 * packet of each is carried over.
 */
import mqttPacket from 'mqtt-packet';
import { Decoder, type PacketSink } from '../../../src/mqtt/decoder.js';
import type { ProtocolVersion } from '../../../src/mqtt/packet-type.js';
import { measure, same, type Figure, type Task } from '../measure.js';
import { chunkOf, packetsPerChunk, payloadBytes, publishBytes, topicName } from './packet.js';

class CountingSink implements PacketSink {
  packets = 0;
  topicBytes = 0;
  payloadBytes = 0;

  onPublish(
    _buffer: Buffer,
    _flags: number,
    topicStart: number,
    topicEnd: number,
    _packetId: number,
    _propertiesStart: number,
    _propertiesEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): boolean {
    this.packets++;
    this.topicBytes += topicEnd - topicStart;
    this.payloadBytes += payloadEnd - payloadStart;
    return true;
  }

  onRunEnd(): void {}

  onAck(): boolean {
    this.packets++;
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

const puback = Buffer.from([0x40, 2, 0x12, 0x67]);

function ours(name: string, version: ProtocolVersion, packet: Buffer): Task {
  const chunk = chunkOf(packet);
  const operations = packetsPerChunk(packet);
  const isPublish = packet !== puback;
  const sink = new CountingSink();
  const decoder = new Decoder(sink, { maximumPacketSize: 1_048_576, packetsPerSliceMax: 1_000_000 });
  decoder.setVersion(version);
  return {
    name,
    operations,
    run() {
      sink.packets = 0;
      sink.topicBytes = 0;
      sink.payloadBytes = 0;
      decoder.write(chunk, 0, chunk.length - 99);
      decoder.write(chunk, chunk.length - 99, chunk.length);
      same(`${name}: packets`, sink.packets, operations);
      same(`${name}: bytes of topics`, sink.topicBytes, isPublish ? operations * topicName.length : 0);
      same(`${name}: bytes of payload`, sink.payloadBytes, isPublish ? operations * payloadBytes : 0);
    },
  };
}

function theirs(name: string, version: ProtocolVersion, packet: Buffer): Task {
  const chunk = chunkOf(packet);
  const operations = packetsPerChunk(packet);
  const parser = mqttPacket.parser({ protocolVersion: version });
  let packets = 0;
  parser.on('packet', () => packets++);
  return {
    name: `mqtt-packet: ${name}`,
    operations,
    run() {
      packets = 0;
      parser.parse(chunk);
      same(`mqtt-packet: ${name}: packets`, packets, operations);
    },
  };
}

/** Operations are packets. */
export function benchDecoder(scale: number): Figure[] {
  const cases: readonly (readonly [string, ProtocolVersion, Buffer])[] = [
    ['parse PUBLISH 256 B QoS 1, 3.1.1', 4, publishBytes(4, false)],
    ['parse PUBLISH 256 B QoS 1, 5.0', 5, publishBytes(5, false)],
    ['parse PUBLISH 256 B QoS 1, 5.0, expiry and user property', 5, publishBytes(5, true)],
    ['parse PUBACK', 4, puback],
  ];
  return measure(
    scale,
    cases.flatMap(([name, version, packet]) => [ours(name, version, packet), theirs(name, version, packet)]),
  );
}
