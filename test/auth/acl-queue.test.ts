import { describe, expect, test } from 'vitest';

import { aclFixture, subject } from './acl-fixture.js';

const jobs = { name: 'jobs', topicFilter: 'jobs/#' };
const secret = { name: 'vault', topicFilter: 'secret/#' };
const nameless = { name: '/secret/#', topicFilter: 'secret/#' };

/** Everything that a client could write to read `secret/#`, with the queue that it leads to. */
const tricks = [
  ['$q/secret/#', nameless],
  ['$q/secret/#', secret],
  ['$q/secret/#', undefined],
  ['$q/secret/+', { name: '/secret/+', topicFilter: 'secret/+' }],
  ['$q/secret/a', undefined],
  ['$q/#', { name: '/#', topicFilter: '#' }],
  ['$q/+/#', { name: '/+/#', topicFilter: '+/#' }],
  ['$q/+/a', undefined],
  ['$queue/vault', secret],
  ['$queue/vault/secret/#', secret],
  ['$queue/mine/secret/#', { name: 'mine', topicFilter: 'secret/#' }],
  ['$queue/mine/#', { name: 'mine', topicFilter: '#' }],
  ['$queue/mine/+/#', undefined],
  ['$queue/mine', { name: 'mine', topicFilter: 'secret/+' }],
  ['$share/g/secret/#', undefined],
  ['$share/g/#', undefined],
  ['$share/g/+/#', undefined],
  ['$share/g/+/a', undefined],
  ['$share/g/$q/secret/#', undefined],
  ['$share/g/$queue/vault', secret],
  ['$share/g/$share/h/secret/#', undefined],
  ['$share/g/jobs/#', { name: 'group', topicFilter: 'secret/#' }],
  ['#', undefined],
  ['+/#', undefined],
  ['+/a', undefined],
  ['+/+', undefined],
  ['secret', undefined],
  ['secret/a', undefined],
  ['secret/+', undefined],
] as const;

describe('queue subscriptions', () => {
  test.each(tricks)('%s with queue %o does not open a denied filter [broker]', (text, queue) => {
    const { access } = aclFixture(
      'all\ntopic readwrite #\ntopic read $q/#\ntopic read $queue/#\nqueue *\nuser bob\ntopic deny secret/#\n',
    );
    expect(access.maySubscribe(subject('c', 'bob'), text, 1, queue)).toBe(false);
    // The same words open it to somebody who is not denied: the test is about the denial.
    expect(access.maySubscribe(subject('c', 'eve'), text, 1, queue)).toBe(true);
  });

  test('a share of a share is its filter as well, and hides nothing [broker]', () => {
    const { access } = aclFixture('topic read a\ntopic read $share\n');
    expect(access.maySubscribe(subject('c'), '$share/g/$share/h/b', 1)).toBe(false);
    expect(access.maySubscribe(subject('c'), '$share/g/$share', 1)).toBe(true);
    expect(access.maySubscribe(subject('c'), '$share/g/$share/', 1)).toBe(false);
  });

  test.each(tricks)(
    '%s with queue %o is not opened by a permission for other topics [broker]',
    (text, queue) => {
      const { access } = aclFixture('topic read jobs/#\ntopic read $q/#\ntopic read $queue/#\nqueue *\n');
      expect(access.maySubscribe(subject('c'), text, 1, queue)).toBe(false);
    },
  );

  test('a queue needs the right to its literal string and to the filter that fills it [broker]', () => {
    const rows = [
      ['topic read jobs/#', false],
      ['topic read $queue/jobs', false],
      ['topic read $queue/jobs\ntopic read jobs/#', true],
      ['topic read $queue/#\ntopic read #', true],
      ['topic read $queue/jobs\ntopic read jobs/+', false],
      ['queue jobs', false],
      ['queue jobs\ntopic read jobs/#', true],
      ['queue jo*\ntopic read jobs/#', true],
      ['queue *\ntopic read jobs/#', true],
      ['queue job\ntopic read jobs/#', false],
      ['queue jobs\ntopic write jobs/#', false],
      ['topic read #', false],
    ] as const;
    for (const [text, expected] of rows) {
      const { access } = aclFixture(text);
      expect([text, access.maySubscribe(subject('c'), '$queue/jobs', 1, jobs)]).toEqual([text, expected]);
    }
  });

  test('a right by name holds for every way to write the queue [broker]', () => {
    const { access } = aclFixture('queue jobs\nqueue /a/b\ntopic read jobs/#\ntopic read a/b\n');
    const who = subject('c');
    for (const text of ['$queue/jobs', '$queue/jobs/jobs/#', '$q/jobs/#']) {
      expect(access.maySubscribe(who, text, 1, jobs)).toBe(true);
    }
    expect(access.maySubscribe(who, '$q/jobs/#', 1)).toBe(false);
    expect(access.maySubscribe(who, '$q/a/b', 1)).toBe(true);
    expect(access.maySubscribe(who, '$queue/jobs2/jobs/#', 1)).toBe(false);
  });

  test('a denial of one way to write a queue holds for all of them [broker]', () => {
    for (const line of [
      'topic deny $queue/jobs',
      'topic deny $queue/+',
      'topic deny $queue/jobs/#',
      'topic deny $q/jobs/#',
      'topic deny $q/#',
      'topic denyread $q/jobs/x',
      'queue deny jobs',
      'queue deny j*',
    ]) {
      const { access } = aclFixture(
        `queue *\ntopic read $q/#\ntopic read $queue/#\ntopic read jobs/#\n${line}\n`,
      );
      for (const text of ['$queue/jobs', '$queue/jobs/jobs/#', '$q/jobs/#']) {
        expect([line, text, access.maySubscribe(subject('c'), text, 1, jobs)]).toEqual([line, text, false]);
      }
      expect(access.maySubscribe(subject('c'), 'jobs/#', 1)).toBe(true);
    }
  });

  test('a denial that another denial does not reach leaves the queue alone [broker]', () => {
    const { access } = aclFixture(
      'queue *\ntopic read jobs/#\ntopic deny $queue/other\ntopic deny $q/other/#\nqueue deny jobs2\ntopic denywrite jobs/#\n',
    );
    expect(access.maySubscribe(subject('c'), '$queue/jobs', 1, jobs)).toBe(true);
  });

  test('a queue that does not exist yet is decided by name, and by its filter once that is known [broker]', () => {
    const { access } = aclFixture('queue later\ntopic read jobs/#\n');
    const who = subject('c');
    expect(access.maySubscribe(who, '$queue/later', 1)).toBe(true);
    expect(access.maySubscribe(who, '$queue/later', 1, { name: 'later', topicFilter: 'jobs/#' })).toBe(true);
    expect(access.maySubscribe(who, '$queue/later', 1, { name: 'later', topicFilter: 'secret/#' })).toBe(
      false,
    );
  });

  test('with the check of the filter switched off the literal string decides alone [broker]', () => {
    const { access } = aclFixture('topic read $queue/vault\ntopic read $q/a/#\n', {
      aclChecksQueueFilter: false,
    });
    const who = subject('c');
    expect(access.maySubscribe(who, '$queue/vault', 1, secret)).toBe(true);
    expect(access.maySubscribe(who, '$q/a/#', 1)).toBe(true);
    expect(access.maySubscribe(who, '$q/secret/#', 1, secret)).toBe(false);
    expect(access.maySubscribe(who, '$queue/mine/secret/#', 1)).toBe(false);
  });

  test('a share group that is kept as a queue is decided by its filter, not by a right to its name [broker]', () => {
    const group = { name: 'share-g', topicFilter: 'secret/#' };
    const { access } = aclFixture('queue *\ntopic read jobs/#\nuser bob\nqueue deny share-g\n', {
      aclChecksQueueFilter: false,
    });
    expect(access.maySubscribe(subject('c'), '$share/g/secret/#', 1, group)).toBe(false);
    const open = { name: 'share-g', topicFilter: 'jobs/#' };
    expect(access.maySubscribe(subject('c'), '$share/g/jobs/#', 1, open)).toBe(true);
    expect(access.maySubscribe(subject('c', 'bob'), '$share/g/jobs/#', 1, open)).toBe(false);
  });
});
