import { describe, expect, test } from 'vitest';

import { expectNothing, publish, publishPacket } from '../net/test-gateway.js';
import { until } from '../harness/wait.js';
import { connectAs, credentials, refusal, startGuarded, subscribeCodes } from './fixture.js';

const reduced = 'user root\ntopic readwrite #\nqueue *\nall\ntopic readwrite public/#\n';

describe('rights that are taken away from connected clients', () => {
  test('a subscription ends with its right, and others of the client stay [broker]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice');
    const root = await connectAs(target, 'root');
    expect(await subscribeCodes(alice, ['alice/#', 'public/#', '$share/g/alice/x'])).toEqual([1, 1, 1]);
    await publish(root, 'alice/x', 'before');
    expect((await alice.expect('publish')).topic).toBe('alice/x');
    expect((await alice.expect('publish')).topic).toBe('alice/x');
    target.writeAcl(reduced);
    const session = target.gateway.sessions.get('alice')!;
    await until(() => session.subscriptionCount === 1, 'the end of the subscriptions');
    for (const topic of ['alice/x', 'alice/y']) await publish(root, topic, 'after');
    await publish(root, 'public/x', 'still');
    expect((await alice.expect('publish')).topic).toBe('public/x');
    await expectNothing(alice);
    expect(alice.inbox).toEqual([]);
    expect([...session.allSubscriptions()].map(([filter]) => filter)).toEqual(['public/#']);
  });

  test('a consumer loses its queue, which is attached again when the right comes back [broker]', async () => {
    const target = await startGuarded();
    target.addQueue('jobs/#', 'jobs');
    const alice = await connectAs(target, 'alice');
    expect(await subscribeCodes(alice, ['$queue/jobs'])).toEqual([1]);
    const root = await connectAs(target, 'root');
    await publish(root, 'jobs/1', 'before');
    const taken = await alice.expect('publish');
    const attachment = target.shards.attachments[0]!;
    target.writeAcl(reduced);
    const state = target.gateway.sessions.get('alice')!.queueSubscriptions.get('$queue/jobs')!;
    await until(() => state.state === 'waiting', 'the end of the attachment');
    // What it had not answered is the queue's again; its late answer changes nothing.
    alice.send({ cmd: 'puback', messageId: taken.messageId ?? 0 });
    await publish(root, 'jobs/2', 'after');
    await expectNothing(alice);
    expect(alice.inbox).toEqual([]);
    expect(target.shards.attachments).toEqual([]);
    target.writeAcl(`${reduced}user alice\ntopic read jobs/#\nqueue jobs\n`);
    await until(() => state.state === 'attached', 'the queue to be attached again');
    expect(target.shards.attachments[0]).not.toBe(attachment);
    await publish(root, 'jobs/3', 'again');
    const topics: string[] = [];
    for (let i = 0; i < 3; i++) topics.push((await alice.expect('publish')).topic);
    expect(topics).toEqual(['jobs/1', 'jobs/2', 'jobs/3']);
  });

  test('the rest of the retained messages does not come once the right is gone [broker]', async () => {
    const target = await startGuarded();
    const root = await connectAs(target, 'root');
    for (let i = 0; i < 20; i++) {
      root.send(publishPacket(`alice/${i}`, 'kept', { qos: 1, messageId: i + 1, retain: true }));
      await root.expect('puback');
    }
    const alice = await connectAs(target, 'alice', { properties: { receiveMaximum: 5 } });
    expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
    const ids: number[] = [];
    for (let i = 0; i < 5; i++) ids.push((await alice.expect('publish')).messageId ?? 0);
    target.writeAcl(reduced);
    await until(() => target.gateway.sessions.get('alice')?.subscriptionCount === 0, 'the end');
    for (const messageId of ids) alice.send({ cmd: 'puback', messageId });
    await expectNothing(alice);
    expect(alice.inbox).toEqual([]);
  });

  test('what waits for a client that is away is not handed out after its right has gone [broker]', async () => {
    const target = await startGuarded({ hasSessionQueues: true });
    const kept = { clean: false, clientId: 'kept', properties: { sessionExpiryInterval: 600 } };
    const alice = await connectAs(target, 'alice', kept);
    expect(await subscribeCodes(alice, ['alice/#', 'public/#'])).toEqual([1, 1]);
    alice.destroy();
    await until(() => target.gateway.sessions.get('kept')?.state === 'away', 'the session to be away');
    const root = await connectAs(target, 'root');
    await publish(root, 'alice/x', 'while it had the right');
    target.writeAcl(reduced);
    await publish(root, 'alice/x', 'when it had it no more');
    await publish(root, 'public/x', 'still');
    const again = await connectAs(target, 'alice', kept);
    await publish(root, 'public/y', 'live');
    const topics: string[] = [];
    while (topics.at(-1) !== 'public/y') topics.push((await again.expect('publish')).topic);
    expect(topics.filter((topic) => !topic.startsWith('public/'))).toEqual([]);
  });
});

describe('users that are taken away', () => {
  test('a connection ends when its user is removed or gets another password, and others stay [broker]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice');
    const old = await connectAs(target, 'alice', { clientId: 'old', protocolVersion: 4 });
    const mallory = await connectAs(target, 'mallory');
    const root = await connectAs(target, 'root');
    await target.writePasswords({ alice: undefined, mallory: 'another' });
    expect((await alice.expect('disconnect')).reasonCode).toBe(0x87);
    expect((await mallory.expect('disconnect')).reasonCode).toBe(0x87);
    for (const client of [alice, mallory, old]) await client.expectClosed();
    await expectNothing(root);
    expect(await refusal(target, credentials('alice'))).toBe(0x86);
    expect(await refusal(target, credentials('mallory'))).toBe(0x86);
    await connectAs(target, 'mallory', { username: 'mallory', password: Buffer.from('another') });
  });

  test('a file that is read again with the same users ends no connection [broker]', async () => {
    const target = await startGuarded();
    const alice = await connectAs(target, 'alice');
    await target.writePasswords({});
    await expectNothing(alice);
  });
});
