/**
 * The few MQTT packets a load process writes and reads, as bytes. Runs in the load processes.
 *
 * Always true: a packet handed to a handler is complete; bytes of an incomplete one are carried over to the
 * next chunk. Packet bodies are never decoded beyond the fields that the ledger needs. What it gives up:
 * no will; of the properties only Receive Maximum of CONNACK is read. The bytes are those of MQTT 3.1.1 and 5.0 chapters 2 and 3.
 */

export const CONNACK = 0x20;
export const PUBLISH = 0x30;
export const PUBACK = 0x40;
export const PUBREC = 0x50;
export const PUBREL = 0x60;
export const PUBCOMP = 0x70;
export const SUBACK = 0x90;

/** Bytes at the start of every payload: publisher u32, sequence u32, send time f64 (ms since the epoch), all big-endian. */
export const STAMP_BYTES = 16;

const text = new TextEncoder();

function stringField(value) {
  const body = text.encode(value);
  return Uint8Array.of(body.length >> 8, body.length & 0xff, ...body);
}

function remainingLength(value) {
  const bytes = [];
  let rest = value;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function packet(firstByte, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(firstByte, ...remainingLength(body.length)), body]);
}

/**
 * CONNECT with no keep alive and, for MQTT 5, Receive Maximum 65535. `protocolVersion` is 4 or 5. A `lasting` session
 * outlives its connection (for an hour with MQTT 5); any other starts clean.
 */
export function connectPacket(clientId, protocolVersion, lasting = false) {
  const sessionExpiry = lasting ? [0x11, 0, 0, 0x0e, 0x10] : [];
  const properties =
    protocolVersion === 5
      ? Uint8Array.of(3 + sessionExpiry.length, 0x21, 0xff, 0xff, ...sessionExpiry)
      : new Uint8Array(0);
  return packet(
    0x10,
    stringField('MQTT'),
    Uint8Array.of(protocolVersion, lasting ? 0 : 0x02, 0, 0),
    properties,
    stringField(clientId),
  );
}

/** Receive Maximum of the CONNACK body `buffer[start, end)` of MQTT 5; 65535 when it has none. */
export function receiveMaximumOf(buffer, start, end) {
  const LENGTHS = {
    0x11: 4,
    0x21: 2,
    0x24: 1,
    0x25: 1,
    0x27: 4,
    0x22: 2,
    0x28: 1,
    0x29: 1,
    0x2a: 1,
    0x13: 2,
  };
  let position = start + 2;
  while (position < end && buffer[position] >= 0x80) position += 1;
  position += 1;
  while (position < end) {
    const id = buffer[position];
    if (id === 0x21) return buffer.readUInt16BE(position + 1);
    const strings = id === 0x26 ? 2 : LENGTHS[id] === undefined ? 1 : 0;
    position += 1 + (LENGTHS[id] ?? 0);
    for (let index = 0; index < strings; index += 1) position += 2 + buffer.readUInt16BE(position);
  }
  return 65535;
}

/** SUBSCRIBE with packet id 1 to `topicFilters`, all with the same `qos`. */
export function subscribePacket(topicFilters, qos, protocolVersion) {
  const properties = protocolVersion === 5 ? Uint8Array.of(0) : new Uint8Array(0);
  return packet(
    0x82,
    Uint8Array.of(0, 1),
    properties,
    ...topicFilters.flatMap((filter) => [stringField(filter), Uint8Array.of(qos)]),
  );
}

export const DISCONNECT_BYTES = Buffer.of(0xe0, 0);

/**
 * `count` PUBLISH packets in one buffer, all of one size; packet `i` has packet id `i + 1` (QoS 0 has none).
 * `topicName` is one, or a list of names of one length that the packets have in turn. `stampOffset` is where the payload
 * starts inside each. With `keys` (MQTT 5) packet `i` carries the user property `key` = `key-<i mod keys>`, padded to one
 * length. `retain` sets the flag of that name.
 */
export function publishSlots(topicName, payloadBytes, qos, protocolVersion, count, keys = 0, retain = false) {
  const topicNames = [topicName].flat();
  const firstByte = PUBLISH | (qos << 1) | (retain ? 1 : 0);
  const payload = Buffer.alloc(payloadBytes, 0x2e);
  const packetAt = (slot) => {
    const properties = keys > 0 ? keyProperty(slot % keys) : new Uint8Array(0);
    const head = Buffer.concat([
      stringField(topicNames[slot % topicNames.length]),
      qos > 0 ? Uint8Array.of(((slot + 1) >> 8) & 0xff, (slot + 1) & 0xff) : new Uint8Array(0),
      protocolVersion === 5 ? Uint8Array.of(...remainingLength(properties.length)) : new Uint8Array(0),
      properties,
    ]);
    return packet(firstByte, head, payload);
  };
  const packetBytes = packetAt(0).length;
  const stampOffset = packetBytes - payloadBytes;
  const buffer = Buffer.alloc(packetBytes * count);
  for (let slot = 0; slot < count; slot += 1) packetAt(slot).copy(buffer, slot * packetBytes);
  return { buffer, packetBytes, stampOffset };
}

/** User Property 0x26 of MQTT 5 section 3.3.2.3.7. */
function keyProperty(index) {
  return Buffer.concat([
    Uint8Array.of(0x26),
    stringField('key'),
    stringField(`key-${String(index).padStart(7, '0')}`),
  ]);
}

/**
 * Cuts a byte stream into packets. `onPacket(firstByte, buffer, start, end)` gets the body's range; the
 * buffer belongs to the reader and is only valid during the call.
 */
export class PacketReader {
  #carry = Buffer.alloc(0);
  #carryBytes = 0;
  #onPacket;

  constructor(onPacket) {
    this.#onPacket = onPacket;
  }

  /** Takes the first `length` bytes of `chunk`; they may be overwritten after the call. */
  push(chunk, length) {
    let position = 0;
    if (this.#carryBytes > 0) {
      position = this.#completeCarried(chunk, length);
      if (position < 0) return;
    }
    position = this.#cut(chunk, position, length);
    this.#keep(chunk, position, length);
  }

  /** Hands on every whole packet of the range; answers where the first incomplete one starts. */
  #cut(buffer, from, to) {
    const onPacket = this.#onPacket;
    let start = from;
    for (;;) {
      if (to - start < 2) return start;
      let position = start + 1;
      let byte = buffer[position];
      let bodyBytes = byte & 0x7f;
      position += 1;
      for (let shift = 7; byte >= 0x80; shift += 7) {
        if (position >= to) return start;
        byte = buffer[position];
        position += 1;
        bodyBytes |= (byte & 0x7f) << shift;
      }
      if (position + bodyBytes > to) return start;
      onPacket(buffer[start], buffer, position, position + bodyBytes);
      start = position + bodyBytes;
    }
  }

  #keep(chunk, from, to) {
    const bytes = to - from;
    if (bytes === 0) return;
    this.#reserve(bytes);
    chunk.copy(this.#carry, this.#carryBytes, from, to);
    this.#carryBytes += bytes;
  }

  #reserve(bytes) {
    if (this.#carryBytes + bytes <= this.#carry.length) return;
    const larger = Buffer.allocUnsafe(Math.max(512, this.#carry.length * 2, this.#carryBytes + bytes));
    this.#carry.copy(larger, 0, 0, this.#carryBytes);
    this.#carry = larger;
  }

  /** Finishes the carried packet from `chunk`; answers the position behind it, or -1 when it is still incomplete. */
  #completeCarried(chunk, length) {
    let position = 0;
    for (;;) {
      const missing = missingBytes(this.#carry, this.#carryBytes);
      if (missing === 0) {
        const carriedBytes = this.#carryBytes;
        this.#carryBytes = 0;
        this.#cut(this.#carry, 0, carriedBytes);
        return position;
      }
      const taken = Math.min(missing, length - position);
      if (taken === 0) return -1;
      this.#reserve(taken);
      chunk.copy(this.#carry, this.#carryBytes, position, position + taken);
      this.#carryBytes += taken;
      position += taken;
    }
  }
}

/** How many bytes the packet at the start of `buffer` lacks as far as its header tells (at least 1 while the header is incomplete). */
function missingBytes(buffer, bytes) {
  if (bytes < 2) return 2 - bytes;
  let bodyBytes = 0;
  for (let index = 1; ; index += 1) {
    if (index >= bytes) return 1;
    const byte = buffer[index];
    bodyBytes |= (byte & 0x7f) << (7 * (index - 1));
    if (byte < 0x80) return index + 1 + bodyBytes - bytes;
  }
}
