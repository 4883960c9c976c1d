/**
 * One case over MQTT bytes: what a connection says from CONNECT to its end, whole and broken packets mixed. Pure.
 *
 * Always true: it is made of `random` alone. Most cases begin with a good CONNECT, because what comes behind a
 * refused one is never parsed.
 */
import { connectBytes, packetBytes, packetTypeOf } from './corpus.mjs';
import { mutate } from './mutation.mjs';

/** The bytes of one connection as the pieces in which they are written. */
export function packetCase(random) {
  const version = random.pick([3, 4, 4, 5, 5, 5]);
  const packets = [];
  const connect = connectBytes(random, version);
  if (random.chance(0.03)) packets.push(random.bytes(1 + random.below(60)));
  packets.push(random.chance(0.12) ? mutate(connect, random) : connect);
  const count = random.below(16);
  for (let i = 0; i < count; i++) {
    const type = packetTypeOf(random);
    // A packet in the form of another version is a mutation too.
    const packet = packetBytes(random, type, random.chance(0.97) ? version : random.pick([3, 4, 5]));
    packets.push(random.chance(0.15) ? mutate(packet, random) : packet);
  }
  if (random.chance(0.05)) packets.push(...packets.slice(0, 1 + random.below(packets.length)));
  return split(interleave(packets, random), random);
}

/** Now and then cuts one packet open and puts another into the middle. */
function interleave(packets, random) {
  if (packets.length < 3 || !random.chance(0.05)) return packets;
  const at = 1 + random.below(packets.length - 2);
  const open = packets[at];
  const cut = random.below(open.length + 1);
  return [
    ...packets.slice(0, at),
    open.subarray(0, cut),
    packets[at + 1],
    open.subarray(cut),
    ...packets.slice(at + 2),
  ];
}

/** Cuts bytes into writes: one for all, one per packet, or anywhere. */
export function split(packets, random) {
  if (random.chance(0.4)) return [Buffer.concat(packets)];
  if (random.chance(0.5)) return packets.filter(({ length }) => length > 0);
  const all = Buffer.concat(packets);
  const writes = [];
  for (let at = 0; at < all.length;) {
    const length = random.chance(0.5) ? 1 + random.below(4) : 1 + random.below(200);
    writes.push(all.subarray(at, writes.length > 60 ? all.length : at + length));
    at = writes.length > 60 ? all.length : at + length;
  }
  return writes;
}
