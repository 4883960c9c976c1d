/**
 * Texts of the configuration in which a client's own values stand. Any thread, pure.
 *
 * Always true: values are put in once and not read again, so a client whose name looks like a placeholder gains
 * nothing; a placeholder without a value makes the whole text undefined. Gives up: escapes for a literal placeholder.
 */
import type { AuthRequest } from './authenticator.js';
import { hostOf } from './failure-limiter.js';

const placeholder =
  /%[cu]|\$\{(?:clientid|username|password|peerhost|listener|cert_common_name|cert_subject)\}/g;

/** `template` with `%c`, `%u` and `${…}` replaced; undefined when the client has no such value. */
export function expand(template: string, request: AuthRequest): string | undefined {
  let isComplete = true;
  const text = template.replaceAll(placeholder, (name) => {
    const value = valueOf(name, request);
    if (value === undefined) isComplete = false;
    return value ?? '';
  });
  return isComplete ? text : undefined;
}

function valueOf(name: string, { clientId, username, password, facts }: AuthRequest): string | undefined {
  switch (name) {
    case '%c':
    case '${clientid}':
      return clientId;
    case '%u':
    case '${username}':
      return username;
    case '${password}':
      return password?.toString('utf8');
    case '${peerhost}':
      return hostOf(facts.peername);
    case '${listener}':
      return facts.listener;
    case '${cert_common_name}':
      return facts.certificate?.commonName;
    default:
      return facts.certificate?.subject;
  }
}
