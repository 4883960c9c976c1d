/**
 * One permission that a client carries with it, as a token or a call-out states it. Main thread, plain data.
 *
 * Always true: rules of one client are an ordered list and the first that applies decides. The words are those of
 * EMQX's `acl` claim, so that tokens made for it work here; acl-identity.ts gives them their meaning.
 */

/** A rule of a client's own list. */
export interface AclRule {
  readonly permission: 'allow' | 'deny';
  readonly action: 'publish' | 'subscribe' | 'all';
  /** A topic filter, in which `${clientid}`, `${username}`, `%c` and `%u` stand for the client; after `eq ` the exact text. */
  readonly topic: string;
  /** QoS levels it speaks of; undefined: all. */
  readonly qos?: readonly number[];
  /** Publishes it speaks of: retained only, unretained only, or both (also when undefined). */
  readonly retain?: boolean | 'all';
}
