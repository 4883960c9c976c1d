/** The PROXY header: what is read, what is refused, and that no splitting of its bytes matters. Quick tier. */
import { describe, expect, test } from 'vitest';

import {
  headerBytesMax,
  ProxyHeaderError,
  ProxyHeaderReader,
  type ProxyHeader,
} from '../../src/net/proxy-header.js';
import { randomFrom, seed } from '../harness/environment.js';
import { proxyV2, tlv } from './proxy-v2.js';

function line(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Reads `bytes` and a tail; the tail must be left alone. */
function read(bytes: Buffer): ProxyHeader {
  const reader = new ProxyHeaderReader();
  const input = Buffer.concat([bytes, Buffer.from('MQTT')]);
  expect(reader.read(input, input.length)).toBe(bytes.length);
  return reader.header!;
}

function faultOf(bytes: Buffer): string | undefined {
  try {
    return new ProxyHeaderReader().read(bytes, bytes.length) === undefined ? 'more' : 'done';
  } catch (error) {
    if (!(error instanceof ProxyHeaderError)) throw error;
    return error.message;
  }
}

const nothing = { address: '', port: 0, secure: false, commonName: undefined };
const v4 = { ...nothing, origin: 'address', address: '192.0.2.7', port: 56_324 };
const v6 = { ...nothing, origin: 'address', address: '2001:db8::7', port: 56_324 };
const inet = Buffer.from('c0000207c0000209dc04075b', 'hex');
const inet6 = Buffer.from('20010db800000000000000000000000720010db8000000000000000000000009dc04075b', 'hex');
const ssl = (flags: number, verify: number, ...parts: Buffer[]): Buffer =>
  tlv(0x20, Buffer.concat([Buffer.from([flags, 0, 0, 0, verify]), ...parts]));
const commonName = (name: string | Buffer): Buffer => tlv(0x22, Buffer.from(name));

const accepted: readonly (readonly [string, Buffer, object])[] = [
  ['TCP4', line('PROXY TCP4 192.0.2.7 192.0.2.9 56324 1883\r\n'), v4],
  ['TCP6', line('PROXY TCP6 2001:db8:0:0:0:0:0:7 2001:db8::9 56324 1883\r\n'), v6],
  ['UNKNOWN', line('PROXY UNKNOWN\r\n'), { ...nothing, origin: 'unknown' }],
  [
    'UNKNOWN with more',
    line('PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n'),
    { ...nothing, origin: 'unknown' },
  ],
  ['port 0', line('PROXY TCP4 192.0.2.7 192.0.2.9 0 0\r\n'), { ...v4, port: 0 }],
  ['v2 IPv4', proxyV2(0x21, 0x11, inet), v4],
  ['v2 IPv6', proxyV2(0x21, 0x21, inet6), v6],
  ['v2 Unix', proxyV2(0x21, 0x31, Buffer.alloc(216)), { ...nothing, origin: 'unknown' }],
  ['v2 unspecified', proxyV2(0x21, 0x00, Buffer.alloc(0)), { ...nothing, origin: 'unknown' }],
  ['v2 LOCAL', proxyV2(0x20, 0x00, Buffer.alloc(0)), { ...nothing, origin: 'local' }],
  ['v2 LOCAL with addresses', proxyV2(0x20, 0x11, inet), { ...nothing, origin: 'local' }],
  ['v2 LOCAL with anything', proxyV2(0x20, 0x11, Buffer.from('xyz')), { ...nothing, origin: 'local' }],
  ['v2 with a TLV that is skipped', proxyV2(0x21, 0x11, inet, tlv(0x04, Buffer.alloc(300))), v4],
  ['v2 behind TLS', proxyV2(0x21, 0x11, inet, ssl(1, 0)), { ...v4, secure: true }],
  [
    'v2 with a certificate',
    proxyV2(
      0x21,
      0x11,
      inet,
      tlv(1, Buffer.from('mqtt')),
      ssl(5, 0, tlv(0x21, Buffer.from('TLSv1.3')), commonName('dév')),
    ),
    { ...v4, secure: true, commonName: 'dév' },
  ],
  [
    'v2 with a certificate that did not verify',
    proxyV2(0x21, 0x11, inet, ssl(5, 1, commonName('a'))),
    { ...v4, secure: true },
  ],
  [
    'v2 with a name and no certificate',
    proxyV2(0x21, 0x11, inet, ssl(1, 0, commonName('a'))),
    { ...v4, secure: true },
  ],
  ['v2 with a name and no TLS', proxyV2(0x21, 0x11, inet, ssl(4, 0, commonName('a'))), v4],
  [
    'v2 of the largest size',
    proxyV2(0x21, 0x11, inet, tlv(4, Buffer.alloc(headerBytesMax - 16 - 12 - 3))),
    v4,
  ],
];

const refused: readonly (readonly [string, Buffer, string])[] = [
  ['MQTT', Buffer.from('100d00044d515454', 'hex'), 'does not begin with a PROXY header'],
  ['TLS', Buffer.from('1603010200', 'hex'), 'does not begin with a PROXY header'],
  ['HTTP', line('GET /mqtt HTTP/1.1\r\n'), 'does not begin with a PROXY header'],
  ['small letters', line('proxy TCP4 '), 'does not begin with a PROXY header'],
  ['a wrong signature', Buffer.from('0d0a0d0a000d0a515549540b', 'hex'), 'does not begin with a PROXY header'],
  ['no family', line('PROXY \r\n'), 'the line has another form'],
  ['another family', line('PROXY UDP4 192.0.2.7 192.0.2.9 1 2\r\n'), 'the line has another form'],
  ['a word like UNKNOWN', line('PROXY UNKNOWNS\r\n'), 'the line has another form'],
  ['too few fields', line('PROXY TCP4 192.0.2.7 192.0.2.9 1\r\n'), 'the line has another form'],
  ['too many fields', line('PROXY TCP4 192.0.2.7 192.0.2.9 1 2 3\r\n'), 'the line has another form'],
  ['two spaces', line('PROXY  TCP4 192.0.2.7 192.0.2.9 1 2\r\n'), 'the line has another form'],
  ['an address above 255', line('PROXY TCP4 192.0.2.256 192.0.2.9 1 2\r\n'), 'an address is none'],
  ['a leading zero in an address', line('PROXY TCP4 192.0.2.07 192.0.2.9 1 2\r\n'), 'an address is none'],
  ['a short address', line('PROXY TCP4 192.0.2 192.0.2.9 1 2\r\n'), 'an address is none'],
  ['IPv6 as TCP4', line('PROXY TCP4 ::1 ::1 1 2\r\n'), 'an address is none'],
  ['IPv4 as TCP6', line('PROXY TCP6 192.0.2.7 192.0.2.9 1 2\r\n'), 'an address is none'],
  ['a zone', line('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n'), 'an address is none'],
  ['a port above 65535', line('PROXY TCP4 192.0.2.7 192.0.2.9 65536 2\r\n'), 'a port is none'],
  ['a leading zero in a port', line('PROXY TCP4 192.0.2.7 192.0.2.9 01 2\r\n'), 'a port is none'],
  ['a negative port', line('PROXY TCP4 192.0.2.7 192.0.2.9 -1 2\r\n'), 'a port is none'],
  ['no port', line('PROXY TCP4 192.0.2.7 192.0.2.9  2\r\n'), 'a port is none'],
  ['a wrong second port', line('PROXY TCP4 192.0.2.7 192.0.2.9 1 x\r\n'), 'a port is none'],
  ['a bare line feed', line('PROXY TCP4 192.0.2.7 192.0.2.9 1 2\n'), 'a line end without carriage return'],
  ['no line end', line(`PROXY UNKNOWN ${'x'.repeat(200)}`), 'no line end within 107 bytes'],
  ['version 1 in binary', proxyV2(0x11, 0x11, inet), 'an unknown version'],
  ['version 3', proxyV2(0x31, 0x11, inet), 'an unknown version'],
  ['another command', proxyV2(0x22, 0x11, inet), 'an unknown command'],
  ['another family in binary', proxyV2(0x21, 0x41, inet), 'an unknown family or protocol'],
  ['another protocol', proxyV2(0x21, 0x13, inet), 'an unknown family or protocol'],
  ['datagrams', proxyV2(0x21, 0x12, inet), 'not a stream'],
  ['short addresses', proxyV2(0x21, 0x11, inet.subarray(1)), 'too short for its addresses'],
  ['short IPv6 addresses', proxyV2(0x21, 0x21, inet), 'too short for its addresses'],
  [
    'a length above the bound',
    proxyV2(0x21, 0x11, Buffer.alloc(headerBytesMax)),
    `longer than ${headerBytesMax} bytes`,
  ],
  ['a cut TLV', proxyV2(0x21, 0x11, inet, Buffer.from([4, 0])), 'a TLV is cut off'],
  ['a TLV beyond the end', proxyV2(0x21, 0x11, inet, Buffer.from([4, 0, 2, 9])), 'a TLV is cut off'],
  ['a short SSL TLV', proxyV2(0x21, 0x11, inet, tlv(0x20, Buffer.alloc(4))), 'a TLV is too short'],
  ['a cut TLV within', proxyV2(0x21, 0x11, inet, ssl(5, 0, Buffer.from([0x22, 0, 9]))), 'a TLV is cut off'],
  [
    'a name that is not UTF-8',
    proxyV2(0x21, 0x11, inet, ssl(5, 0, commonName(Buffer.from([0xc0])))),
    'a name is not UTF-8',
  ],
];

describe('a PROXY header', () => {
  test.each(accepted)('%s is read [broker]', (_, bytes, expected) => {
    expect(read(bytes)).toEqual(expected);
  });

  test.each(refused)('%s is refused [broker]', (_, bytes, message) => {
    expect(faultOf(bytes)).toBe(message);
  });

  test('what has come so far of a good one is never refused and never enough [broker]', () => {
    for (const [, bytes] of accepted) {
      for (let end = 0; end < Math.min(bytes.length, 300); end++)
        expect(faultOf(bytes.subarray(0, end))).toBe('more');
    }
  });

  test('means the same in single bytes and in random pieces [broker]', () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    for (const [, bytes, expected] of accepted) {
      for (const size of [1, 2 + Math.floor(random() * 30)]) {
        const reader = new ProxyHeaderReader();
        let left = bytes.length;
        for (let at = 0; at < bytes.length; at += size) {
          const piece = bytes.subarray(at, at + size);
          const used = reader.read(piece, piece.length);
          left -= piece.length;
          expect(used).toBe(left === 0 ? piece.length : undefined);
        }
        expect(reader.header).toEqual(expected);
      }
    }
  });

  test('damaged and random bytes are read, refused or incomplete, and nothing else [broker]', () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const outcomes = new Set<string>();
    for (let round = 0; round < 20_000; round++) {
      const [, good] = accepted[Math.floor(random() * accepted.length)]!;
      const bytes = Buffer.from(good.subarray(0, 600));
      for (let damage = 0; damage < 1 + (round % 3); damage++) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      }
      outcomes.add(faultOf(bytes)!);
    }
    expect(outcomes).toContain('done');
    expect(outcomes.size).toBeGreaterThan(8);
  });
});
