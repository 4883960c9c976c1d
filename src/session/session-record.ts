/**
 * What is stored of a session that outlives its connection, as bytes of two rows. Main thread.
 *
 *   state     0x01 | JSON: client id, expiry, subscriptions, whether connected, since when away
 *   released  0x02 | u16 client id bytes | client id | u32 offset …   QoS 2 messages with PUBREL sent and no PUBCOMP
 *   received  0x03 | u16 packet id | u8 shards | client id            a QoS 2 PUBLISH from the client, one row per shard
 *
 * Always true: little-endian; a first byte that is not known, or bytes that do not fit, read as undefined, and the row
 * is dropped with a log line. The offsets stand apart because they change with every QoS 2 message.
 */

/** One ordinary or shared subscription. */
export interface StoredSubscription {
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly subscriptionIdentifier: number;
}

/** A session at rest. */
export interface StoredState {
  readonly clientId: string;
  /** User name; left out for an anonymous client. */
  readonly owner?: string | undefined;
  /** Seconds; null = for ever. */
  readonly expiryIntervalS: number | null;
  /** Unix ms since when there is no connection; 0 = it had one when this was written. */
  readonly awaySinceMs: number;
  /** Messages of its queue, the oldest ones, that may have been sent and are not answered. */
  readonly sentMax: number;
  readonly subscriptions: readonly StoredSubscription[];
}

/** A row of either kind, or of a received QoS 2 message. */
export type SessionRow =
  | { readonly kind: 'state'; readonly state: StoredState }
  | { readonly kind: 'released'; readonly clientId: string; readonly offsets: Uint32Array };

/** A QoS 2 packet id that was received and not released. */
export interface ReceivedRow {
  readonly clientId: string;
  readonly packetId: number;
  /** Shards that were to store the message, each with a row like this one. */
  readonly shards: number;
}

const STATE = 1;
const RELEASED = 2;
const RECEIVED = 3;

/** Row of the state. */
export function encodeState(state: StoredState): Buffer {
  return Buffer.concat([Buffer.of(STATE), Buffer.from(JSON.stringify(state))]);
}

/** Row of the released offsets. */
export function encodeReleased(clientId: string, offsets: Iterable<number>, count: number): Buffer {
  const idBytes = Buffer.byteLength(clientId);
  const row = Buffer.allocUnsafe(3 + idBytes + 4 * count);
  row[0] = RELEASED;
  row.writeUInt16LE(idBytes, 1);
  row.write(clientId, 3);
  let at = 3 + idBytes;
  for (const offset of offsets) at = row.writeUInt32LE(offset, at);
  return row;
}

/** Row of a received QoS 2 message. */
export function encodeReceived(clientId: string, packetId: number, shards: number): Buffer {
  const row = Buffer.allocUnsafe(4 + Buffer.byteLength(clientId));
  row[0] = RECEIVED;
  row.writeUInt16LE(packetId, 1);
  row[3] = shards;
  row.write(clientId, 4);
  return row;
}

/** The inverse of the first two; undefined for what is none of them. */
export function decodeSessionRow(value: Uint8Array): SessionRow | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes[0] === STATE) {
    const state = parseState(bytes.toString('utf8', 1));
    return state === undefined ? undefined : { kind: 'state', state };
  }
  if (bytes[0] !== RELEASED || bytes.length < 3) return undefined;
  const idEnd = 3 + bytes.readUInt16LE(1);
  if (idEnd > bytes.length || (bytes.length - idEnd) % 4 !== 0) return undefined;
  const offsets = new Uint32Array((bytes.length - idEnd) / 4);
  for (let i = 0; i < offsets.length; i++) offsets[i] = bytes.readUInt32LE(idEnd + 4 * i);
  return { kind: 'released', clientId: bytes.toString('utf8', 3, idEnd), offsets };
}

/** The inverse of `encodeReceived`. */
export function decodeReceived(value: Uint8Array): ReceivedRow | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes[0] !== RECEIVED || bytes.length < 4) return undefined;
  return { clientId: bytes.toString('utf8', 4), packetId: bytes.readUInt16LE(1), shards: bytes[3]! };
}

function parseState(text: string): StoredState | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const state = parsed as Partial<StoredState>;
  const { expiryIntervalS } = state;
  const isWhole =
    typeof state.clientId === 'string' &&
    (state.owner === undefined || typeof state.owner === 'string') &&
    (expiryIntervalS === null || typeof expiryIntervalS === 'number') &&
    typeof state.awaySinceMs === 'number' &&
    typeof state.sentMax === 'number' &&
    Array.isArray(state.subscriptions);
  return isWhole ? (state as StoredState) : undefined;
}
