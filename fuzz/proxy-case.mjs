/**
 * One case over the PROXY protocol: a header of version 1 or 2, whole or broken, and MQTT bytes behind it. Pure.
 *
 * Always true: it is made of `random` alone. Half of the headers are good, so that what follows is seen as well.
 */
import { packetCase, split } from './packet-case.mjs';

const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const textHeaders = [
  'PROXY TCP4 192.0.2.1 192.0.2.2 1234 1883\r\n',
  'PROXY TCP6 2001:db8::1 ::1 65535 1883\r\n',
  'PROXY UNKNOWN\r\n',
  'PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n',
];
const oddTextHeaders = [
  'PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n',
  'PROXY TCP4 999.0.2.1 192.0.2.2 1234 1883\r\n',
  'PROXY TCP4 ::1 ::1 1 1\r\n',
  'PROXY TCP6 1.2.3.4 ::1 1 1\r\n',
  'PROXY TCP4 192.0.2.1 192.0.2.2 01234 70000\r\n',
  'PROXY TCP4 192.0.2.1 192.0.2.2 -1 1\r\n',
  'PROXY  TCP4 192.0.2.1 192.0.2.2 1 1\r\n',
  'PROXY TCP4 192.0.2.1 192.0.2.2 1 1\n',
  'PROXY\r\n',
  'proxy tcp4 1.1.1.1 1.1.1.1 1 1\r\n',
  'PROX',
  `PROXY UNKNOWN ${'x'.repeat(200)}\r\n`,
  `PROXY TCP4 ${'1'.repeat(5000)}`,
  '\r\n\r\n\0\r\nQUIT',
  '',
];

/** The bytes of one connection as the pieces in which they are written. */
export function proxyCase(random) {
  const header = random.chance(0.4) ? textHeader(random) : binaryHeader(random);
  const broken = random.chance(0.2) ? damage(header, random) : header;
  return split([broken, Buffer.concat(packetCase(random))], random);
}

function textHeader(random) {
  return Buffer.from(random.pick(random.chance(0.6) ? textHeaders : oddTextHeaders), 'latin1');
}

function binaryHeader(random) {
  const isGood = random.chance(0.6);
  const family = isGood ? random.pick([0x11, 0x21, 0x31, 0x00]) : random.byte();
  const command = isGood ? random.pick([0x20, 0x21, 0x21, 0x21]) : random.byte();
  const addressBytes = { 1: 12, 2: 36, 3: 216 }[family >> 4] ?? 0;
  const parts = [random.bytes(isGood ? addressBytes : random.pick([addressBytes, 0, 5, 12, 36]))];
  const count = random.below(4);
  for (let i = 0; i < count; i++) {
    const value = random.bytes(random.below(30));
    const told = random.chance(0.85) ? value.length : random.below(65_536);
    parts.push(
      Buffer.from([random.pick([1, 2, 3, 4, 5, 0x20, 0x21, 0x30, random.byte()]), told >> 8, told & 255]),
      value,
    );
  }
  const body = Buffer.concat(parts);
  const told = isGood || random.chance(0.5) ? body.length : random.pick([0, 1, 12, 216, 1000, 65_535]);
  return Buffer.concat([signature, Buffer.from([command, family, told >> 8, told & 255]), body]);
}

function damage(bytes, random) {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  if (random.chance(0.3)) return copy.subarray(0, random.below(copy.length));
  copy[random.below(copy.length)] = random.byte();
  return copy;
}
