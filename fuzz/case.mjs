/**
 * A case by its two numbers. Pure.
 *
 * Always true: seed and index name the target, the bytes, their split into writes, and how the connection ends.
 */
import { handshakeCase } from './handshake-case.mjs';
import { httpCase } from './http-case.mjs';
import { packetCase } from './packet-case.mjs';
import { proxyCase } from './proxy-case.mjs';
import { randomOf } from './random.mjs';
import { websocketCase } from './websocket-case.mjs';

/** `tls` and `wss` are played inside TLS; `handshake` sends its bytes to the TLS port as they are. */
const makers = {
  mqtt: packetCase,
  ws: websocketCase,
  uws: websocketCase,
  proxy: proxyCase,
  tls: packetCase,
  wss: websocketCase,
  handshake: handshakeCase,
  http: httpCase,
};

/** What can be fuzzed, by the listener that the bytes go to. */
export const targetNames = Object.keys(makers);

/** Case `index` of run `seed` for one of `targets`: `{ index, target, writes, end }`. */
export function caseOf(seed, index, targets) {
  const random = randomOf(seed, index);
  const target = random.pick(targets);
  const writes = makers[target](random);
  return { index, target, writes, end: random.pick(['finish', 'finish', 'reset', 'wait']) };
}
