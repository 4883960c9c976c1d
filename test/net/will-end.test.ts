import type { IConnectPacket } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { RowStore } from '../../src/shard/link.js';
import type { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/wait.js';
import { FakeShards } from '../session/fake-shards.js';
import { connect, startGateway, type TestGateway } from './test-gateway.js';

type Will = NonNullable<IConnectPacket['will']>;

function will(options: Partial<Will> = {}): { will: Will } {
  return { will: { topic: 'will/a', payload: Buffer.from('gone'), qos: 1, retain: false, ...options } };
}

async function listener(target: TestGateway, filter = 'will/#'): Promise<RawClient> {
  const client = await connect(target, 'listener');
  await client.subscribe(filter, 2);
  return client;
}

/** The next PUBLISH, answered if it has to be. */
async function received(client: RawClient): Promise<{ topic: string; payload: string; retain: boolean }> {
  const { topic, payload, qos, messageId = 0, retain } = await client.expect('publish');
  if (qos === 1) client.send({ cmd: 'puback', messageId });
  return { topic, payload: payload.toString(), retain };
}

describe('a will at the end of a connection', () => {
  test.each([0x80, 0x81, 0x98])(
    'DISCONNECT with reason code %i publishes it [MQTT-3.1.2-8]',
    async (reasonCode) => {
      const target = await startGateway();
      const watcher = await listener(target);
      const client = await connect(target, 'a', will());
      client.send({ cmd: 'disconnect', reasonCode });
      expect((await received(watcher)).payload).toBe('gone');
    },
  );
});

describe('wills and the end of the broker', () => {
  async function restarted(shards: FakeShards, clock?: { nowMs(): number }): Promise<TestGateway> {
    const target = await startGateway({ shards, ...(clock === undefined ? {} : { clock }) });
    await target.gateway.load([]);
    return target;
  }

  test('a gateway that stops publishes no will, the next one does [broker]', async () => {
    const shards = new FakeShards();
    const first = await startGateway({ shards });
    const { id } = first.addQueue('will/#');
    await connect(first, 'a', will());
    await until(() => shards.rowsOf(0, RowStore.will).size === 1, 'the row of the will');
    await first.gateway.drain();
    expect(shards.queue(id)).toHaveLength(0);
    const second = await restarted(shards);
    const watcher = await listener(second);
    expect((await received(watcher)).payload).toBe('gone');
    await until(() => shards.rowsOf(0, RowStore.will).size === 0, 'the end of the row');
  });
});
