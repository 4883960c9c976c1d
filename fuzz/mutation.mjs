/**
 * Mutations of MQTT packets: blind ones on bytes, and ones that know lengths and properties. Pure.
 *
 * Always true: the input is not changed; the output depends on the random source alone and is at most
 * `bytesMax` long. After a change of the body the remaining length is usually repaired, so that the damage
 * reaches the parser of the packet and not only that of the header.
 */

/** Longest mutated packet. */
export const bytesMax = 70_000;

/** Splits a packet in first byte and body; a broken length means that all the rest is body. */
export function takeApart(packet) {
  let width = 1;
  while (width < 5 && (packet[width] ?? 0) > 127) width++;
  return { first: packet[0] ?? 0, body: packet.subarray(Math.min(width + 1, packet.length)) };
}

/** `value` as a variable byte integer, with `extra` needless bytes. */
export function varint(value, extra = 0) {
  const bytes = [];
  let rest = value;
  do {
    bytes.push(rest & 127);
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  for (let i = 0; i < extra; i++) bytes.push(0);
  return Buffer.from(bytes.map((byte, at) => (at < bytes.length - 1 ? byte | 128 : byte)));
}

/** A packet with the right remaining length. */
export function putTogether(first, body) {
  return Buffer.concat([Buffer.from([first]), varint(body.length), body]);
}

/** Cuts bytes into packets by their lengths; what does not fit is one last piece. */
export function packetsOf(bytes) {
  const packets = [];
  let at = 0;
  while (at + 1 < bytes.length) {
    let width = 1;
    let remaining = 0;
    while (width <= 4 && at + width < bytes.length) {
      const byte = bytes[at + width];
      remaining += (byte & 127) * 128 ** (width - 1);
      width++;
      if (byte < 128) break;
    }
    const end = at + width + remaining;
    if (end > bytes.length) break;
    packets.push(bytes.subarray(at, end));
    at = end;
  }
  if (at < bytes.length) packets.push(bytes.subarray(at));
  return packets;
}

/** Offset of the property length of a body, -1 where the packet has none. */
function propertiesAt(first, body) {
  const stringEnd = (at) => (at + 2 <= body.length ? at + 2 + body.readUInt16BE(at) : -1);
  switch (first >> 4) {
    case 1: {
      const nameEnd = stringEnd(0);
      return nameEnd < 0 ? -1 : nameEnd + 4;
    }
    case 3: {
      const topicEnd = stringEnd(0);
      return topicEnd < 0 ? -1 : topicEnd + ((first & 6) === 0 ? 0 : 2);
    }
    case 4:
    case 5:
    case 6:
    case 7:
      return 3;
    case 8:
    case 10:
      return 2;
    case 14:
    case 15:
      return 1;
    default:
      return -1;
  }
}

const badTexts = [
  Buffer.from([0]),
  Buffer.from([0xff]),
  Buffer.from([0xc0, 0x80]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  Buffer.from([0xe2, 0x82]),
  Buffer.from([0xef, 0xbb, 0xbf]),
  Buffer.from('+/#'),
  Buffer.from('$share/x/#'),
  Buffer.from('/'.repeat(200)),
];

/** Encoded properties, good and bad: every known id with a value, unknown ids, cut off values. */
function someProperty(random) {
  const string = (text) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text]);
  const text = () => string(random.chance(0.7) ? Buffer.from('text') : random.pick(badTexts));
  const id = random.chance(0.85)
    ? random.pick([
        1, 2, 3, 8, 9, 11, 17, 18, 19, 21, 22, 23, 24, 25, 26, 28, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
      ])
    : random.byte();
  const head = random.chance(0.95) ? Buffer.from([id]) : varint(id, 1 + random.below(3));
  if ([3, 8, 9, 18, 21, 22, 26, 28, 31].includes(id)) return Buffer.concat([head, text()]);
  if (id === 38) return Buffer.concat([head, text(), text()]);
  if (id === 11)
    return Buffer.concat([head, varint(random.pick([0, 1, 127, 128, 268_435_455]), random.below(2))]);
  if ([2, 17, 24, 39].includes(id))
    return Buffer.concat([head, random.chance(0.5) ? Buffer.alloc(4) : random.bytes(4)]);
  if ([19, 33, 34, 35].includes(id))
    return Buffer.concat([head, random.chance(0.5) ? Buffer.alloc(2) : random.bytes(2)]);
  return Buffer.concat([head, Buffer.from([random.pick([0, 1, 2, 255])])]);
}

function replace(bytes, at, removed, inserted) {
  return Buffer.concat([
    bytes.subarray(0, at),
    inserted,
    bytes.subarray(Math.min(bytes.length, at + removed)),
  ]);
}

const onBody = {
  flipBit: (body, random) => {
    const copy = Buffer.from(body);
    if (copy.length > 0) copy[random.below(copy.length)] ^= 1 << random.below(8);
    return copy;
  },
  setByte: (body, random) => {
    const copy = Buffer.from(body);
    if (copy.length > 0) copy[random.below(copy.length)] = random.byte();
    return copy;
  },
  setLength: (body, random) => {
    const copy = Buffer.from(body);
    if (copy.length < 2) return copy;
    const at = random.below(copy.length - 1);
    const value = copy.readUInt16BE(at);
    copy.writeUInt16BE(
      random.pick([0, 1, value + 1, value - 1, copy.length, 0x7fff, 0x8000, 0xffff]) & 0xffff,
      at,
    );
    return copy;
  },
  insert: (body, random) =>
    replace(body, random.below(body.length + 1), 0, random.bytes(1 + random.below(8))),
  insertText: (body, random) => replace(body, random.below(body.length + 1), 0, random.pick(badTexts)),
  remove: (body, random) =>
    replace(body, random.below(body.length + 1), 1 + random.below(8), Buffer.alloc(0)),
  truncate: (body, random) => body.subarray(0, random.below(body.length + 1)),
  double: (body, random) => {
    const at = random.below(body.length + 1);
    return replace(body, at, 0, body.subarray(at, at + random.below(20)));
  },
  grow: (body, random) =>
    Buffer.concat([body, Buffer.alloc(random.pick([1, 100, 1000, 65_536]), random.byte())]),
  property: (body, random, first) => {
    const at = propertiesAt(first, body);
    if (at < 0 || at >= body.length) return Buffer.concat([body, someProperty(random)]);
    let width = 1;
    let length = 0;
    for (let i = 0; i < 4 && at + i < body.length; i++) {
      length += (body[at + i] & 127) * 128 ** i;
      width = i + 1;
      if (body[at + i] < 128) break;
    }
    const present = body.subarray(at + width, at + width + length);
    const added = Array.from({ length: 1 + random.below(3) }, () => someProperty(random));
    const properties = Buffer.concat(random.chance(0.2) ? [present, present, ...added] : [present, ...added]);
    const told = random.chance(0.8)
      ? varint(properties.length, random.chance(0.1) ? 1 + random.below(3) : 0)
      : varint(Math.max(0, properties.length + random.pick([-2, -1, 1, 2, 200, 20_000])));
    return Buffer.concat([body.subarray(0, at), told, properties, body.subarray(at + width + length)]);
  },
};
const bodyMutations = Object.values(onBody);

/** One mutated packet made from a valid one. */
export function mutate(packet, random) {
  let { first, body } = takeApart(packet);
  const rounds = 1 + random.below(3);
  for (let round = 0; round < rounds; round++) {
    if (random.chance(0.1)) first = random.chance(0.5) ? (first & 0xf0) | random.below(16) : random.byte();
    else
      body = random.chance(0.35)
        ? onBody.property(body, random, first)
        : random.pick(bodyMutations)(body, random, first);
    if (body.length > bytesMax) body = body.subarray(0, bytesMax);
  }
  if (random.chance(0.75)) return putTogether(first, body);
  const told = random.pick([
    varint(body.length, 1 + random.below(4)),
    varint(Math.max(0, body.length + random.pick([-5, -1, 1, 5, 100]))),
    varint(random.pick([0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455])),
    Buffer.from([0xff, 0xff, 0xff, 0xff, random.byte()]),
  ]);
  return Buffer.concat([Buffer.from([first]), told, body]);
}
