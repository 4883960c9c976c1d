/**
 * The rules that a token or a call-out brings along, from either of EMQX's two forms. Any thread, pure.
 *
 * Always true: what is not understood refuses the whole list, as leaving out one condition or one rule could allow what
 * nobody allowed. The list form leaves what it does not name to the ACL file; the form `{pub, sub, all}` is a list of
 * all that is allowed and is closed by rules that deny the rest.
 */
import type { AclRule } from './acl-rule.js';

const rulesMax = 1000;
/** A denial whose topic is no filter denies everything, topics that begin with `$` and queues as well. */
const everythingElse: AclRule = { permission: 'deny', action: 'all', topic: '' };

/** The rules in `claim`; undefined when there is no claim. Throws an `Error` that says what is wrong. */
export function rulesOf(claim: unknown): readonly AclRule[] | undefined {
  if (claim === undefined || claim === null) return undefined;
  const rules = Array.isArray(claim) ? claim.map(ruleOf) : allowLists(claim);
  if (rules.length > rulesMax) throw new Error(`there are more than ${rulesMax} rules`);
  return rules;
}

function ruleOf(value: unknown): AclRule {
  if (!isObject(value)) throw new Error('a rule is not an object');
  const { permission, action, topic, qos, retain, ...unknown } = value;
  const surplus = Object.keys(unknown)[0];
  if (surplus !== undefined) throw new Error(`the field ${JSON.stringify(surplus)} of a rule is not known`);
  if (permission !== 'allow' && permission !== 'deny') throw new Error('permission is not allow or deny');
  if (action !== 'publish' && action !== 'subscribe' && action !== 'all') {
    throw new Error('action is not publish, subscribe or all');
  }
  return { permission, action, topic: topicOf(topic), ...qosOf(qos), ...retainOf(retain) };
}

function topicOf(topic: unknown): string {
  if (typeof topic === 'string' && topic !== '') return topic;
  throw new Error('topic is not a text');
}

function qosOf(qos: unknown): { qos?: readonly number[] } {
  if (qos === undefined) return {};
  const levels: readonly unknown[] = Array.isArray(qos) ? qos : [qos];
  if (levels.length === 0 || !levels.every(isQos)) throw new Error('qos is not a list of 0, 1 and 2');
  return { qos: levels };
}

function isQos(level: unknown): level is number {
  return level === 0 || level === 1 || level === 2;
}

function retainOf(retain: unknown): { retain?: boolean | 'all' } {
  if (retain === undefined) return {};
  if (typeof retain === 'boolean' || retain === 'all') return { retain };
  throw new Error('retain is not true, false or "all"');
}

function allowLists(claim: unknown): AclRule[] {
  if (!isObject(claim)) throw new Error('it is neither a list nor an object');
  const { pub, sub, all, ...unknown } = claim;
  const surplus = Object.keys(unknown)[0];
  if (surplus !== undefined) throw new Error(`the field ${JSON.stringify(surplus)} is not known`);
  return [...allowed(pub, 'publish'), ...allowed(sub, 'subscribe'), ...allowed(all, 'all'), everythingElse];
}

function allowed(topics: unknown, action: AclRule['action']): AclRule[] {
  if (topics === undefined) return [];
  if (!Array.isArray(topics)) throw new Error('pub, sub and all are lists of topics');
  return topics.map((topic) => ({ permission: 'allow', action, topic: topicOf(topic) }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
