/**
 * What the REST API tells of an API key. In the browser; types, and how they are read.
 *
 * Always true: names are the API's, which are EMQX's; the secret is only in the answer that made the key.
 * Source: `GET /api_key`, `POST /api_key`.
 */

/** What a key may do. */
export type KeyRole = 'administrator' | 'viewer' | 'publisher';

/** A key. */
export interface Key {
  readonly name: string;
  readonly api_key: string;
  readonly desc: string;
  readonly enable: boolean;
  readonly role: KeyRole;
  readonly created_at?: string;
  /** A time, or `infinity`. */
  readonly expired_at?: string | null;
}

/** A key that was just made. */
export interface NewKey extends Key {
  readonly api_secret: string;
}

/** Roles as people read them. */
export const roleNames: Readonly<Record<KeyRole, string>> = {
  administrator: 'Administrator',
  viewer: 'Viewer',
  publisher: 'Publisher',
};

/** When a key expires, Unix time in milliseconds; undefined for never. */
export function expiryOf({ expired_at: at }: Key): number | undefined {
  const ms = Date.parse(at ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
