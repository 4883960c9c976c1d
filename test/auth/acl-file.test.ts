import { describe, expect, test } from 'vitest';

import { AclSyntaxError, parseAclFile } from '../../src/auth/acl-file.js';
import { aclFixture, rights, subject } from './acl-fixture.js';

describe('the ACL file', () => {
  test("a file of Mosquitto's is read as Mosquitto reads it [broker]", () => {
    const { access } = aclFixture(`# anybody without a name
topic read news/#
topic   deny	news/private

user roger
topic foo/bar
topic read a b/c
topic write out/#

# everybody
pattern readwrite home/%u/#
pattern write devices/%c/state
`);
    const topics = [
      'news/today',
      'news/private',
      'foo/bar',
      'a b/c',
      'out/x',
      'home/roger/x',
      'devices/d1/state',
    ];
    expect(rights(access, subject('d1'), topics)).toEqual({
      'news/today': 'r',
      'news/private': '',
      'foo/bar': '',
      'a b/c': '',
      'out/x': '',
      'home/roger/x': '',
      'devices/d1/state': 'w',
    });
    expect(rights(access, subject('d1', 'roger'), topics)).toEqual({
      'news/today': '',
      'news/private': '',
      'foo/bar': 'rw',
      'a b/c': 'r',
      'out/x': 'w',
      'home/roger/x': 'rw',
      'devices/d1/state': 'w',
    });
    expect(rights(access, subject('d2', 'anna'), topics)).toEqual(
      Object.fromEntries(topics.map((topic) => [topic, ''])),
    );
  });

  test('an empty file denies everything but reading $SYS/broker [broker]', () => {
    const { access } = aclFixture('\uFEFF# nothing\r\n\r\n');
    expect(
      rights(access, subject('a', 'b'), ['a', '#', '+/#', '$SYS/#', '$SYS/broker/uptime', '$share/g/a']),
    ).toEqual({
      a: '',
      '#': '',
      '+/#': '',
      '$SYS/#': '',
      '$SYS/broker/uptime': 'r',
      '$share/g/a': '',
    });
  });

  test('sections by client id, by address and for all add to each other [broker]', () => {
    const { access } = aclFixture(`
client pump-1
topic write pumps/1/#
address 10.1.0.0/16
topic read lan/#
address 2001:db8::7
topic read six/#
user bob
topic read bob/#
client pump-1
topic read pumps/config
all
topic read public/#
`);
    const topics = ['pumps/1/rpm', 'pumps/config', 'lan/x', 'six/x', 'bob/x', 'public/x'];
    const may = (clientId: string, username: string | undefined, peername: string) =>
      Object.entries(rights(access, subject(clientId, username, { peername }), topics))
        .filter(([, right]) => right !== '')
        .map(([topic, right]) => `${right} ${topic}`);
    expect(may('x', undefined, '10.2.0.1:1')).toEqual(['r public/x']);
    expect(may('pump-1', 'bob', '10.1.200.3:1')).toEqual([
      'w pumps/1/rpm',
      'r pumps/config',
      'r lan/x',
      'r bob/x',
      'r public/x',
    ]);
    expect(may('x', undefined, '[::ffff:10.1.0.9]:1')).toEqual(['r lan/x', 'r public/x']);
    expect(may('x', undefined, '[2001:db8::7]:1')).toEqual(['r six/x', 'r public/x']);
    expect(may('x', undefined, '[2001:db8::8]:1')).toEqual(['r public/x']);
    expect(may('x', undefined, 'unix:')).toEqual(['r public/x']);
  });

  test('the group that names the client decides before patterns, and they before all [broker]', () => {
    const { access } = aclFixture(`
all
topic readwrite #
topic deny secret/#
topic deny logs/#
pattern deny logs/%u/#
pattern read logs/#
user admin
topic readwrite secret/#
topic deny logs/audit/#
topic readwrite logs/admin/#
`);
    const topics = [
      'secret/a',
      'secret/#',
      'logs/audit/x',
      'logs/admin/x',
      'logs/eve/x',
      'logs/eve/#',
      'logs/#',
      'x',
    ];
    expect(rights(access, subject('c', 'admin'), topics)).toEqual({
      'secret/a': 'rw',
      'secret/#': 'r',
      'logs/audit/x': '',
      'logs/admin/x': 'rw',
      'logs/eve/x': 'r',
      'logs/eve/#': 'r',
      'logs/#': '',
      x: 'rw',
    });
    expect(rights(access, subject('c', 'eve'), topics)).toEqual({
      'secret/a': '',
      'secret/#': '',
      'logs/audit/x': 'r',
      'logs/admin/x': 'r',
      'logs/eve/x': '',
      'logs/eve/#': '',
      'logs/#': '',
      x: 'rw',
    });
  });

  test('within a group a denial wins over a permission, whatever comes first [broker]', () => {
    for (const lines of [
      ['topic readwrite a/#', 'topic deny a/b'],
      ['topic deny a/b', 'topic readwrite a/#'],
      ['topic readwrite a/b', 'topic readwrite a/#', 'topic deny a/+'],
    ]) {
      const { access } = aclFixture(lines.join('\n'));
      const { 'a/b': one, 'a/#': all } = rights(access, subject('c'), ['a/b', 'a/#']);
      expect([one, all]).toEqual(['', '']);
    }
  });

  test('qos= and retain= narrow what a line speaks of [broker]', () => {
    const { access } = aclFixture(`
topic write qos=0,1 retain=false a
topic readwrite qos=0 b
topic readwrite c
topic deny retain=true c
topic readwrite d
topic deny qos=2 d
topic qos=1 e
`);
    const who = subject('c');
    const writes = (topic: string) =>
      [0, 1, 2, 3, 4, 5].map((bit) => (access.mayPublish(who, topic, bit % 3, bit > 2) ? 1 : 0)).join('');
    const reads = (topic: string) =>
      [0, 1, 2].map((qos) => (access.maySubscribe(who, topic, qos) ? 1 : 0)).join('');
    expect([writes('a'), reads('a')]).toEqual(['110000', '000']);
    expect([writes('b'), reads('b')]).toEqual(['100100', '100']);
    expect([writes('c'), reads('c')]).toEqual(['111000', '111']);
    expect([writes('d'), reads('d')]).toEqual(['110110', '110']);
    expect([writes('e'), reads('e')]).toEqual(['010010', '010']);
  });

  test('denyread and denywrite take one of the two away [broker]', () => {
    const { access } = aclFixture('topic readwrite #\ntopic denyread r\ntopic denywrite w\n');
    expect(rights(access, subject('c'), ['r', 'w', 'x'])).toEqual({ r: 'w', w: 'r', x: 'rw' });
  });

  test.each([
    ['usr a', 1, '"usr" is not one of user, client'],
    ['topic read a\n\nuser', 3, 'a user name is missing'],
    ['client', 1, 'a client id is missing'],
    ['all clients', 1, '"all" stands alone'],
    ['address 10.0.0.0/33', 1, 'at most 32 bits'],
    ['address ::1/129', 1, 'at most 128 bits'],
    ['address host.example', 1, 'no address and no network'],
    ['address', 1, 'no address and no network'],
    ['topic', 1, 'a topic filter is missing'],
    ['pattern', 1, 'a topic filter is missing'],
    ['topic raed a/b', 1, '"raed" is not one of read, write, readwrite, deny'],
    ['topic read a/#/b', 1, '"a/#/b" is no topic filter'],
    ['topic read a+', 1, 'does not stand alone'],
    ['topic read qos=3 a', 1, '"qos=" takes 0, 1 and 2'],
    ['topic read qos= a', 1, '"qos=" takes 0, 1 and 2'],
    ['topic write retain=yes a', 1, '"retain=" takes true or false'],
    ['topic read retain=true a', 1, 'speaks of publishing only'],
    ['topic write qos=1', 1, 'no topic filter after "qos=1"'],
    ['topic read $share/g/a', 1, 'leave "$share/<name>/" out'],
    ['queue', 1, 'no name of a queue'],
    ['queue -a', 1, 'no name of a queue'],
    ['queue a*b', 1, 'no name of a queue'],
    ['queue allow', 1, undefined],
    ['topic read', 1, undefined],
  ])(
    'the line %j is refused with its number and a reason, unless it is fine [broker]',
    (text, line, reason) => {
      if (reason === undefined) {
        expect(() => parseAclFile(text)).not.toThrow();
        return;
      }
      let caught: unknown;
      try {
        parseAclFile(text);
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(AclSyntaxError);
      expect((caught as AclSyntaxError).line).toBe(line);
      expect((caught as AclSyntaxError).message).toContain(reason);
    },
  );
});

describe('patterns', () => {
  const widening = ['#', '+', 'a/b', 'a/#', '+/+', '/', 'x/../y/'];

  test.each(widening)('a client id or user name %j never widens what a pattern permits [broker]', (name) => {
    const { access } = aclFixture('pattern readwrite c/%c/x\npattern readwrite u/%u\npattern readwrite %c\n');
    const topics = ['c/a/x', 'c/#', 'c/+/x', 'c/b/x', `c/${name}/x`, 'u/a', 'u/#', `u/${name}`, 'a/b', name];
    const found = rights(access, subject(name, name), [...new Set(topics)]);
    expect(Object.values(found).filter((right) => right !== '')).toEqual([]);
  });

  test.each(widening)('a client id or user name %j never escapes a denial by pattern [broker]', (name) => {
    const { access } = aclFixture('all\ntopic readwrite #\npattern deny c/%c/x\npattern deny u/%u\n');
    const found = rights(access, subject(name, name), [`c/${name}/x`, `u/${name}`, 'c/other', 'free']);
    expect(Object.values(found).slice(0, 2)).toEqual(['', '']);
    expect(found['free']).toBe('rw');
    // It is told apart from an ordinary name, whose denial covers that name only.
    expect(rights(access, subject('me', 'me'), ['c/me/x', 'c/other', 'u/me'])).toEqual({
      'c/me/x': '',
      'c/other': 'rw',
      'u/me': '',
    });
  });

  test.each(['$SYS', '$queue', '$q', '$share'])(
    'a client that calls itself %s is not let into what the server keeps there [broker]',
    (name) => {
      const { access } = aclFixture(
        'pattern readwrite %c/#\npattern readwrite %u/#\nall\ntopic deny $SYS/#\n',
      );
      const found = rights(access, subject(name, name), [`${name}/#`, `${name}/a`, `${name}/a/b`]);
      expect(Object.values(found)).toEqual(['', '', '']);
    },
  );

  test('a pattern may stand within a level and more than once, and its text is not read twice [broker]', () => {
    const { access } = aclFixture('pattern read dev-%c/%u-%c\n');
    expect(access.maySubscribe(subject('%u', 'bob'), 'dev-%u/bob-%u', 1)).toBe(true);
    expect(access.maySubscribe(subject('%u', 'bob'), 'dev-bob/bob-bob', 1)).toBe(false);
  });

  test('a pattern with %u means nothing to a client without user name [broker]', () => {
    const { access } = aclFixture(
      'pattern readwrite u/%u\npattern readwrite u/%u/x\nall\ntopic read y/#\npattern deny y/%u\n',
    );
    expect(rights(access, subject('c'), ['u/', 'u//x', 'y/', 'y/#'])).toEqual({
      'u/': '',
      'u//x': '',
      'y/': 'r',
      'y/#': 'r',
    });
  });
});
