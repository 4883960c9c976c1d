/**
 * Sessions of the log at the start of a gateway: fake shards that already have rows.
 */
import { expect, test } from 'vitest';
import { RowStore } from '../../src/shard/link.js';
import { encodeState } from '../../src/session/session-record.js';
import { FakeShards } from '../session/fake-shards.js';
import { startGateway } from './test-gateway.js';

test('of two states of one client the newer one counts: the other was being deleted when the process ended [MQTT-3.1.2-4]', async () => {
  const shards = new FakeShards(1);
  const rows = shards.rowsOf(0, RowStore.session);
  for (const filter of ['old', 'new']) {
    rows.set(
      shards.nextRowId(),
      encodeState({
        clientId: 'twice',
        expiryIntervalS: 3600,
        awaySinceMs: Date.now(),
        sentMax: 0,
        subscriptions: [
          { filter, qos: 0, noLocal: false, retainAsPublished: false, subscriptionIdentifier: 0 },
        ],
      }),
    );
  }
  const target = await startGateway({ shards });
  await target.gateway.load([]);
  const session = target.gateway.sessions.get('twice');
  expect([...(session?.liveSubscriptions.keys() ?? [])]).toEqual(['new']);
  await expect.poll(() => [...rows.keys()]).toEqual([2]);
});
