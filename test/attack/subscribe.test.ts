import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, publish, publishPacket } from '../net/test-gateway.js';
import { connectAs, startGuarded, subscribeCodes, type Guarded } from './fixture.js';

const notAuthorized = 0x87;
const topicFilterInvalid = 0x8f;

/** What a client could write to get at `secret/#`. */
const tricks = [
  'secret/#',
  'secret/+',
  'secret/a',
  '#',
  '+/#',
  '+/a',
  '+/+',
  '+/+/#',
  '$share/g/secret/#',
  '$share/g/#',
  '$share/g/+/a',
  '$q/secret/#',
  '$q/secret/a',
  '$q/#',
  '$q/+/#',
  '$q/+/a',
  '$queue/vault',
  '$queue/vault/secret/#',
  '$queue/mine/secret/#',
  '$queue/mine/#',
  '$queue/mine/+/a',
  '$share/g/$q/secret/#',
] as const;

/** Publishes to `secret/a` as root, live, queued and retained, and proves that `client` gets nothing of it. */
async function expectNoSecrets(target: Guarded, client: RawClient): Promise<void> {
  const root = await connectAs(target, 'root', { clientId: 'publisher' });
  for (const qos of [1, 0] as const) {
    root.send(publishPacket('secret/a', 'secret', { qos, retain: true, messageId: 5 }));
    if (qos === 1) await root.expect('puback');
  }
  await expectNothing(root);
  await expectNothing(client);
  expect(client.inbox).toEqual([]);
}

describe('attacks by SUBSCRIBE', () => {
  test('no way to write a subscription gets at what is denied, live, retained or queued [broker]', async () => {
    const created: string[] = [];
    const target = await startGuarded({ hooks: { autoCreate: (name) => void created.push(name) } });
    target.addQueue('secret/#', 'vault');
    const mallory = await connectAs(target, 'mallory');
    const codes = await subscribeCodes(mallory, tricks);
    expect(tricks.filter((_, index) => codes[index] !== notAuthorized)).toEqual([]);
    const old = await connectAs(target, 'mallory', { clientId: 'old', protocolVersion: 4 });
    expect(new Set(await subscribeCodes(old, tricks))).toEqual(new Set([0x80]));
    await expectNoSecrets(target, mallory);
    await expectNothing(old);
    expect(created).toEqual([]);
    expect(target.shards.attachments).toEqual([]);
    const session = target.gateway.sessions.get('mallory');
    expect([session?.liveSubscriptions.size, session?.queueSubscriptions.size]).toEqual([0, 0]);
    expect(target.guardCounters.total(slotOf('authorizationDenied', 'subscribe'))).toBe(2 * tricks.length);
  });

  test('the same words work for who may: the test above is about rights [broker]', async () => {
    const target = await startGuarded();
    target.addQueue('secret/#', 'vault');
    const root = await connectAs(target, 'root');
    const words = tricks.filter((text) => !text.startsWith('$share/g/$q'));
    const codes = await subscribeCodes(root, words);
    expect(words.filter((_, index) => codes[index] !== 1)).toEqual([]);
  });

  test.each(['$q/$share/g/secret/#', '$q/$queue/vault', '$q/$q/secret/#', '$queue/mine/$share/g/secret/#'])(
    'a queue of a queue or share, %s, is refused to everybody [broker]',
    async (text) => {
      const target = await startGuarded();
      for (const user of ['mallory', 'root']) {
        const client = await connectAs(target, user);
        const [code] = await subscribeCodes(client, [text]);
        expect([notAuthorized, topicFilterInvalid]).toContain(code);
      }
      expect(target.shards.attachments).toEqual([]);
    },
  );

  test('one forbidden filter leaves the others of its packet alone [MQTT-3.8.4-5] [MQTT-3.8.4-6]', async () => {
    const target = await startGuarded();
    const mallory = await connectAs(target, 'mallory');
    const subscriptions = ['mallory/a', 'secret/a', 'public/#', '#'].map((topic) => ({
      topic,
      qos: 1 as const,
    }));
    mallory.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    expect((await mallory.expect('suback')).granted).toEqual([1, notAuthorized, 1, notAuthorized]);
    await expectNoSecrets(target, mallory);
    const root = await connectAs(target, 'root');
    await publish(root, 'public/x', 'news');
    expect((await mallory.expect('publish')).topic).toBe('public/x');
  });

  test('a refused filter does not end the subscription that is held by the same words [broker]', async () => {
    const target = await startGuarded({ acl: 'user mallory\ntopic read qos=0,1 m/#\n' });
    const mallory = await connectAs(target, 'mallory');
    expect(await subscribeCodes(mallory, ['m/a'])).toEqual([1]);
    mallory.send({ cmd: 'subscribe', messageId: 9, subscriptions: [{ topic: 'm/a', qos: 2 }] });
    expect((await mallory.expect('suback')).granted).toEqual([notAuthorized]);
    expect(target.gateway.sessions.get('mallory')?.liveSubscriptions.get('m/a')).toBeDefined();
  });

  test('who may consume a queue by name and filter gets its messages, and nobody else [broker]', async () => {
    const target = await startGuarded();
    target.addQueue('jobs/#', 'jobs');
    const alice = await connectAs(target, 'alice');
    const mallory = await connectAs(target, 'mallory');
    expect(await subscribeCodes(mallory, ['$queue/other', '$q/other/#'])).toEqual([1, notAuthorized]);
    expect(await subscribeCodes(alice, ['$queue/jobs'])).toEqual([1]);
    const root = await connectAs(target, 'root');
    await publish(root, 'jobs/1', 'work');
    expect((await alice.expect('publish')).topic).toBe('jobs/1');
    await expectNothing(mallory);
  });

  test('what the broker says about its clients needs a right, what it says about itself can be taken away [broker]', async () => {
    const target = await startGuarded({
      acl: 'all\ntopic read public\nuser alice\ntopic read $SYS/#\nuser mallory\ntopic denyread $SYS/#\n',
    });
    const filters = ['$SYS/broker/uptime', '$SYS/brokers/+/clients/#', '$SYS/#', '$SYS/+/+/clients/#'];
    const codes = new Map<string, number[]>();
    for (const user of ['alice', 'root', 'mallory']) {
      codes.set(user, await subscribeCodes(await connectAs(target, user), filters));
    }
    expect(codes.get('alice')).toEqual([1, 1, 1, 1]);
    expect(codes.get('root')).toEqual([1, notAuthorized, notAuthorized, notAuthorized]);
    expect(new Set(codes.get('mallory'))).toEqual(new Set([notAuthorized]));
  });

  test('a token with a closed list opens nothing that begins with $ where the file is generous [broker]', async () => {
    const key = 'a secret of thirty-two characters';
    const target = await startGuarded({
      acl: 'all\ntopic readwrite #\ntopic readwrite $own/#\nqueue *\ntopic read $SYS/#\n',
      auth: { jwtSecret: key },
    });
    const token = await new SignJWT({ sub: 'bearer', exp: Date.now() / 1000 + 600, acl: { sub: ['mine'] } })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(key));
    target.addQueue('jobs/#', 'jobs');
    const bearer = await connect(target, 'bearer', { username: 'x', password: Buffer.from(token) });
    const filters = ['mine', 'other', '$own/x', '$SYS/broker/uptime', '$SYS/#', '$queue/jobs', '$q/jobs/#'];
    const codes = await subscribeCodes(bearer, filters);
    expect(filters.filter((_, index) => codes[index] === 1)).toEqual(['mine']);
    bearer.send(publishPacket('$own/x', 'x', { messageId: 99 }));
    expect((await bearer.expect('puback')).reasonCode).toBe(notAuthorized);
  });
});
