/**
 * One case over the start of TLS: records and handshake messages, whole and broken, and what is no TLS at all. Pure.
 *
 * Always true: it is made of `random` alone. A good ClientHello is the start of many, because nothing behind a first
 * record that cannot be read is looked at.
 */
import { packetCase, split } from './packet-case.mjs';

const contentTypes = [20, 21, 22, 23, 24];
const handshakeTypes = [0, 1, 2, 4, 8, 11, 13, 14, 15, 16, 20, 24, 254];
const versions = [0x0300, 0x0301, 0x0302, 0x0303, 0x0304, 0x7f1c, 0xfefd];
const suites = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc030, 0x009c, 0x002f, 0x00ff, 0x5600];
const serverNames = ['localhost', '', 'a'.repeat(255), '127.0.0.1', '\u0000', '..', 'xn--', 'x'.repeat(4000)];

/** The bytes of one connection as the pieces in which they are written. */
export function handshakeCase(random) {
  const kind = random.below(10);
  if (kind === 0) return packetCase(random);
  if (kind === 1) return split([Buffer.from('GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n')], random);
  if (kind === 2) return split([random.bytes(1 + random.below(3000))], random);
  const hello = clientHello(random);
  const parts = [random.chance(0.4) ? damage(hello, random) : hello];
  const count = random.below(4);
  for (let i = 0; i < count; i++) parts.push(oddRecord(random));
  return split(parts, random);
}

function u16(value) {
  return Buffer.from([(value >> 8) & 255, value & 255]);
}

/** A vector of TLS: its length in `width` bytes, then its content. Now and then the length is a lie. */
function vector(random, width, content) {
  let told = content.length;
  if (random.chance(0.02)) told = random.pick([0, 1, told + 1, Math.max(0, told - 1), 65_535]);
  const length = width === 1 ? [told & 255] : width === 2 ? [told >> 8, told] : [0, told >> 8, told];
  return Buffer.concat([Buffer.from(length.map((byte) => byte & 255)), content]);
}

function extension(random, type, content) {
  return Buffer.concat([u16(type), vector(random, 2, content)]);
}

function clientHello(random) {
  const name = Buffer.from(random.pick(serverNames));
  const extensions = [
    extension(
      random,
      0,
      vector(random, 2, Buffer.concat([Buffer.from([random.chance(0.9) ? 0 : 1]), vector(random, 2, name)])),
    ),
    extension(random, 10, vector(random, 2, Buffer.from([0, 0x1d, 0, 0x17]))),
    extension(random, 13, vector(random, 2, Buffer.from([4, 3, 8, 4, 4, 1]))),
    extension(random, 43, vector(random, 1, Buffer.from([3, 4, 3, 3]))),
    extension(random, 16, vector(random, 2, vector(random, 1, Buffer.from(random.pick(['mqtt', 'h2', '']))))),
    extension(random, 35, random.bytes(random.below(200))),
    extension(
      random,
      51,
      vector(
        random,
        2,
        Buffer.concat([u16(0x1d), vector(random, 2, random.bytes(random.pick([32, 31, 0])))]),
      ),
    ),
    extension(random, 41, random.bytes(random.below(100))),
    extension(random, random.below(65_536), random.bytes(random.below(60))),
  ].filter(() => random.chance(0.8));
  const body = Buffer.concat([
    u16(random.chance(0.8) ? 0x0303 : random.pick(versions)),
    random.bytes(32),
    vector(random, 1, random.bytes(random.pick([0, 32, 33]))),
    vector(random, 2, Buffer.concat(suites.filter(() => random.chance(0.7)).map(u16))),
    vector(random, 1, Buffer.from(random.chance(0.9) ? [0] : [1, 0])),
    vector(random, 2, Buffer.concat(extensions)),
  ]);
  return record(random, 22, Buffer.concat([Buffer.from([1]), vector(random, 3, body)]));
}

function record(random, type, content) {
  const version = random.chance(0.9) ? 0x0301 : random.pick(versions);
  return Buffer.concat([Buffer.from([type]), u16(version), vector(random, 2, content)]);
}

function oddRecord(random) {
  const type = random.chance(0.9) ? random.pick(contentTypes) : random.byte();
  if (type === 21) return record(random, 21, Buffer.from([random.pick([1, 2]), random.byte()]));
  if (type === 20) return record(random, 20, Buffer.from([1]));
  const content = random.bytes(random.pick([0, 1, 4, 40, 300]));
  if (type !== 22) return record(random, type, content);
  const message = Buffer.concat([Buffer.from([random.pick(handshakeTypes)]), vector(random, 3, content)]);
  return record(random, 22, message);
}

function damage(bytes, random) {
  const copy = Buffer.from(bytes);
  if (random.chance(0.2)) return copy.subarray(0, random.below(copy.length));
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) copy[random.below(copy.length)] = random.byte();
  return copy;
}
