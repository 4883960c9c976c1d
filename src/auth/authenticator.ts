/**
 * What the session layer asks about a client that connects: who is it. Main thread; plain types.
 *
 * Always true: an answer is one of success, continue and refused, with the MQTT 5 reason code of a refusal; the
 * session layer maps codes to MQTT 3.1.1 and writes CONNACK and AUTH. Nothing here knows packets or sockets.
 * Gives up: asking what a client may do, which is the ACL's part. Source: MQTT 5 sections 3.1.3.5-6, 4.12.
 */
import type { AclRule } from './acl-rule.js';
import type { ConnectionFacts } from './connection-facts.js';

/** Who a client turned out to be. */
export interface Identity {
  /** Undefined for an anonymous client. */
  readonly username: string | undefined;
  /** True when no rule limits this client. */
  readonly isSuperuser?: boolean;
  /** Rules that came with the proof of identity (a token, a call-out); they are checked before the ACL file. */
  readonly rules?: readonly AclRule[];
  /** Unix time in milliseconds after which the connection is closed with 0x87 Not authorized; undefined: never. */
  readonly expiresAtMs?: number;
}

/** What a client says about itself, and what its connection says about it. */
export interface AuthRequest {
  readonly clientId: string;
  readonly username: string | undefined;
  /** Not kept after the answer. */
  readonly password: Buffer | undefined;
  /** The protocol level of CONNECT: 3, 4 or 5. */
  readonly protocolVersion: number;
  readonly facts: ConnectionFacts;
}

/** One step of an authentication. */
export type AuthStep =
  | {
      readonly kind: 'success';
      readonly identity: Identity;
      /** Authentication Data of the final CONNACK or AUTH. */
      readonly data?: Buffer;
    }
  | { readonly kind: 'continue'; readonly data: Buffer }
  | { readonly kind: 'refused'; readonly reasonCode: number };

/** One enhanced authentication [MQTT 5 §4.12]. Steps are asked for one after another, never at once. */
export interface AuthExchange {
  /** `data` is undefined when the client sent no Authentication Data. */
  step(data: Buffer | undefined): AuthStep | Promise<AuthStep>;
}

/** See the file header. */
export interface Authenticator {
  /** CONNECT without Authentication Method. Answers at once or later; a rejected promise is answered 0x88. */
  authenticate(request: AuthRequest): AuthStep | Promise<AuthStep>;
  /** CONNECT with a method, and re-authentication. Undefined: the method is unknown, which is answered 0x8C. */
  exchange(method: string, request: AuthRequest): AuthExchange | undefined;
  /** False once the password that proved `identity` is not its user's any more. Left out: identities stand. */
  stands?(identity: Identity): boolean;
  /** `changed` is called when other users are in force. */
  onChange?(changed: () => void): void;
  /** Ends timers, watchers and call-outs. */
  close(): void;
}
