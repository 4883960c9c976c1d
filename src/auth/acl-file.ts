/**
 * The ACL file: text to tables. Main thread, at start and on reload; pure.
 *
 * The syntax is Mosquitto's (`user`, `topic`, `pattern`) with additions (`client`, `address`, `all`, `queue`, `qos=`,
 * `retain=`, `denyread`, `denywrite`); docs/authorization.md describes it. Always true: a file is taken whole or not
 * at all, and a line that is not understood is an error with its number, because a rule that is silently not applied
 * is worse than a broker that says so. Gives up: comments behind a rule, since filters contain `#`.
 */
import { BlockList, isIP } from 'node:net';

import { topicFilterFault } from '../mqtt/topic.js';
import { parseFilter } from './acl-filter.js';
import { allPublishBits, allSubscribeBits, type AclEntry } from './acl-step.js';

/** What lines of one section say, in no order. */
export interface Statements {
  readonly allow: AclEntry[];
  readonly deny: AclEntry[];
  readonly allowQueues: string[];
  readonly denyQueues: string[];
}

/** A section for clients from some addresses. */
export interface AddressSection extends Statements {
  readonly addresses: BlockList;
}

/** A `pattern` line: an entry whose text has `%c` and `%u` in it. */
export interface PatternLine {
  readonly permission: 'allow' | 'deny';
  readonly entry: AclEntry;
}

/** A parsed file. */
export interface AclFile {
  /** Lines before the first section: clients without user name. */
  readonly anonymous: Statements;
  readonly users: ReadonlyMap<string, Statements>;
  readonly clients: ReadonlyMap<string, Statements>;
  readonly addresses: readonly AddressSection[];
  readonly patterns: readonly PatternLine[];
  /** Lines of `all` sections. */
  readonly everyone: Statements;
}

/** A line that is no rule. */
export class AclSyntaxError extends Error {
  override readonly name = 'AclSyntaxError';
  readonly line: number;
  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
  }
}

/** What an access word gives or takes: bits of publishing and subscribing. */
interface Access {
  readonly permission: 'allow' | 'deny';
  readonly publishBits: number;
  readonly subscribeBits: number;
}

const accessWords: ReadonlyMap<string, Access> = new Map([
  ['read', { permission: 'allow', publishBits: 0, subscribeBits: allSubscribeBits }],
  ['write', { permission: 'allow', publishBits: allPublishBits, subscribeBits: 0 }],
  ['readwrite', { permission: 'allow', publishBits: allPublishBits, subscribeBits: allSubscribeBits }],
  ['deny', { permission: 'deny', publishBits: allPublishBits, subscribeBits: allSubscribeBits }],
  ['denyread', { permission: 'deny', publishBits: 0, subscribeBits: allSubscribeBits }],
  ['denywrite', { permission: 'deny', publishBits: allPublishBits, subscribeBits: 0 }],
] as const);
const readwrite = accessWords.get('readwrite') as Access;

/** As operators name queues; `/<filter>` is the name of a queue made without one. */
const queueNamePattern = /^(?:[0-9A-Za-z][-.0-9A-Za-z_]*\*?|\*|\/.+)$/;

/** Parses a file. Throws `AclSyntaxError` at the first line that is not understood. */
export function parseAclFile(text: string): AclFile {
  const anonymous = noStatements();
  const everyone = noStatements();
  const users = new Map<string, Statements>();
  const clients = new Map<string, Statements>();
  const addresses: AddressSection[] = [];
  const patterns: PatternLine[] = [];
  let section: Statements = anonymous;
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [keyword, rest] = splitWord(line);
    try {
      switch (keyword) {
        case 'user':
          section = sectionOf(users, rest, 'a user name');
          break;
        case 'client':
          section = sectionOf(clients, rest, 'a client id');
          break;
        case 'address':
          section = noStatements();
          addresses.push({ ...section, addresses: parseAddress(rest) });
          break;
        case 'all':
          if (rest !== '') throw new Error('"all" stands alone in its line');
          section = everyone;
          break;
        case 'topic': {
          const { permission, entry } = parseTopicLine(rest);
          section[permission].push(entry);
          break;
        }
        case 'pattern':
          patterns.push(parseTopicLine(rest));
          break;
        case 'queue':
          parseQueueLine(rest, section);
          break;
        default:
          throw new Error(
            `${JSON.stringify(keyword)} is not one of user, client, address, all, topic, pattern, queue`,
          );
      }
    } catch (error) {
      throw new AclSyntaxError(index + 1, error instanceof Error ? error.message : String(error));
    }
  }
  return { anonymous, users, clients, addresses, patterns, everyone };
}

function noStatements(): Statements {
  return { allow: [], deny: [], allowQueues: [], denyQueues: [] };
}

/** The first word of a text and what follows it, trimmed. */
function splitWord(text: string): [word: string, rest: string] {
  const [, word = '', rest = ''] = /^(\S*)\s*([^]*)$/.exec(text) ?? [];
  return [word, rest];
}

function sectionOf(sections: Map<string, Statements>, name: string, what: string): Statements {
  if (name === '') throw new Error(`${what} is missing`);
  const section = sections.get(name) ?? noStatements();
  sections.set(name, section);
  return section;
}

/** `[access] [qos=…] [retain=…] filter`. A filter with spaces needs an access word before it. */
function parseTopicLine(text: string): PatternLine {
  const [first, afterFirst] = splitWord(text);
  const access = afterFirst === '' ? undefined : accessWords.get(first);
  let rest = access === undefined ? text : afterFirst;
  let { publishBits, subscribeBits } = access ?? readwrite;
  const permission = access?.permission ?? 'allow';
  for (;;) {
    const [word, after] = splitWord(rest);
    const [option = '', value = ''] = /^(qos|retain)=(.*)$/.exec(word)?.slice(1) ?? [];
    if (option === '') break;
    if (after === '') throw new Error(`there is no topic filter after ${JSON.stringify(word)}`);
    if (option === 'qos') {
      const qosBits = parseQos(value);
      publishBits &= qosBits | (qosBits << 3);
      subscribeBits &= qosBits;
    } else {
      publishBits &= parseRetain(value);
      // Subscriptions are not retained: a denial of retained messages leaves them alone.
      if (permission === 'deny') subscribeBits = 0;
      if (publishBits === 0) throw new Error('"retain=" speaks of publishing only');
    }
    rest = after;
  }
  if (access === undefined && rest === text && afterFirst !== '') {
    throw new Error(`${JSON.stringify(first)} is not one of ${[...accessWords.keys()].join(', ')}`);
  }
  if (rest === '') throw new Error('a topic filter is missing');
  const fault = topicFilterFault(rest);
  if (fault !== undefined) throw new Error(`${JSON.stringify(rest)} is no topic filter: ${fault.message}`);
  if (permission === 'allow' && rest.startsWith('$share/')) {
    throw new Error('a shared subscription is allowed by its filter: leave "$share/<name>/" out');
  }
  return {
    permission,
    entry: { text: rest, filter: parseFilter(rest), isExact: false, publishBits, subscribeBits },
  };
}

function parseQos(text: string): number {
  if (!/^[012](?:,[012])*$/.test(text)) throw new Error('"qos=" takes 0, 1 and 2, separated by commas');
  return text.split(',').reduce((bits, digit) => bits | (1 << Number(digit)), 0);
}

function parseRetain(text: string): number {
  if (text === 'true') return 0b111_000;
  if (text === 'false') return 0b000_111;
  throw new Error('"retain=" takes true or false');
}

function parseQueueLine(text: string, section: Statements): void {
  const [first, afterFirst] = splitWord(text);
  const hasWord = afterFirst !== '' && (first === 'allow' || first === 'deny');
  const name = hasWord ? afterFirst : text;
  if (!queueNamePattern.test(name)) {
    throw new Error(`${JSON.stringify(name)} is no name of a queue, nor the beginning of one and "*"`);
  }
  (hasWord && first === 'deny' ? section.denyQueues : section.allowQueues).push(name);
}

/** An address, or a network as `address/bits`. */
function parseAddress(text: string): BlockList {
  const addresses = new BlockList();
  const [, address = '', bits] = /^([^/\s]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) throw new Error(`${JSON.stringify(text)} is no address and no network`);
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const bitsMax = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? bitsMax : Number(bits);
  if (prefix > bitsMax) throw new Error(`a network of that kind has at most ${bitsMax} bits`);
  addresses.addSubnet(address, prefix, family);
  return addresses;
}
