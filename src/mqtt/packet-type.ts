/**
 * The one table of MQTT control packets: type number, fixed flags, who may send it, and the
 * first-byte tables that the decoder dispatches on. Every thread; constant after load.
 *
 * A first byte that is not in the table for the connection's version and role never reaches
 * a parser: reserved types, wrong reserved flags, QoS 3 and packets of the other direction
 * are one lookup. Source: MQTT 5.0 section 2.1, 3.1.1 section 2.2, 3.1 section 2.1.
 */
import type { PacketCmd } from 'mqtt-packet';

/** MQTT versions by their protocol level byte: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

/** Which side of the connection this process plays: a `server` reads what clients send. */
export type Role = 'server' | 'client';

/** Type numbers, the high nibble of the first byte. */
export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

/** The four acknowledgements of PUBLISH. */
export type AckType = 4 | 5 | 6 | 7;

/** How the decoder treats a first byte. */
export const frameKind = { invalid: 0, publish: 1, ack: 2, ping: 3, control: 4 } as const;

interface PacketRow {
  readonly type: number;
  readonly name: PacketCmd;
  /** Required low nibble; undefined for PUBLISH, whose flags carry meaning. */
  readonly flags: number | undefined;
  readonly kind: number;
  readonly sentBy: 'client' | 'server' | 'both';
  readonly versionMin: ProtocolVersion;
  /** MQTT 3.1 lets a sender repeat these with DUP set; later versions reserve the bit. */
  readonly dupInMqtt31: boolean;
}

const { publish, ack, ping, control } = frameKind;

/** All packets, ordered by type number. */
export const packetTable: readonly PacketRow[] = [
  row(1, 'connect', 0, control, 'client'),
  row(2, 'connack', 0, control, 'server'),
  row(3, 'publish', undefined, publish, 'both'),
  row(4, 'puback', 0, ack, 'both'),
  row(5, 'pubrec', 0, ack, 'both'),
  row(6, 'pubrel', 2, ack, 'both', 3, true),
  row(7, 'pubcomp', 0, ack, 'both'),
  row(8, 'subscribe', 2, control, 'client', 3, true),
  row(9, 'suback', 0, control, 'server'),
  row(10, 'unsubscribe', 2, control, 'client', 3, true),
  row(11, 'unsuback', 0, control, 'server'),
  row(12, 'pingreq', 0, ping, 'client'),
  row(13, 'pingresp', 0, ping, 'server'),
  // A server may send DISCONNECT only since MQTT 5; `kindsOf` narrows that.
  row(14, 'disconnect', 0, control, 'both'),
  row(15, 'auth', 0, control, 'both', 5),
];

/** DUP bit of a PUBLISH first byte. */
export const dupFlag = 8;

/** QoS out of the flags (or the whole first byte) of a PUBLISH. */
export function qosOfFlags(flags: number): 0 | 1 | 2 {
  return ((flags >> 1) & 3) as 0 | 1 | 2;
}

/** Name of a type number for messages, "reserved" for 0. */
export function packetName(type: number): string {
  return packetTable[type - 1]?.name ?? 'reserved';
}

/** The low nibble that a packet type must have; undefined for PUBLISH. */
export function fixedFlags(type: number): number | undefined {
  return packetTable[type - 1]?.flags;
}

/** The statement that fixes the flags of a packet type. */
export function flagsClause(type: number): string {
  return flagsClauses[type] ?? 'MQTT-2.1.3-1';
}

const flagsClauses: Readonly<Record<number, string>> = {
  [packetType.pubrel]: 'MQTT-3.6.1-1',
  [packetType.subscribe]: 'MQTT-3.8.1-1',
  [packetType.unsubscribe]: 'MQTT-3.10.1-1',
  [packetType.disconnect]: 'MQTT-3.14.1-1',
  [packetType.auth]: 'MQTT-3.15.1-1',
};

/** First-byte table before CONNECT: a server takes CONNECT and nothing else [MQTT-3.1.0-1]. */
export const kindsBeforeConnect: Uint8Array = onlyConnect();

const kindsByRole = {
  server: { 3: kindsOf('client', 3), 4: kindsOf('client', 4), 5: kindsOf('client', 5) },
  client: { 3: kindsOf('server', 3), 4: kindsOf('server', 4), 5: kindsOf('server', 5) },
} as const;

/** First-byte table (`frameKind` per byte) of what `role` may receive in `version`, with PUBLISH up to `maximumQos`. */
export function kindsFor(role: Role, version: ProtocolVersion, maximumQos = 2): Uint8Array {
  const kinds = kindsByRole[role][version];
  if (maximumQos >= 2) return kinds;
  const limited = kinds.slice();
  const first = packetType.publish << 4;
  for (let flags = 0; flags < 16; flags++) {
    if (qosOfFlags(flags) > maximumQos) limited[first | flags] = frameKind.invalid;
  }
  return limited;
}

function row(
  type: number,
  name: PacketCmd,
  flags: number | undefined,
  kind: number,
  sentBy: 'client' | 'server' | 'both',
  versionMin: ProtocolVersion = 3,
  dupInMqtt31 = false,
): PacketRow {
  return { type, name, flags, kind, sentBy, versionMin, dupInMqtt31 };
}

function onlyConnect(): Uint8Array {
  const kinds = new Uint8Array(256);
  kinds[packetType.connect << 4] = frameKind.control;
  return kinds;
}

function kindsOf(sender: 'client' | 'server', version: ProtocolVersion): Uint8Array {
  const kinds = new Uint8Array(256);
  for (const { type, flags, kind, sentBy, versionMin, dupInMqtt31 } of packetTable) {
    if (sentBy !== 'both' && sentBy !== sender) continue;
    if (version < versionMin) continue;
    if (type === packetType.disconnect && sender === 'server' && version < 5) continue;
    if (flags === undefined) {
      for (let nibble = 0; nibble < 16; nibble++) {
        if (((nibble >> 1) & 3) !== 3) kinds[(type << 4) | nibble] = kind;
      }
    } else {
      kinds[(type << 4) | flags] = kind;
      if (dupInMqtt31 && version === 3) kinds[(type << 4) | flags | dupFlag] = kind;
    }
  }
  return kinds;
}
