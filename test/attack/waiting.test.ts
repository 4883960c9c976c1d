import { describe, expect, test } from 'vitest';

import { expectNothing, publish, publishPacket } from '../net/test-gateway.js';
import { connectAs, startGuarded, subscribeCodes } from './fixture.js';

describe('attacks by waiting', () => {
  test('a subscription that waits for a queue by name does not get at it when its filter is forbidden [broker]', async () => {
    const target = await startGuarded();
    const mallory = await connectAs(target, 'mallory');
    expect(await subscribeCodes(mallory, ['$queue/later', '$queue/fine'])).toEqual([1, 1]);
    target.addQueue('secret/#', 'later');
    target.addQueue('jobs/#', 'fine');
    const root = await connectAs(target, 'root');
    root.send(publishPacket('secret/a', 'secret', { messageId: 5 }));
    await root.expect('puback');
    await expectNothing(mallory);
    expect(mallory.inbox).toEqual([]);
    expect(target.shards.attachments).toHaveLength(1);
  });

  test('a right that was taken away is gone when the session is resumed [broker]', async () => {
    const target = await startGuarded();
    const kept = { clean: false, clientId: 'kept', properties: { sessionExpiryInterval: 600 } };
    const alice = await connectAs(target, 'alice', kept);
    expect(await subscribeCodes(alice, ['alice/#', 'public/#', '$share/g/alice/x', '$queue/jobs'])).toEqual([
      1, 1, 1, 1,
    ]);
    alice.destroy();
    target.writeAcl('user root\ntopic readwrite #\nall\ntopic readwrite public/#\n');
    const again = await connectAs(target, 'alice', kept);
    const root = await connectAs(target, 'root');
    target.addQueue('jobs/#', 'jobs');
    for (const topic of ['alice/x', 'jobs/1']) await publish(root, topic, 'not any more');
    await publish(root, 'public/x', 'still');
    expect((await again.expect('publish')).topic).toBe('public/x');
    await expectNothing(again);
  });
});
