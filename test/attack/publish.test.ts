import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { connect, expectNothing, open, publish, publishPacket, startGateway } from '../net/test-gateway.js';
import { connectAs, packet, properties, refusal, startGuarded, subscribeCodes, text } from './fixture.js';

const notAuthorized = 0x87;
const id1 = Buffer.from([0, 1]);

/** A guarded gateway, mallory, and root who sees everything that gets through. */
async function scene() {
  const target = await startGuarded();
  const witness = await connectAs(target, 'root');
  await witness.subscribe('#');
  const mallory = await connectAs(target, 'mallory');
  return { target, witness, mallory };
}

describe('attacks by PUBLISH', () => {
  test('a topic without right is refused with 0x87 at QoS 1 and 2, dropped at QoS 0, acknowledged to MQTT 3.1.1 clients, and reaches nobody [MQTT-3.1.1 3.3.5-2]', async () => {
    const { target, witness, mallory } = await scene();
    target.addQueue('secret/#');
    expect(await publish(mallory, 'secret/a', 'x')).toBe(notAuthorized);
    mallory.send(publishPacket('secret/a', 'x', { qos: 2, messageId: 2 }));
    expect((await mallory.expect('pubrec')).reasonCode).toBe(notAuthorized);
    mallory.send(publishPacket('secret/a', 'x', { qos: 0 }));
    await expectNothing(mallory);
    const old = await connectAs(target, 'mallory', { clientId: 'old', protocolVersion: 4 });
    old.send(publishPacket('secret/a', 'x', { qos: 0 }));
    await expectNothing(old);
    old.send(publishPacket('secret/a', 'x', { qos: 1 }));
    await old.expect('puback');
    await expectNothing(witness);
    expect(target.shards.publishCount).toBe(0);
    expect(target.guardCounters.total(slotOf('authorizationDenied', 'publish'))).toBe(5);
    // A refused id is free again.
    expect(await publish(mallory, 'mallory/a', 'x')).toBe(0);
  });

  test.each([
    'secret',
    'secret/',
    '/secret',
    'alice/a',
    'mallory',
    'mallory2/a',
    'Mallory/a',
    'jobs/1',
    '$x/a',
  ])('a topic beside what is allowed, %s, is not allowed [broker]', async (topic) => {
    const { target, mallory } = await scene();
    const expected = topic === 'mallory' ? 0 : notAuthorized;
    expect(await publish(mallory, topic, 'x')).toBe(expected);
    expect(target.gateway.clientCount).toBe(2);
  });

  test('a topic alias takes no right along: each publish is checked by the topic it stands for [MQTT-3.3.2-12]', async () => {
    const { witness, mallory } = await scene();
    const aliased = (topic: string, alias: number, messageId: number) =>
      publishPacket(topic, 'x', { messageId, properties: { topicAlias: alias } });
    const code = async (topic: string, alias: number) => {
      mallory.send(aliased(topic, alias, 7));
      return (await mallory.expect('puback')).reasonCode ?? 0;
    };
    expect(await code('mallory/a', 1)).toBe(0);
    expect((await witness.expect('publish')).topic).toBe('mallory/a');
    // An alias set by a refused publish, then used alone.
    expect(await code('secret/a', 2)).toBe(notAuthorized);
    expect(await code('', 2)).toBe(notAuthorized);
    // An alias of an allowed topic, turned to a forbidden one, then used alone, then turned back.
    expect(await code('', 1)).toBe(0);
    expect((await witness.expect('publish')).topic).toBe('mallory/a');
    expect(await code('secret/b', 1)).toBe(notAuthorized);
    expect(await code('', 1)).toBe(notAuthorized);
    expect(await code('mallory/c', 1)).toBe(0);
    expect((await witness.expect('publish')).topic).toBe('mallory/c');
    await expectNothing(witness);
  });

  test('the memory of the last topic is not fooled by topics that share its bytes [broker]', async () => {
    const { witness, mallory } = await scene();
    for (const [topic, expected] of [
      ['mallory/a', 0],
      ['mallory/', 0],
      ['mallory', 0],
      ['mallor', notAuthorized],
      ['mallory/a', 0],
      ['mallorz/a', notAuthorized],
      ['mallory/a', 0],
    ] as const) {
      expect([topic, await publish(mallory, topic, 'x')]).toEqual([topic, expected]);
      if (expected === 0) expect((await witness.expect('publish')).topic).toBe(topic);
    }
  });

  test('a retained message on a forbidden topic is not kept, and does not clear one that is [broker]', async () => {
    const { target, witness, mallory } = await scene();
    const owner = await connectAs(target, 'root', { clientId: 'owner' });
    expect(await publish(owner, 'secret/kept', 'root', { retain: true })).toBe(0);
    await witness.expect('publish');
    expect(await publish(mallory, 'secret/kept', '', { retain: true })).toBe(notAuthorized);
    expect(await publish(mallory, 'secret/new', 'x', { retain: true })).toBe(notAuthorized);
    mallory.send(publishPacket('secret/kept', '', { retain: true, qos: 0 }));
    await expectNothing(mallory);
    const late = await connectAs(target, 'root', { clientId: 'late' });
    await late.subscribe('secret/#');
    const kept = await late.expect('publish');
    expect([kept.topic, String(kept.payload)]).toEqual(['secret/kept', 'root']);
    await expectNothing(late);
  });

  test('a permission without retain does not allow what is retained [broker]', async () => {
    const target = await startGuarded({ acl: 'user mallory\ntopic write retain=false qos=0,1 m/#\n' });
    const mallory = await connectAs(target, 'mallory');
    expect(await publish(mallory, 'm/a', 'x')).toBe(0x10);
    expect(await publish(mallory, 'm/a', 'x', { retain: true })).toBe(notAuthorized);
    mallory.send(publishPacket('m/a', 'x', { qos: 2, messageId: 9 }));
    expect((await mallory.expect('pubrec')).reasonCode).toBe(notAuthorized);
  });

  test.each(['$SYS/broker/uptime', '$SYS/a', '$q/jobs/1', '$queue/jobs', '$share/g/t', '$q/a', '$queue/a/b'])(
    'clients do not speak for the server: %s reaches nobody, not even from root [broker]',
    async (topic) => {
      const { target, witness } = await scene();
      target.addQueue('jobs/#', 'jobs');
      expect(await subscribeCodes(witness, ['$SYS/#'])).toEqual([1]);
      witness.send(publishPacket(topic, 'x', { retain: true }));
      const code = (await witness.expect('puback')).reasonCode ?? 0;
      expect(code).toBeGreaterThan(0);
      witness.send(publishPacket(topic, 'x', { qos: 0, retain: true }));
      await expectNothing(witness);
      const late = await connectAs(target, 'root', { clientId: 'late' });
      expect(await subscribeCodes(late, ['$SYS/#', '#'])).toEqual([1, 1]);
      await expectNothing(late);
      expect(target.shards.publishCount).toBe(0);
    },
  );

  test('the same holds when nothing is guarded [broker]', async () => {
    const target = await startGateway();
    target.addQueue('jobs/#', 'jobs');
    const client = await connect(target, 'a');
    for (const topic of ['$SYS/a', '$share/g/t', '$q/jobs/1', '$queue/jobs']) {
      expect([topic, await publish(client, topic, 'x')]).not.toEqual([topic, 0]);
    }
    expect(target.shards.publishCount).toBe(0);
  });

  test.each([
    ['a wildcard', 'a/+'],
    ['a wildcard at the end', 'a/#'],
    ['a wildcard within a level', 'a+b'],
    ['a wildcard alone', '#'],
  ])('a topic name with %s ends the connection and reaches nobody [MQTT-3.3.2-2]', async (_, topic) => {
    const { witness, target } = await scene();
    for (const version of [5, 4] as const) {
      const client = await connectAs(target, 'root', { clientId: `r${version}`, protocolVersion: version });
      client.send(packet(0x30, text(topic), version === 5 ? properties() : Buffer.alloc(0)));
      await client.expectClosed();
    }
    await expectNothing(witness);
  });

  test('a response topic with a wildcard ends the connection and reaches nobody [MQTT-3.3.2-14]', async () => {
    const { witness, target } = await scene();
    for (const topic of ['a/#', '+', 'a/+/b']) {
      const client = await connectAs(target, 'root', { clientId: 'r' });
      client.send(packet(0x32, text('public/a'), id1, properties([0x08, text(topic)])));
      await client.expectClosed();
    }
    await expectNothing(witness);
  });

  test('an empty topic without an alias, and aliases out of range, end the connection [MQTT-3.3.2-8]', async () => {
    const { witness, target } = await scene();
    const alias = (n: number) => properties([0x23, Buffer.from([n >> 8, n & 0xff])]);
    for (const bytes of [
      packet(0x30, text(''), properties()),
      packet(0x30, text(''), alias(1)),
      packet(0x30, text('public/a'), alias(0)),
      packet(0x30, text('public/a'), alias(0xffff)),
    ]) {
      const client = await connectAs(target, 'root', { clientId: 'r' });
      client.send(bytes);
      await client.expectClosed();
    }
    await expectNothing(witness);
  });
});

describe('attacks by will', () => {
  const will = (topic: string, more: object = {}) => ({
    topic,
    payload: Buffer.from('boo'),
    qos: 1 as const,
    retain: false,
    ...more,
  });

  test('a will to a forbidden topic is refused at CONNECT and never published [broker]', async () => {
    const { target, witness } = await scene();
    const user = { username: 'mallory', password: Buffer.from('mallory-1') };
    expect(await refusal(target, { ...user, will: will('secret/a') })).toBe(notAuthorized);
    expect(await refusal(target, { ...user, will: will('alice/a', { retain: true }) })).toBe(notAuthorized);
    expect(await refusal(target, { ...user, will: will('secret/a'), protocolVersion: 4 })).toBe(5);
    const delayed = { properties: { willDelayInterval: 1 } };
    const properties = { sessionExpiryInterval: 100 };
    expect(await refusal(target, { ...user, will: will('secret/a', delayed), properties })).toBe(
      notAuthorized,
    );
    await expectNothing(witness);
    expect([...target.gateway.sessions.all()].map(({ clientId }) => clientId).toSorted()).toEqual([
      'mallory',
      'root',
    ]);
  });

  test('a refused will does not throw the client out that has the id, nor replace its will [broker]', async () => {
    const { target, witness } = await scene();
    const alice = await connectAs(target, 'alice', { will: will('alice/gone') });
    const thief = { username: 'alice', password: Buffer.from('alice-1'), clientId: 'alice' };
    expect(await refusal(target, { ...thief, will: will('secret/a') })).toBe(notAuthorized);
    await expectNothing(alice);
    alice.destroy();
    const gone = await witness.expect('publish');
    expect([gone.topic, String(gone.payload)]).toEqual(['alice/gone', 'boo']);
  });

  test('a will is checked again when it is published: a right that was taken away meanwhile counts [broker]', async () => {
    const { target, witness } = await scene();
    const mallory = await connectAs(target, 'mallory', { clientId: 'm2', will: will('mallory/gone') });
    const other = await connectAs(target, 'alice', { clientId: 'a2', will: will('alice/gone') });
    target.writeAcl('user alice\ntopic write alice/#\nuser root\ntopic readwrite #\n');
    mallory.destroy();
    other.destroy();
    expect((await witness.expect('publish')).topic).toBe('alice/gone');
    await expectNothing(witness);
  });

  test.each(['$SYS/a', '$share/g/a', '$q/a', '$queue/a', 'a/#', '+'])(
    'a will to %s is refused even to root [MQTT-3.1.3-11]',
    async (topic) => {
      const { target } = await scene();
      const client = await open(target);
      const connectFlags = Buffer.from([0xc6, 0, 0]);
      client.send(
        packet(
          0x10,
          text('MQTT'),
          Buffer.from([5]),
          connectFlags,
          properties(),
          text('r'),
          properties(),
          text(topic),
          text('boo'),
          text('root'),
          text('root-1'),
        ),
      );
      await client.expectClosed();
      for (const received of client.inbox) {
        expect((received as { reasonCode?: number }).reasonCode).toBeGreaterThanOrEqual(0x80);
      }
      expect(target.gateway.sessions.get('r')).toBeUndefined();
    },
  );
});
