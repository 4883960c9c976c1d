/**
 * What is stored of a session that outlives its connection, as bytes of rows. Main thread.
 *
 *   state          0x01 | JSON: client id, expiry, whether connected, since when away
 *   released       0x02 | u16 client id bytes | client id | u32 offset …   QoS 2 messages with PUBREL sent and no PUBCOMP
 *   received       0x03 | u16 packet id | u8 shards | client id            a QoS 2 PUBLISH from the client, one row per shard
 *   subscriptions  0x04 | f64 row id of the state | u8 options | u32 subscription identifier | u16 bytes | filter | …
 *   options        bits 0 and 1: QoS · bit 2: No Local · bit 3: Retain As Published
 *
 * Always true: little-endian; a first byte that is not known, or bytes that do not fit, read as undefined, and the row
 * is dropped with a log line. What changes often, or is long, stands apart from the state.
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
}

/** A row of any kind but that of received QoS 2 messages, which lie in a store of their own. */
export type SessionRow =
  | { readonly kind: 'state'; readonly state: StoredState }
  | {
      readonly kind: 'subscriptions';
      readonly stateRowId: number;
      readonly subscriptions: readonly StoredSubscription[];
    }
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
const SUBSCRIPTIONS = 4;
/** Bytes before the first subscription, and of each beside its filter. */
const groupHeadBytes = 9;
const subscriptionHeadBytes = 7;
const optionBit = { qos: 3, noLocal: 4, retainAsPublished: 8 } as const;

/** Row of the state. */
export function encodeState(state: StoredState): Buffer {
  return Buffer.concat([Buffer.of(STATE), Buffer.from(JSON.stringify(state))]);
}

/** Bytes that a subscription takes in a row. */
export function subscriptionBytes(filter: string): number {
  return subscriptionHeadBytes + Buffer.byteLength(filter);
}

/** Row of some subscriptions of the session whose state is row `stateRowId`. */
export function encodeSubscriptions(
  stateRowId: number,
  subscriptions: readonly StoredSubscription[],
): Buffer {
  let bytes = groupHeadBytes;
  for (const { filter } of subscriptions) bytes += subscriptionBytes(filter);
  const row = Buffer.allocUnsafe(bytes);
  row[0] = SUBSCRIPTIONS;
  let at = row.writeDoubleLE(stateRowId, 1);
  for (const { filter, qos, noLocal, retainAsPublished, subscriptionIdentifier } of subscriptions) {
    at = row.writeUInt8(
      qos | (noLocal ? optionBit.noLocal : 0) | (retainAsPublished ? optionBit.retainAsPublished : 0),
      at,
    );
    at = row.writeUInt32LE(subscriptionIdentifier, at);
    const filterBytes = row.write(filter, at + 2);
    at = row.writeUInt16LE(filterBytes, at) + filterBytes;
  }
  return row;
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

/** The inverse of the first three; undefined for what is none of them. */
export function decodeSessionRow(value: Uint8Array): SessionRow | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes[0] === STATE) {
    const state = parseState(bytes.toString('utf8', 1));
    return state === undefined ? undefined : { kind: 'state', state };
  }
  if (bytes[0] === SUBSCRIPTIONS) return readSubscriptions(bytes);
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

function readSubscriptions(bytes: Buffer): SessionRow | undefined {
  if (bytes.length < groupHeadBytes) return undefined;
  const subscriptions: StoredSubscription[] = [];
  for (let at = groupHeadBytes; at < bytes.length;) {
    const start = at + subscriptionHeadBytes;
    if (start > bytes.length) return undefined;
    const end = start + bytes.readUInt16LE(start - 2);
    if (end > bytes.length) return undefined;
    const options = bytes[at]!;
    subscriptions.push({
      filter: bytes.toString('utf8', start, end),
      qos: options & optionBit.qos,
      noLocal: (options & optionBit.noLocal) !== 0,
      retainAsPublished: (options & optionBit.retainAsPublished) !== 0,
      subscriptionIdentifier: bytes.readUInt32LE(at + 1),
    });
    at = end;
  }
  return { kind: 'subscriptions', stateRowId: bytes.readDoubleLE(1), subscriptions };
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
    typeof state.sentMax === 'number';
  return isWhole ? (state as StoredState) : undefined;
}
