import { describe, expect, test } from 'vitest';

import { expectNothing, publish, publishPacket } from '../net/test-gateway.js';
import { connectAs, credentials, refusal, startGuarded, subscribeCodes } from './fixture.js';

const sessionTakenOver = 0x8e;
const forAWhile = { properties: { sessionExpiryInterval: 600 } };

describe('attacks by client id', () => {
  test('a CONNECT that is refused does not touch the client that has the id [MQTT-3.1.4-3]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice', forAWhile);
    await alice.subscribe('alice/#');
    for (const more of [{}, { username: 'alice', password: Buffer.from('guess') }, { username: 'nobody' }]) {
      expect(await refusal(target, { clientId: 'alice', ...more })).toBeGreaterThanOrEqual(0x80);
    }
    await expectNothing(alice);
    alice.send(publishPacket('alice/a', 'x', { qos: 0 }));
    expect((await alice.expect('publish')).topic).toBe('alice/a');
  });

  test('another user with the id of a client gets none of its subscriptions and messages [broker]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
    alice.destroy();
    const root = await connectAs(target, 'root');
    await publish(root, 'alice/inbox', 'for alice only');
    const thief = await connectAs(target, 'mallory', { ...forAWhile, clientId: 'shared', clean: false });
    await publish(root, 'alice/inbox', 'for alice only, again');
    await expectNothing(thief);
    expect(thief.inbox).toEqual([]);
    const session = target.gateway.sessions.get('shared');
    expect(session?.liveSubscriptions.size).toBe(0);
  });

  test('another user with the id of a connected client takes its place and nothing else [broker]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
    const thief = await connectAs(target, 'mallory', { ...forAWhile, clientId: 'shared', clean: false });
    expect((await alice.expect('disconnect')).reasonCode).toBe(sessionTakenOver);
    const root = await connectAs(target, 'root');
    await publish(root, 'alice/inbox', 'for alice only');
    await expectNothing(thief);
    // Nor does alice inherit from mallory what she may not have.
    expect(await subscribeCodes(thief, ['mallory/#'])).toEqual([1]);
    const again = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    await publish(root, 'mallory/a', 'for mallory only');
    await expectNothing(again);
  });

  test('the same user resumes the session [MQTT-3.1.2-5]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
    alice.destroy();
    const again = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    again.send(publishPacket('alice/a', 'x', { qos: 0 }));
    expect((await again.expect('publish')).topic).toBe('alice/a');
  });

  test('QoS 2 of one user is not completed or doubled by another with the same id [MQTT-4.3.3-10]', async () => {
    const target = await startGuarded();
    const root = await connectAs(target, 'root');
    await root.subscribe('#');
    const alice = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
    alice.send(publishPacket('alice/once', 'x', { qos: 2, messageId: 7 }));
    await alice.expect('pubrec');
    expect((await root.expect('publish')).topic).toBe('alice/once');
    const thief = await connectAs(target, 'mallory', { ...forAWhile, clientId: 'shared', clean: false });
    thief.send({ cmd: 'pubrel', messageId: 7 });
    expect((await thief.expect('pubcomp')).reasonCode).toBe(0x92);
  });

  test('no number of wrong credentials for an id keeps its owner out [broker]', async () => {
    const target = await startGuarded();
    for (let i = 0; i < 30; i++) {
      await refusal(target, { clientId: 'alice', username: 'alice', password: Buffer.from(`${i}`) });
    }
    await expectNothing(await connectAs(target, 'alice', { ...credentials('alice') }));
  });

  test('a topic alias ends with its connection: a session that is resumed or taken over has none [MQTT-3.3.2-7]', async () => {
    const target = await startGuarded();
    const root = await connectAs(target, 'root');
    await root.subscribe('#');
    for (const user of ['alice', 'mallory']) {
      const first = await connectAs(target, 'alice', { ...forAWhile, clientId: 'shared', clean: false });
      first.send(publishPacket('alice/x', 'x', { qos: 0, properties: { topicAlias: 1 } }));
      expect((await root.expect('publish')).topic).toBe('alice/x');
      const next = await connectAs(target, user, { ...forAWhile, clientId: 'shared', clean: false });
      next.send(publishPacket('', 'through the alias', { qos: 0, properties: { topicAlias: 1 } }));
      expect((await next.expect('disconnect')).reasonCode).toBe(0x82);
    }
    await expectNothing(root);
  });
});
