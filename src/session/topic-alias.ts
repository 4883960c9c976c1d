/**
 * Topic aliases of one connection, in both directions. Main thread.
 *
 * Always true: aliases belong to one network connection and one direction [MQTT-3.3.2-7]; what the client
 * sends is bounded by the server's Topic Alias Maximum, what it gets by its own [MQTT-3.3.2-11].
 * Towards the client the table is direct-mapped by a hash of the topic: one probe per message, no list to
 * keep, at the price that two topics may take the same alias in turns (each time the full topic is sent).
 */

/** Aliases that the client has set. */
export class InboundAliases {
  readonly #topics: (Buffer | undefined)[] = [];

  /** Remembers `buffer[start, end)` as the topic of `alias`, replacing an older one [MQTT-3.3.2-12]. */
  set(alias: number, buffer: Buffer, start: number, end: number): void {
    const known = this.#topics[alias];
    if (known !== undefined && equals(known, buffer, start, end)) return;
    const topic = Buffer.allocUnsafeSlow(end - start);
    buffer.copy(topic, 0, start, end);
    this.#topics[alias] = topic;
  }

  /** The topic of an alias, or undefined when the client never set it. */
  get(alias: number): Buffer | undefined {
    return this.#topics[alias];
  }
}

/** Aliases used at most towards one client, whatever it offers: bounds memory per connection. */
export const outboundAliasesMax = 64;

/** Aliases that the server sets towards a client. */
export class OutboundAliases {
  readonly #topics: (Buffer | undefined)[];
  readonly #count: number;
  /** True when the alias of the last `aliasOf` is known to the client, so that the topic may be left out. */
  isKnown = false;

  constructor(topicAliasMaximum: number) {
    this.#count = Math.min(topicAliasMaximum, outboundAliasesMax);
    this.#topics = Array.from<Buffer | undefined>({ length: this.#count });
  }

  /**
   * The alias to send with this topic, 0 for none. Call it only for a packet that certainly is sent; when
   * `isKnown` is false afterwards the packet must carry the topic as well.
   */
  aliasOf(buffer: Buffer, start: number, end: number): number {
    if (this.#count === 0 || end - start <= 3) return 0;
    // FNV-1a over the bytes: topics are short.
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
    const index = (hash >>> 0) % this.#count;
    const known = this.#topics[index];
    this.isKnown = known !== undefined && equals(known, buffer, start, end);
    if (!this.isKnown) {
      const topic = Buffer.allocUnsafeSlow(end - start);
      buffer.copy(topic, 0, start, end);
      this.#topics[index] = topic;
    }
    return index + 1;
  }
}

function equals(known: Buffer, buffer: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== buffer[start + i]) return false;
  return true;
}
