/**
 * What applies to one client: its rules, the sections of the file that name it, the patterns with its names in them.
 * Main thread, once per connection and reload; pure.
 *
 *   rules of the client, one by one ─▶ user, client, address ─▶ patterns ─▶ all ─▶ `$SYS/broker` may be read ─▶ denied
 *
 * Always true: a client id or user name with `/`, `+` or `#` in it never widens what a permission covers (it is left
 * out) and never narrows a denial (it covers the rest of the topic). A line about the user name means nothing to a
 * client without one. A rule that is no valid filter permits nothing, and denies everything when it is a denial.
 */
import { isIPv4, isIPv6 } from 'node:net';

import { topicFilterFault } from '../mqtt/topic.js';
import type { AclFile } from './acl-file.js';
import { parseFilter } from './acl-filter.js';
import type { AclRule } from './acl-rule.js';
import { allPublishBits, allSubscribeBits, type AclEntry, type AclStep } from './acl-step.js';

/** The names that a client goes by. */
export interface AclNames {
  readonly clientId: string;
  /** Undefined for an anonymous client. */
  readonly username: string | undefined;
  /** `ip:port` or `[ip]:port`; anything else is from no address. */
  readonly peername: string;
}

/** The steps of a client, in the order of the file header. */
export function stepsFor(
  names: AclNames,
  rules: readonly AclRule[] | undefined,
  file: AclFile | undefined,
): AclStep[] {
  const steps = rules?.map((rule) => ruleStep(rule, names)) ?? [];
  if (file !== undefined) steps.push(ownStep(names, file), patternStep(names, file), file.everyone);
  steps.push(sysStep);
  return steps;
}

/** Unlike `#` it covers topics that begin with `$`, too. */
const anyTopic: AclEntry = {
  text: '#',
  filter: { levels: ['#'], isWildFirst: false },
  isExact: false,
  publishBits: allPublishBits,
  subscribeBits: allSubscribeBits,
};
const denyAll: AclStep = { allow: [], deny: [anyTopic], allowQueues: [], denyQueues: ['*'] };
const nothing: AclStep = { allow: [], deny: [], allowQueues: [], denyQueues: [] };
/**
 * What the broker says about itself may be read unless an earlier step denies it. Not what it says about its clients, below
 * `$SYS/brokers`: their names and addresses.
 */
const sysStep: AclStep = { ...nothing, allow: [entryOf('$SYS/broker/#', 0, allSubscribeBits)] };

function entryOf(text: string, publishBits: number, subscribeBits: number, isExact = false): AclEntry {
  return { text, filter: parseFilter(text), isExact, publishBits, subscribeBits };
}

function ownStep(names: AclNames, file: AclFile): AclStep {
  const sections = [
    names.username === undefined ? file.anonymous : file.users.get(names.username),
    file.clients.get(names.clientId),
    ...addressSections(names.peername, file),
  ].filter((section) => section !== undefined);
  if (sections.length === 1) return sections[0] as AclStep;
  return {
    allow: sections.flatMap(({ allow }) => allow),
    deny: sections.flatMap(({ deny }) => deny),
    allowQueues: sections.flatMap(({ allowQueues }) => allowQueues),
    denyQueues: sections.flatMap(({ denyQueues }) => denyQueues),
  };
}

function addressSections(peername: string, { addresses }: AclFile): AclStep[] {
  if (addresses.length === 0) return [];
  const host = /^\[(.+)\]:\d+$/.exec(peername)?.[1] ?? peername.slice(0, peername.lastIndexOf(':'));
  // An IPv4 peer of a dual-stack listener.
  const address = host.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined;
  if (family === undefined) return [];
  return addresses.filter((section) => section.addresses.check(address, family));
}

function patternStep(names: AclNames, { patterns }: AclFile): AclStep {
  if (patterns.length === 0) return nothing;
  const allow: AclEntry[] = [];
  const deny: AclEntry[] = [];
  for (const { permission, entry } of patterns) {
    const text = expand(entry.text, /%c|%u/g, permission, names);
    if (text === undefined) continue;
    (permission === 'allow' ? allow : deny).push(entryOf(text, entry.publishBits, entry.subscribeBits));
  }
  return { allow, deny, allowQueues: [], denyQueues: [] };
}

function ruleStep({ permission, action, topic, qos, retain }: AclRule, names: AclNames): AclStep {
  const isExact = topic.startsWith('eq ');
  const template = isExact ? topic.slice(3) : topic;
  if (topicFilterFault(template) !== undefined) return permission === 'deny' ? denyAll : nothing;
  const text = isExact ? template : expand(template, /%c|%u|\$\{[^}]*\}/g, permission, names);
  if (text === undefined) return nothing;
  const qosBits =
    (qos?.reduce((bits, level) => bits | (1 << level), 0) ?? allSubscribeBits) & allSubscribeBits;
  const retainBits = retain === true ? 0b111_000 : retain === false ? 0b000_111 : allPublishBits;
  const publishBits = action === 'subscribe' ? 0 : (qosBits | (qosBits << 3)) & retainBits;
  const subscribeBits = action === 'publish' ? 0 : qosBits;
  return { ...nothing, [permission]: [entryOf(text, publishBits, subscribeBits, isExact)] };
}

/** `template` with the client's names in it; undefined when it means nothing to this client. See the file header. */
function expand(
  template: string,
  placeholder: RegExp,
  permission: 'allow' | 'deny',
  names: AclNames,
): string | undefined {
  const levels: string[] = [];
  for (const [index, level] of template.split('/').entries()) {
    let isUnsafe = false;
    let isMissing = false;
    const filled = level.replaceAll(placeholder, (found) => {
      const value = valueOf(found, names);
      if (value === '') isMissing = true;
      if (value === undefined || /[/+#]/.test(value)) isUnsafe = true;
      return value ?? '';
    });
    if (isMissing) return undefined;
    // A client that calls itself "$queue" is not to be let into what the server keeps there.
    if (index === 0 && permission === 'allow' && filled.startsWith('$') && !level.startsWith('$'))
      return undefined;
    if (isUnsafe) {
      if (permission === 'allow') return undefined;
      levels.push('#');
      break;
    }
    levels.push(filled);
  }
  const text = levels.join('/');
  return topicFilterFault(text) === undefined ? text : undefined;
}

/** Empty: the client has no such name. Undefined: nothing is known by that placeholder. */
function valueOf(placeholder: string, { clientId, username }: AclNames): string | undefined {
  if (placeholder === '%c' || placeholder === '${clientid}') return clientId;
  if (placeholder === '%u' || placeholder === '${username}') return username ?? '';
  return undefined;
}
