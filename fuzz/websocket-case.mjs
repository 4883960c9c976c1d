/**
 * One case over WebSocket: the upgrade request and frames around MQTT bytes, whole and broken. Pure.
 *
 * Always true: it is made of `random` alone. Most upgrades are good, because behind a refused one no frame is
 * parsed.
 */
import { packetCase, split } from './packet-case.mjs';

const goodLines = [
  'GET /mqtt HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: mqtt',
];
const oddLines = [
  'GET /other HTTP/1.1',
  'POST /mqtt HTTP/1.1',
  'GET  HTTP/1.1',
  'GET /mqtt HTTP/9.9',
  'PRI * HTTP/2.0',
  'Sec-WebSocket-Protocol: mqttv3.1, mqtt',
  'Sec-WebSocket-Protocol: x',
  'Sec-WebSocket-Protocol: ,,',
  'Sec-WebSocket-Version: 12',
  'Sec-WebSocket-Key: short',
  'Sec-WebSocket-Key:',
  'Upgrade: h2c',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99',
  'Sec-WebSocket-Extensions: ;;=',
  'Content-Length: 5',
  'Content-Length: -1',
  'Transfer-Encoding: chunked',
  ' folded',
  'no colon',
  `X: ${'y'.repeat(20_000)}`,
  'Host: \u0000',
  'Expect: 100-continue',
];

/** The bytes of one connection as the pieces in which they are written. */
export function websocketCase(random) {
  const parts = [upgrade(random)];
  const inner = Buffer.concat(packetCase(random));
  for (let at = 0; at < inner.length;) {
    const length = random.chance(0.5) ? inner.length : 1 + random.below(100);
    parts.push(frame(random, 2, inner.subarray(at, at + length)));
    at += length;
    if (random.chance(0.15)) parts.push(oddFrame(random));
  }
  if (random.chance(0.3)) parts.push(oddFrame(random));
  const broken = parts.map((part, at) => (at > 0 && random.chance(0.15) ? damage(part, random) : part));
  return split(broken, random);
}

function upgrade(random) {
  const lines = [...goodLines];
  if (random.chance(0.25)) {
    const changes = 1 + random.below(3);
    for (let i = 0; i < changes; i++) {
      if (random.chance(0.4)) lines.splice(random.below(lines.length), 1);
      else if (random.chance(0.5))
        lines.splice(random.below(lines.length + 1), random.below(2), random.pick(oddLines));
      else lines.push(lines[random.below(lines.length)] ?? '');
    }
  }
  const end = random.chance(0.97) ? '\r\n' : random.pick(['\n', '\r', '']);
  const text = Buffer.from(`${lines.join(end)}${end}${end}`, 'latin1');
  return random.chance(0.05) ? damage(text, random) : text;
}

/** A frame as a client sends it: masked, complete. */
function frame(
  random,
  opcode,
  payload,
  { masked = true, final = true, reserved = 0, told = payload.length } = {},
) {
  const mask = random.bytes(4);
  const head = [(final ? 128 : 0) | (reserved << 4) | opcode];
  const maskBit = masked ? 128 : 0;
  if (told < 126) head.push(maskBit | told);
  else if (told < 65_536) head.push(maskBit | 126, told >> 8, told & 255);
  else
    head.push(
      maskBit | 127,
      0,
      0,
      0,
      0,
      (told >>> 24) & 255,
      (told >>> 16) & 255,
      (told >>> 8) & 255,
      told & 255,
    );
  const body = masked ? Buffer.from(payload.map((byte, at) => byte ^ mask[at & 3])) : payload;
  return Buffer.concat([Buffer.from(head), masked ? mask : Buffer.alloc(0), body]);
}

function oddFrame(random) {
  const payload = random.bytes(random.pick([0, 1, 2, 20, 125, 126, 200]));
  switch (random.below(9)) {
    case 0:
      return frame(random, 1, payload);
    case 1:
      return frame(random, random.pick([8, 9, 10]), payload);
    case 2:
      return frame(random, random.byte() & 15, payload);
    case 3:
      return frame(random, 2, payload, { masked: false });
    case 4:
      return frame(random, random.pick([0, 2, 9]), payload, { final: false });
    case 5:
      return frame(random, 2, payload, { reserved: 1 + random.below(7) });
    case 6:
      return frame(random, 2, payload, {
        told: random.pick([0, 125, 126, 65_535, 65_536, 0x7fff_ffff, 0xffff_ffff]),
      });
    case 7:
      return frame(
        random,
        8,
        Buffer.concat([Buffer.from([random.pick([0, 3]), random.byte()]), payload.subarray(0, 100)]),
      );
    default:
      return frame(random, 0, payload);
  }
}

function damage(bytes, random) {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return copy;
  if (random.chance(0.5)) {
    copy[random.below(Math.min(copy.length, 16))] = random.byte();
    return copy;
  }
  if (random.chance(0.5)) return copy.subarray(0, random.below(copy.length));
  copy[random.below(copy.length)] ^= 1 << random.below(8);
  return copy;
}
