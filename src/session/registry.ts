/**
 * All sessions by client id: takeover, clean start, expiry. Main thread.
 *
 * Always true: one session per client id and one connection per session [MQTT-3.1.4-3]; a session without
 * connection is in one bucket of the expiry calendar, or never expires. The calendar has buckets of one
 * second and is walked by `tick`, so an expiry costs no timer. Gives up: expiry up to a second late.
 */
import { slot } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { GatewayContext } from './context.js';
import { Session } from './session.js';

/** What `open` found. */
export interface OpenedSession {
  readonly session: Session;
  readonly sessionPresent: boolean;
}

/** See the file header. */
export class SessionRegistry {
  readonly #counters: Pick<Counters, 'add'>;
  readonly #sessions = new Map<string, Session>();
  /** Second of expiry → sessions. */
  readonly #calendar = new Map<number, Set<Session>>();
  readonly #bucketOf = new Map<Session, number>();
  #lastSecond = Number.NEGATIVE_INFINITY;

  constructor(counters: Pick<Counters, 'add'>) {
    this.#counters = counters;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  /** All sessions, connected or not. */
  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /**
   * The session for a CONNECT: takes it over from a living connection, resumes it, or starts a new one. A session of
   * another user gives way and hands nothing on.
   * Returns undefined when a new session would exceed `sessionsMax`.
   */
  open(
    clientId: string,
    owner: string | undefined,
    cleanStart: boolean,
    context: GatewayContext,
  ): OpenedSession | undefined {
    const existing = this.#sessions.get(clientId);
    if (existing !== undefined) {
      this.#forgetExpiry(existing);
      // Taken over first: with an expiry of 0 the old session ends with its connection.
      existing.client?.takenOver();
      if (existing.state !== 'ended' && (cleanStart || existing.owner !== owner)) existing.end();
      if (existing.state !== 'ended') {
        this.#forgetExpiry(existing);
        return { session: existing, sessionPresent: true };
      }
    }
    if (this.#sessions.size >= context.config.sessionsMax) return undefined;
    const session = new Session(clientId, owner, context);
    session.createdAtMs = Date.now();
    this.#sessions.set(clientId, session);
    context.counters.add(slot.sessions, 1);
    return { session, sessionPresent: false };
  }

  /** A session that was found in the log at the start; its client id must be free. */
  restore(clientId: string, owner: string | undefined, context: GatewayContext): Session {
    const session = new Session(clientId, owner, context);
    session.isResumed = true;
    this.#sessions.set(clientId, session);
    context.counters.add(slot.sessions, 1);
    return session;
  }

  /** Books the end of a session that has just lost its connection. */
  expireLater(session: Session, nowMs: number): void {
    this.expireAfter(session, nowMs, session.expiryIntervalS);
  }

  /** Books the end of a session without connection, `seconds` from now; Infinity = never. */
  expireAfter(session: Session, nowMs: number, seconds: number): void {
    if (seconds === Number.POSITIVE_INFINITY) return;
    const second = Math.ceil(nowMs / 1000) + seconds;
    const bucket = this.#calendar.get(second) ?? new Set<Session>();
    bucket.add(session);
    this.#calendar.set(second, bucket);
    this.#bucketOf.set(session, second);
  }

  /** Ends every session whose time has come. Call about once per second. */
  tick(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second - this.#lastSecond > this.#calendar.size) {
      for (const due of [...this.#calendar.keys()]) if (due <= second) this.#endBucket(due);
    } else {
      for (let due = this.#lastSecond + 1; due <= second; due++) this.#endBucket(due);
    }
    this.#lastSecond = second;
  }

  /** Called by the session when it ends. */
  remove(session: Session): boolean {
    this.#forgetExpiry(session);
    if (this.#sessions.get(session.clientId) !== session) return false;
    this.#sessions.delete(session.clientId);
    return true;
  }

  #endBucket(second: number): void {
    const bucket = this.#calendar.get(second);
    if (bucket === undefined) return;
    this.#calendar.delete(second);
    for (const session of bucket) {
      this.#bucketOf.delete(session);
      this.#counters.add(slot.sessionsExpired, 1);
      session.end();
    }
  }

  #forgetExpiry(session: Session): void {
    const second = this.#bucketOf.get(session);
    if (second === undefined) return;
    this.#bucketOf.delete(session);
    const bucket = this.#calendar.get(second);
    bucket?.delete(session);
    if (bucket?.size === 0) this.#calendar.delete(second);
  }
}
