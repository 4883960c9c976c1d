/**
 * What the REST API tells of an account of the dashboard. In the browser; types, and the rules for new values.
 *
 * Always true: the rules are the broker's own, told before it has to refuse.
 * Source: `GET /users`, `POST /users`.
 */

/** What an account may do. */
export type AccountRole = 'administrator' | 'viewer';

/** An account. */
export interface Account {
  readonly username: string;
  readonly role: AccountRole;
  readonly description: string;
}

/** Choices of a role. */
export const roleOptions = [
  { value: 'viewer', label: 'Viewer: sees everything, changes nothing' },
  { value: 'administrator', label: 'Administrator: everything' },
] as const;

/** Why a user name is not taken; empty while nothing is wrong. */
export function usernameFault(username: string): string {
  if (username === '' || /^[A-Za-z0-9][\w.@-]{0,63}$/.test(username)) return '';
  return 'A letter or digit first, then also . _ @ and -, at most 64 characters.';
}

/** Why a new password is not taken; empty while nothing is wrong. */
export function passwordFault(password: string, username: string): string {
  if (password === '') return '';
  if (password.length < 8) return 'At least 8 characters.';
  return password.toLowerCase() === username.toLowerCase() ? 'Not the user name itself.' : '';
}
