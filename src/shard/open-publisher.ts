/**
 * A publisher as the shards know it: a number that publish frames name, and the frame that introduces it. Main thread.
 *
 * Always true: a slot belongs to one publisher until it is closed; `knownTo` tells which incarnation of each shard's
 * worker has been told who it is, so that a restarted worker is told again before the next publish.
 */
import { FRAME_HEADER_BYTES } from '../base/ring.js';
import type { Publisher, PublisherHandle } from './link.js';
import type { SettleTarget } from './outstanding.js';
import { OPEN_PUBLISHER_HEADER_BYTES } from './protocol.js';

/** An open publisher, for all shards. */
export class OpenPublisher implements PublisherHandle, SettleTarget {
  publisher: Publisher | null;
  readonly slot: number;
  readonly clientId: Buffer;
  /** Incarnation of each shard's worker that knows this publisher; 0 = none. */
  readonly knownTo: Uint32Array;
  readonly #onClose: (publisher: OpenPublisher) => void;

  constructor(
    publisher: Publisher,
    slot: number,
    shardCount: number,
    onClose: (publisher: OpenPublisher) => void,
  ) {
    this.publisher = publisher;
    this.slot = slot;
    this.clientId = Buffer.from(publisher.context.clientId);
    this.knownTo = new Uint32Array(shardCount);
    this.#onClose = onClose;
  }

  close(): void {
    if (this.publisher === null) return;
    this.#onClose(this);
    this.publisher = null;
  }

  /** Most bytes of the frame that opens it; UTF-8 takes up to three bytes per UTF-16 unit. */
  get frameBytesMax(): number {
    const { username, peername } = (this.publisher as Publisher).context;
    return (
      OPEN_PUBLISHER_HEADER_BYTES + this.clientId.length + 3 * ((username?.length ?? 0) + peername.length)
    );
  }

  /** Body of the frame that opens it. */
  encode(): Buffer {
    const { context } = this.publisher as Publisher;
    const { clientId } = this;
    const username = context.username === undefined ? Buffer.alloc(0) : Buffer.from(context.username);
    const peername = Buffer.from(context.peername);
    const header = Buffer.alloc(OPEN_PUBLISHER_HEADER_BYTES - FRAME_HEADER_BYTES);
    header.writeUInt32LE(this.slot, 0);
    header.writeUInt32LE(context.protocolVersion, 4);
    header.writeUInt32LE(clientId.length, 8);
    header.writeUInt32LE(context.username === undefined ? 0 : username.length + 1, 12);
    header.writeUInt32LE(peername.length, 16);
    return Buffer.concat([header, clientId, username, peername]);
  }
}
