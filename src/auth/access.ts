/**
 * Who may publish and subscribe to what: the ACL file, rules that clients carry, and the memory of decisions.
 * Main thread.
 *
 * Always true: with nothing configured there is no such object and nothing is asked per message; with a file everything
 * is denied that neither it nor the client's own rules allow; a client with rules and no file has those rules only.
 * What the server keeps under `$SYS`, `$share`, `$q` and `$queue` is published by no client, not even a superuser.
 * A file that is broken when it is read again changes nothing, a good one is told to who takes subscriptions back.
 * Gives up: a memory of what was decided for clients that are gone.
 */
import { readFileSync, stat, statSync, type Stats } from 'node:fs';

import { OperationalError } from '../base/error.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import { parseAclFile, type AclFile } from './acl-file.js';
import { allPublishBits, mayRead, publishBitsOf, type AclStep } from './acl-step.js';
import { stepsFor } from './acl-subject.js';
import { askedFor, wishFor, type QueueRef } from './acl-subscription.js';
import type { Identity } from './authenticator.js';

/** A connected client that wants something. One object per connection: decisions are remembered by it. */
export interface Subject {
  readonly clientId: string;
  readonly username: string | undefined;
  readonly peername: string;
  /** What authentication found; its user name counts instead of `username`. */
  readonly identity?: Identity;
}

/** See the file header. */
export interface AccessControl {
  mayPublish(subject: Subject, topicName: string, qos: number, retain: boolean): boolean;
  /** The same for the bytes of a topic name: as long as a client stays on one topic nothing is allocated. */
  mayPublishBytes(
    subject: Subject,
    topic: Buffer,
    start: number,
    end: number,
    qos: number,
    retain: boolean,
  ): boolean;
  /**
   * `filter` is the well-formed literal string of SUBSCRIBE; of `$share/<group>/<filter>` the filter counts. `queue`
   * is the queue that a queue subscription leads to, or would create; undefined: not known yet, ask again when it is.
   */
  maySubscribe(subject: Subject, filter: string, qos: number, queue?: QueueRef): boolean;
  /** Reads the file again; false and an error in the log when it is broken, in which case the old one stays. */
  reload(): boolean;
  /** `changed` is called whenever other rules have come into force. */
  onChange(changed: () => void): void;
  /** Ends the watch of the file. */
  close(): void;
}

/** The part of `Config` that is used here. The ways of authentication that may give a client rules are told by theirs. */
export interface AccessConfig {
  readonly aclFile: string | undefined;
  readonly aclChecksQueueFilter: boolean;
  readonly jwtSecret?: unknown;
  readonly jwtSecretFile?: unknown;
  readonly jwtPublicKeyFile?: unknown;
  readonly jwtJwks?: unknown;
  readonly authHttpUrl?: unknown;
}

/** The part of a logger that is used here. */
export interface AccessLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Undefined when nothing is configured: everything is allowed. Throws `OperationalError` ERR_ACL for a broken file. */
export function createAccessControl(
  config: AccessConfig,
  log: AccessLog,
  counters: Pick<Counters, 'add'>,
): AccessControl | undefined {
  const { aclFile, jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks, authHttpUrl } = config;
  const sources = [aclFile, jwtSecret, jwtSecretFile, jwtPublicKeyFile, jwtJwks, authHttpUrl];
  if (sources.every((source) => source === undefined)) return undefined;
  return new Access(config, log, counters);
}

const fileBytesMax = 4 * 1024 * 1024;
const watchIntervalMs = 1000;
/** What a connection remembers of its publishes: at most about 10 KB. */
const topicsRememberedMax = 32;
const topicLengthRememberedMax = 256;

const publishDenied = slotOf('authorizationDenied', 'publish');
const subscribeDenied = slotOf('authorizationDenied', 'subscribe');
const reloaded = slotOf('aclReloads', 'loaded');
const reloadFailed = slotOf('aclReloads', 'failed');

/** What is remembered of one subject. */
interface Memory {
  readonly generation: number;
  /** Whom the steps are for: a subject may prove another identity later. */
  readonly identity: Identity | undefined;
  /** Undefined: nothing limits this subject. */
  readonly steps: readonly AclStep[] | undefined;
  /** Topic name → bits of allowed publishes. */
  readonly topics: Map<string, number>;
  /** The last topic as the first `lastLength` bytes, and its bits. Length 0: none. */
  lastTopic: Buffer;
  lastLength: number;
  lastBits: number;
}

const noBytes = Buffer.alloc(0);

class Access implements AccessControl {
  readonly #config: AccessConfig;
  readonly #log: AccessLog;
  readonly #counters: Pick<Counters, 'add'>;
  readonly #memories = new WeakMap<Subject, Memory>();
  readonly #timer: NodeJS.Timeout | undefined;
  /** State of the file when it was last read, well or badly. */
  #version = '';
  #lastSeen = '';
  #file: AclFile | undefined;
  #generation = 0;
  readonly #changed: (() => void)[] = [];

  constructor(config: AccessConfig, log: AccessLog, counters: Pick<Counters, 'add'>) {
    this.#config = config;
    this.#log = log;
    this.#counters = counters;
    const { aclFile } = config;
    if (aclFile === undefined) return;
    this.#file = this.#load(aclFile);
    this.#timer = setInterval(() => this.#look(aclFile), watchIntervalMs).unref();
  }

  mayPublish(subject: Subject, topicName: string, qos: number, retain: boolean): boolean {
    return this.#answer(this.#bitsOf(this.#memoryOf(subject), topicName), qos, retain);
  }

  mayPublishBytes(
    subject: Subject,
    topic: Buffer,
    start: number,
    end: number,
    qos: number,
    retain: boolean,
  ): boolean {
    const memory = this.#memoryOf(subject);
    if (!isLast(memory, topic, start, end)) {
      memory.lastBits = this.#bitsOf(memory, topic.toString('utf8', start, end));
      remember(memory, topic, start, end);
    }
    return this.#answer(memory.lastBits, qos, retain);
  }

  maySubscribe(subject: Subject, filter: string, qos: number, queue?: QueueRef): boolean {
    const { steps } = this.#memoryOf(subject);
    if (steps === undefined) return true;
    const { wish, sources } = askedFor(filter, queue);
    const isAllowed =
      mayRead(steps, wish, qos) &&
      (!this.#config.aclChecksQueueFilter || sources.every((source) => mayRead(steps, wishFor(source), qos)));
    if (!isAllowed) this.#counters.add(subscribeDenied, 1);
    return isAllowed;
  }

  reload(): boolean {
    const { aclFile } = this.#config;
    if (aclFile === undefined) return true;
    try {
      this.#file = this.#load(aclFile);
    } catch (error) {
      this.#counters.add(reloadFailed, 1);
      this.#log.error(
        { err: error },
        'the ACL file was not read again; the permissions before stay in force',
      );
      return false;
    }
    this.#generation++;
    this.#counters.add(reloaded, 1);
    this.#log.info({ file: aclFile }, 'the ACL file was read again');
    for (const changed of this.#changed) changed();
    return true;
  }

  onChange(changed: () => void): void {
    this.#changed.push(changed);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #load(file: string): AclFile {
    try {
      // Taken before the reading: what is written meanwhile is seen as a change later.
      this.#version = '';
      const stats = statSync(file);
      this.#version = versionOf(stats);
      if (stats.size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
      return parseAclFile(readFileSync(file, 'utf8'));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new OperationalError('ERR_ACL', `the ACL file ${file} cannot be used: ${reason}`, error);
    }
  }

  #look(file: string): void {
    stat(file, (error, stats) => {
      const version = error === null ? versionOf(stats) : '';
      // Only once it has come to rest: half of a file may be without its denials.
      if (version !== this.#version && version === this.#lastSeen) this.reload();
      this.#lastSeen = version;
    });
  }

  #answer(bits: number, qos: number, retain: boolean): boolean {
    const isAllowed = ((bits >> (retain ? qos + 3 : qos)) & 1) === 1;
    if (!isAllowed) this.#counters.add(publishDenied, 1);
    return isAllowed;
  }

  #bitsOf(memory: Memory, topicName: string): number {
    const known = memory.topics.get(topicName);
    if (known !== undefined) return known;
    let bits = 0;
    if (!isServerTopic(topicName)) {
      bits = memory.steps === undefined ? allPublishBits : publishBitsOf(memory.steps, topicName);
    }
    if (topicName.length > topicLengthRememberedMax) return bits;
    if (memory.topics.size >= topicsRememberedMax) {
      const [oldest] = memory.topics.keys();
      memory.topics.delete(oldest as string);
    }
    memory.topics.set(topicName, bits);
    return bits;
  }

  #memoryOf(subject: Subject): Memory {
    const memory = this.#memories.get(subject);
    const { identity } = subject;
    if (memory !== undefined && memory.generation === this.#generation && memory.identity === identity) {
      return memory;
    }
    const fresh: Memory = {
      generation: this.#generation,
      identity,
      steps: this.#stepsOf(subject),
      topics: new Map(),
      lastTopic: noBytes,
      lastLength: 0,
      lastBits: 0,
    };
    this.#memories.set(subject, fresh);
    return fresh;
  }

  #stepsOf({ clientId, username, peername, identity }: Subject): readonly AclStep[] | undefined {
    if (identity?.isSuperuser === true) return undefined;
    if (this.#file === undefined && identity?.rules === undefined) return undefined;
    const names = { clientId, username: identity === undefined ? username : identity.username, peername };
    return stepsFor(names, identity?.rules, this.#file);
  }
}

/** Names under which only the server speaks. */
function isServerTopic(topicName: string): boolean {
  return topicName.startsWith('$') && /^\$(?:SYS|share|queue|q)(?:\/|$)/.test(topicName);
}

function isLast({ lastTopic, lastLength }: Memory, topic: Buffer, start: number, end: number): boolean {
  // Topic names are not empty, so that length 0 is never the same.
  if (lastLength !== end - start || lastLength === 0) return false;
  for (let i = 0; i < lastLength; i++) if (lastTopic[i] !== topic[start + i]) return false;
  return true;
}

function remember(memory: Memory, topic: Buffer, start: number, end: number): void {
  memory.lastLength = 0;
  if (end - start > topicLengthRememberedMax) return;
  if (memory.lastTopic.length < end - start) memory.lastTopic = Buffer.allocUnsafeSlow(end - start);
  memory.lastLength = topic.copy(memory.lastTopic, 0, start, end);
}

/** Two states of a file are the same when nobody wrote to it and nobody put another in its place. */
function versionOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}
