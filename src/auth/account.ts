/**
 * What an account of the dashboard is, and what its name and password must be. Main thread; pure.
 *
 * Always true: a name is made of plain letters that need no escape in a path, a log line or a table; a new password has at
 * least eight characters and is not the name. Gives up: rules about kinds of characters, which make passwords shorter
 * and not better (NIST SP 800-63B).
 */
import Type, { type Static } from 'typebox';

/** What the owner of an account may do: everything, or look. */
export const accountRoles = ['administrator', 'viewer'] as const;
/** One of them. */
export type AccountRole = (typeof accountRoles)[number];

/** Accounts at most. */
export const accountsMax = 1000;
/** Characters of a user name. */
export const usernameCharsMax = 64;
/** Names that may be taken. */
export const usernamePattern = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;
/** Characters of a new password, at least. */
export const passwordCharsMin = 8;
/** Characters of a password, at most. */
export const passwordCharsMax = 256;
/** Characters of a description. */
export const descriptionCharsMax = 256;

/** An account as it stands in the file; `password` is its hash. */
export const AccountRecord = Type.Object({
  username: Type.String({ minLength: 1, maxLength: usernameCharsMax, pattern: usernamePattern }),
  role: Type.Enum([...accountRoles]),
  description: Type.String({ maxLength: descriptionCharsMax }),
  password: Type.String(),
});
/** The same as a type. */
export type AccountRecord = Static<typeof AccountRecord>;

/** An account without its password. */
export type Account = Omit<AccountRecord, 'password'>;

/** Why a new password is not taken, or undefined. */
export function passwordFault(password: string, username: string): string | undefined {
  const count = password.length;
  if (count < passwordCharsMin || count > passwordCharsMax) {
    return `The password must have ${passwordCharsMin} to ${passwordCharsMax} characters`;
  }
  return password.toLowerCase() === username.toLowerCase()
    ? 'The password must not be the user name'
    : undefined;
}
