/**
 * The roles of API keys and of accounts, as options offer them. Constant.
 *
 * Always true: the words are those of the REST API; it alone decides what a role may do: an administrator everything,
 * a viewer may look, a publisher may publish.
 */

/** Roles of keys. */
export const roles = ['administrator', 'viewer', 'publisher'] as const;
/** Roles of accounts. */
export const accountRoles = ['administrator', 'viewer'] as const;
