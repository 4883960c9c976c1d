/**
 * A record in memory as key expressions see it. Shard worker. One reused object per shard, aimed at one record
 * after another.
 *
 * Always true: nothing is decoded before an expression asks for it; views are valid during one evaluation.
 */
import { MessageFlag, RecordWord, bodyStart } from '../log/record-format.js';
import type { KeyContext } from './key-expression/context.js';
import { publishedAtMs, type RecordMemory } from './record.js';

/** What the shard knows of a publisher. */
export interface PublisherInfo {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly peername: string;
  readonly protocolVersion: number;
}

/** See the file header. */
export class RecordKeyContext implements KeyContext {
  readonly clientAttrs = undefined;
  readonly dup = false;
  #memory: RecordMemory | null = null;
  #at = 0;
  #publisher: PublisherInfo | null = null;
  #sequence = 0;
  #nowMs = 0;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Points this context at the record at `at`. */
  aim(memory: RecordMemory, at: number, publisher: PublisherInfo, nowMs: number): void {
    this.#memory = memory;
    this.#at = at;
    this.#publisher = publisher;
    this.#nowMs = nowMs;
    this.#sequence++;
  }

  get id(): string {
    return `${this.#nowMs.toString(16)}-${this.#sequence.toString(16)}`;
  }
  get from(): string {
    return (this.#publisher as PublisherInfo).clientId;
  }
  get username(): string | undefined {
    return (this.#publisher as PublisherInfo).username;
  }
  get peername(): string {
    return (this.#publisher as PublisherInfo).peername;
  }
  get peerhost(): string {
    const { peername } = this;
    const colon = peername.lastIndexOf(':');
    return colon < 0 ? peername : peername.slice(0, colon);
  }
  get protoVer(): number {
    return (this.#publisher as PublisherInfo).protocolVersion;
  }
  get qos(): number {
    return this.#word(RecordWord.flagsAndTopicLength) & MessageFlag.qosMask;
  }
  get retain(): boolean {
    return (this.#word(RecordWord.flagsAndTopicLength) & MessageFlag.retain) !== 0;
  }
  get topic(): string {
    const start = this.#body;
    return this.#bytes.toString('utf8', start, start + (this.#word(RecordWord.flagsAndTopicLength) >>> 16));
  }
  get payload(): Uint8Array {
    return this.#view(this.#word(RecordWord.payloadStart), this.#word(RecordWord.bodyLength));
  }
  get propertyBytes(): Uint8Array {
    const start = this.#word(RecordWord.propertiesStart);
    return this.#view(start, start + this.#word(RecordWord.propertiesLength));
  }
  get timestampMs(): number {
    return publishedAtMs(this.#memory as RecordMemory, this.#at);
  }
  nowMs(): number {
    return this.#nowMs;
  }
  random(): number {
    return this.#random();
  }

  get #body(): number {
    return bodyStart((this.#memory as RecordMemory).words, this.#at);
  }
  get #bytes(): Buffer {
    return (this.#memory as RecordMemory).bytes;
  }
  #word(index: number): number {
    return (this.#memory as RecordMemory).words[(this.#at >> 2) + index] as number;
  }
  #view(from: number, to: number): Uint8Array {
    const start = this.#body;
    return this.#bytes.subarray(start + from, start + to);
  }
}
