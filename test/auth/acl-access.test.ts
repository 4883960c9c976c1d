import { describe, expect, test } from 'vitest';

import { createAccessControl, type Subject } from '../../src/auth/access.js';
import type { AclRule } from '../../src/auth/acl-rule.js';
import { loadConfig } from '../../src/config/config.js';
import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { aclFile, aclFixture, rights, subject } from './acl-fixture.js';

const silent = { info: () => undefined, error: () => undefined };
const uncounted = { add: () => undefined };
const withTokens = { jwtSecret: 'configured' };

function allow(action: AclRule['action'], topic: string, more: Partial<AclRule> = {}): AclRule {
  return { permission: 'allow', action, topic, ...more };
}

function deny(action: AclRule['action'], topic: string, more: Partial<AclRule> = {}): AclRule {
  return { permission: 'deny', action, topic, ...more };
}

describe('access control', () => {
  test('with nothing configured there is nothing to ask [broker]', () => {
    expect(createAccessControl(loadConfig({}), silent, uncounted)).toBeUndefined();
  });

  test('a file that is missing or broken ends the start, and the message names the line [broker]', () => {
    const start = (file: string) => () =>
      createAccessControl(loadConfig({ SLUICE_ACL_FILE: file }), silent, uncounted);
    expect(start(aclFile('topic read a\ntopic wirte b\n'))).toThrow(/cannot be used: line 2: "wirte"/);
    expect(start(`${aclFile('')}.none`)).toThrow(expect.objectContaining({ code: 'ERR_ACL' }));
    expect(start(aclFile('#'.repeat(4 * 1024 * 1024 + 1)))).toThrow(/larger than/);
  });

  test('a superuser may do everything but speak for the server [broker]', () => {
    const { access } = aclFixture('all\ntopic deny #\nqueue deny *\n');
    const who = subject('c', 'root', { identity: { username: 'root', isSuperuser: true } });
    expect(
      rights(access, who, ['a', '#', '$queue/x', '$SYS/a', '$q/a', '$share/g/a', '$SYS', '$SYSTEM/a']),
    ).toEqual({
      a: 'rw',
      '#': 'r',
      '$queue/x': 'r',
      '$SYS/a': 'r',
      '$q/a': 'r',
      '$share/g/a': 'r',
      $SYS: 'r',
      '$SYSTEM/a': 'rw',
    });
  });

  test('topics under $SYS, $share, $q and $queue are published by nobody, whatever the file says [broker]', () => {
    const { access } = aclFixture('topic readwrite $SYS/#\ntopic readwrite $q/#\ntopic readwrite $queue/#\n');
    for (const topic of ['$SYS/a', '$q/a', '$queue/a', '$share/g/a', '$q', '$queue']) {
      expect(access.mayPublish(subject('c'), topic, 0, false)).toBe(false);
    }
  });

  test('what the broker says about itself may be read until a line denies it, what it says about clients only with a line [broker]', () => {
    const { access } = aclFixture(
      'topic read a\nuser bob\ntopic deny $SYS/broker/clients/#\nuser eve\ntopic read $SYS/#\n',
    );
    const topics = [
      '$SYS/broker/#',
      '$SYS/broker/uptime',
      '$SYS/broker/clients/#',
      '$SYS/#',
      '$SYS/+/clients/total',
      '$SYS/brokers/sluice/clients/+/connected',
      '+/broker',
    ];
    expect(Object.values(rights(access, subject('c'), topics))).toEqual(['r', 'r', 'r', '', '', '', '']);
    expect(Object.values(rights(access, subject('c', 'bob'), topics))).toEqual(['', 'r', '', '', '', '', '']);
    const eve = Object.values(rights(access, subject('c', 'eve'), topics));
    expect(eve).toEqual(['r', 'r', 'r', 'r', 'r', 'r', '']);
  });

  test('the user that authentication found counts, not the one that the client named [broker]', () => {
    const { access } = aclFixture('topic read anonymous\nuser admin\ntopic read admin\n');
    const named = subject('c', 'admin', { identity: { username: undefined } });
    expect(rights(access, named, ['admin', 'anonymous'])).toEqual({ admin: '', anonymous: 'r' });
    const found = subject('c', undefined, { identity: { username: 'admin' } });
    expect(rights(access, found, ['admin', 'anonymous'])).toEqual({ admin: 'r', anonymous: '' });
  });

  test('every refusal is counted [broker]', () => {
    const { access, counters } = aclFixture('topic read a\n');
    const who = subject('c');
    access.mayPublish(who, 'a', 0, false);
    access.mayPublish(who, 'a', 0, false);
    access.mayPublishBytes(who, Buffer.from('a'), 0, 1, 0, false);
    access.maySubscribe(who, 'b', 0);
    access.maySubscribe(who, 'a', 0);
    expect(counters.total(slotOf('authorizationDenied', 'publish'))).toBe(3);
    expect(counters.total(slotOf('authorizationDenied', 'subscribe'))).toBe(1);
  });
});

describe('rules that a client carries', () => {
  const bearer = (rules: readonly AclRule[]) =>
    subject('c1', 'bob', { identity: { username: 'bob', rules } });

  test('without a file they are all that the client may do, and clients without rules may do everything [broker]', () => {
    const { access } = aclFixture(undefined, withTokens);
    const topics = ['a', 'b', '$SYS/broker/x', '$q/a'];
    expect(Object.values(rights(access, bearer([allow('all', 'a')]), topics))).toEqual(['rw', '', 'r', '']);
    expect(Object.values(rights(access, bearer([]), topics))).toEqual(['', '', 'r', '']);
    expect(Object.values(rights(access, subject('c2', 'eve'), topics))).toEqual(['rw', 'rw', 'r', 'r']);
  });

  test('the first one that speaks decides, and what none speaks of is left to the file [broker]', () => {
    const { access } = aclFixture('user bob\ntopic readwrite file/#\ntopic readwrite a/c\n');
    const who = bearer([
      deny('all', 'a/b'),
      allow('all', 'a/#'),
      deny('publish', 'file/x'),
      deny('all', 'a/c'),
    ]);
    expect(rights(access, who, ['a/b', 'a/c', 'a/d', 'a/#', 'file/x', 'file/y', 'file/#', 'z'])).toEqual({
      'a/b': '',
      'a/c': 'rw',
      'a/d': 'rw',
      'a/#': '',
      'file/x': 'r',
      'file/y': 'rw',
      'file/#': 'r',
      z: '',
    });
  });

  test('they speak of actions, QoS and retain, as the claim says [broker]', () => {
    const { access } = aclFixture(undefined, withTokens);
    const who = bearer([
      allow('publish', 'p', { qos: [1, 2], retain: false }),
      allow('subscribe', 's', { qos: [0] }),
      allow('all', 'x', { retain: true }),
      allow('all', 'y', { retain: 'all' }),
    ]);
    const writes = (topic: string) =>
      [0, 1, 2, 3, 4, 5].map((bit) => (access.mayPublish(who, topic, bit % 3, bit > 2) ? 1 : 0)).join('');
    const reads = (topic: string) =>
      [0, 1, 2].map((qos) => (access.maySubscribe(who, topic, qos) ? 1 : 0)).join('');
    expect([writes('p'), reads('p')]).toEqual(['011000', '000']);
    expect([writes('s'), reads('s')]).toEqual(['000000', '100']);
    expect([writes('x'), reads('x')]).toEqual(['000111', '111']);
    expect([writes('y'), reads('y')]).toEqual(['111111', '111']);
  });

  test('placeholders of both kinds stand for the client; an unknown one permits nothing and denies the rest [broker]', () => {
    const { access } = aclFixture(undefined, withTokens);
    const who = bearer([
      allow('all', 'c/${clientid}'),
      allow('all', 'u/${username}'),
      allow('all', '%c/%u'),
      allow('all', 'd/${cert_common_name}/#'),
      deny('all', 'n/${nothing}/x'),
      allow('all', 'n/#'),
    ]);
    const topics = ['c/c1', 'u/bob', 'c1/bob', 'd/${cert_common_name}/x', 'n/q', 'n', 'c/c2'];
    expect(Object.values(rights(access, who, topics))).toEqual(['rw', 'rw', 'rw', '', '', '', '']);
  });

  test('after "eq " the exact text is meant: no wider filter is denied by it less, no narrower one allowed by it [broker]', () => {
    const { access } = aclFixture(undefined, withTokens);
    const permitted = bearer([allow('all', 'eq a/#')]);
    expect(Object.values(rights(access, permitted, ['a/#', 'a/b', 'a/+', 'a']))).toEqual(['r', '', '', '']);
    const denied = bearer([deny('subscribe', 'eq a/#'), allow('all', '#')]);
    expect(Object.values(rights(access, denied, ['a/#', '#', '+/#', 'a/b', 'a/+']))).toEqual([
      '',
      '',
      '',
      'rw',
      'r',
    ]);
  });

  test('a rule that is no filter permits nothing, and denies everything when it denies [broker]', () => {
    const { access } = aclFixture(undefined, withTokens);
    const topics = ['a', 'b', '$SYS/broker/x', '$queue/x', '$x/y'];
    expect(Object.values(rights(access, bearer([allow('all', 'a#'), allow('all', 'a')]), topics))).toEqual([
      'rw',
      '',
      'r',
      '',
      '',
    ]);
    const broken = bearer([deny('all', 'a#'), allow('all', '#'), allow('all', '$x/#')]);
    expect(Object.values(rights(access, broken, topics))).toEqual(['', '', '', '', '']);
  });
});

describe('what is remembered', () => {
  test('a decision holds for the subject and topic it was made for [broker]', () => {
    const { access } = aclFixture('client a\ntopic write x/#\nclient b\ntopic write y/#\n');
    const [a, b] = [subject('a'), subject('b')];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 100; i++) {
        expect(access.mayPublish(a, `x/${i}`, 1, false)).toBe(true);
        expect(access.mayPublish(b, `x/${i}`, 1, false)).toBe(false);
        expect(access.mayPublish(b, `y/${i}`, 1, true)).toBe(true);
      }
    }
  });

  test('bytes of a topic are decided as its text is, wherever they stand in a buffer [broker]', () => {
    const { access } = aclFixture('topic write qos=1 a/ü\n');
    const who = subject('c');
    const buffer = Buffer.from('..a/ü..a/u..');
    const allowed = [2, 6] as const;
    for (let round = 0; round < 2; round++) {
      expect(access.mayPublishBytes(who, buffer, ...allowed, 1, false)).toBe(true);
      expect(access.mayPublishBytes(who, buffer, ...allowed, 1, true)).toBe(true);
      expect(access.mayPublishBytes(who, buffer, ...allowed, 0, false)).toBe(false);
      expect(access.mayPublishBytes(who, buffer, 8, 11, 1, false)).toBe(false);
      expect(access.mayPublishBytes(who, buffer, 2, 5, 1, false)).toBe(false);
    }
    // The buffer is the connection's and is overwritten.
    buffer.write('b', 2);
    expect(access.mayPublishBytes(who, buffer, ...allowed, 1, false)).toBe(false);
  });

  test('a topic longer than what is remembered is decided anew and right [broker]', () => {
    const { access } = aclFixture('topic write long/#\n');
    const topic = Buffer.from(`long/${'x'.repeat(1000)}`);
    const other = Buffer.from(`long${'x'.repeat(1001)}`);
    for (let round = 0; round < 2; round++) {
      expect(access.mayPublishBytes(subject('c'), topic, 0, topic.length, 1, false)).toBe(true);
      expect(access.mayPublishBytes(subject('c'), other, 0, other.length, 1, false)).toBe(false);
    }
  });

  test('reading the file again puts it in force for connected clients at once [broker]', () => {
    const { access, write, counters } = aclFixture('topic write a\n');
    const who = subject('c');
    const topic = Buffer.from('a');
    expect(access.mayPublishBytes(who, topic, 0, 1, 1, false)).toBe(true);
    write('topic write b\n');
    expect(access.reload()).toBe(true);
    expect(access.mayPublishBytes(who, topic, 0, 1, 1, false)).toBe(false);
    expect(access.mayPublish(who, 'a', 1, false)).toBe(false);
    expect(access.mayPublish(who, 'b', 1, false)).toBe(true);
    expect(counters.total(slotOf('aclReloads', 'loaded'))).toBe(1);
  });

  test('another identity of the same subject is decided by its own rules [broker]', () => {
    const { access } = aclFixture('user bob\ntopic write a\n');
    const who: { -readonly [K in keyof Subject]: Subject[K] } = subject('c', 'bob');
    who.identity = { username: 'bob' };
    expect(access.mayPublish(who, 'a', 1, false)).toBe(true);
    who.identity = { username: 'bob', rules: [deny('publish', 'a')] };
    expect(access.mayPublish(who, 'a', 1, false)).toBe(false);
    who.identity = { username: 'bob', isSuperuser: true };
    expect(access.mayPublish(who, 'b', 1, false)).toBe(true);
  });

  test('a file that is broken when it is read again changes nothing, and the log names the line [broker]', () => {
    const { access, write, log, counters } = aclFixture('topic write a\n');
    const who = subject('c');
    write('topic write b\nuser\n');
    expect(access.reload()).toBe(false);
    expect(access.mayPublish(who, 'a', 1, false)).toBe(true);
    expect(access.mayPublish(who, 'b', 1, false)).toBe(false);
    expect(log.join()).toContain('line 2: a user name is missing');
    expect(counters.total(slotOf('aclReloads', 'failed'))).toBe(1);
  });

  test('a changed file is noticed without a signal [broker]', async () => {
    const { access, write } = aclFixture('topic write a\n');
    write('topic write a\ntopic write b\n');
    await until(() => access.mayPublish(subject('c'), 'b', 1, false), 'the new file');
  });
});
