/**
 * One link of the chain of authentication methods, and what all links share. Main thread.
 *
 * Always true: a link says yes, no or not-mine; only not-mine goes on to the next link. A no names its cause, which
 * decides the answer on the wire, the counter, and if it counts against the peer's address.
 * Gives up: asking links side by side; their order is the order of the settings.
 */
import { reasonCode } from '../mqtt/reason-code.js';
import type { AuthRequest, Identity } from './authenticator.js';

/** How a client was let in; label of the counter of successes. */
export type MethodName = 'anonymous' | 'certificate' | 'password' | 'jwt' | 'http' | 'scram';

/**
 * Why a client was refused; label of the counter of failures. `credentials`, `token`, `denied` and `scram` are wrong
 * proofs and count against the address; `busy` and `unavailable` are our own state, not the client's fault.
 */
export type RefusalCause =
  | 'anonymous'
  | 'credentials'
  | 'token'
  | 'denied'
  | 'scram'
  | 'blocked'
  | 'busy'
  | 'unavailable';

/** What one link says. */
export type Verdict =
  | { readonly kind: 'yes'; readonly identity: Identity }
  | { readonly kind: 'no'; readonly cause: RefusalCause }
  | { readonly kind: 'not-mine' };

/** One link. */
export interface AuthMethod {
  readonly name: MethodName;
  /** Answers at once where it can. A link that answers later keeps its own copy of the password. */
  check(request: AuthRequest): Verdict | Promise<Verdict>;
  /** Reads its files again. What is broken is logged, and the old content stays. */
  reload?(): Promise<void>;
  close?(): void;
}

/** The one verdict `not-mine`. */
export const notMine: Verdict = { kind: 'not-mine' };

/** A refusal. */
export function no(cause: RefusalCause): Verdict {
  return { kind: 'no', cause };
}

const reasonCodeOf: Readonly<Record<RefusalCause, number>> = {
  anonymous: reasonCode.notAuthorized,
  credentials: reasonCode.badUserNameOrPassword,
  token: reasonCode.badUserNameOrPassword,
  denied: reasonCode.notAuthorized,
  scram: reasonCode.notAuthorized,
  blocked: reasonCode.quotaExceeded,
  busy: reasonCode.serverBusy,
  unavailable: reasonCode.serverUnavailable,
};

/** The MQTT 5 reason code of a refusal. */
export function refusalReasonCode(cause: RefusalCause): number {
  return reasonCodeOf[cause];
}

/** True when the peer's proof was wrong, so that the failure counts against its address. */
export function isPeersFault(cause: RefusalCause): boolean {
  return cause === 'credentials' || cause === 'token' || cause === 'denied' || cause === 'scram';
}

/** What a caller of `createAuthenticator` gives of a logger. Secrets and passwords never reach it. */
export interface AuthLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
