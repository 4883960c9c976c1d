import { expect, test } from 'vitest';

import { credentials, subscribeCodes } from './fixture.js';
import { startGuardedBroker } from './guarded-broker.js';

test('after kill -9 a session is resumed by its user and by nobody else [broker]', async () => {
  const { broker, connect } = await startGuardedBroker();
  const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
  const ids = ['one', 'two'];
  for (const clientId of ids) {
    const alice = await connect('alice', { clientId, ...kept });
    expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
    alice.destroy();
  }
  const root = await connect('root');
  root.send({
    cmd: 'publish',
    topic: 'alice/a',
    payload: 'x',
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
  });
  expect((await root.expect('puback')).reasonCode ?? 0).toBe(0);
  await broker.kill();
  await broker.restart();
  const mallory = await connect('mallory', { clientId: 'one', ...kept, ...credentials('mallory') });
  expect(await subscribeCodes(mallory, ['mallory/#'])).toEqual([1]);
  const again = await connect('alice', { clientId: 'two', ...kept });
  expect((await again.expect('publish')).topic).toBe('alice/a');
  mallory.send({ cmd: 'pingreq' });
  await mallory.expect('pingresp');
  expect(mallory.inbox).toEqual([]);
});
