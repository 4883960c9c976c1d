/**
 * Wills over the end of the broker: kill -9 and a planned stop, with clients connected and with delays running.
 * What a will led to is looked for in a queue and at a session that was away, so nothing depends on who is faster.
 */
import { describe, expect, test } from 'vitest';

import { startBroker, type Broker } from '../harness/broker.js';
import { connectClient, type TestClient } from '../harness/mqtt-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';

/** Time for rows to reach the log: nothing tells a client that its will is stored. */
const COMMIT_MS = 500;

interface Setup {
  readonly scope: Scope;
  readonly broker: Broker;
  /** Connects with a will on `will/<clientId>`. */
  readonly device: (clientId: string, willDelayInterval: number, clean?: boolean) => Promise<TestClient>;
  /** What the queue over `will/#` holds, in order; reads it empty. */
  readonly queued: (count: number) => Promise<string[]>;
}

async function setUp(): Promise<Setup> {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '2' } });
  await broker.rest.createQueue('will/#');
  return {
    scope,
    broker,
    device: (clientId, willDelayInterval, clean = false) =>
      connectClient(scope, broker, {
        clientId,
        protocolVersion: 5,
        clean,
        properties: { sessionExpiryInterval: 1000 },
        will: {
          topic: `will/${clientId}`,
          payload: Buffer.from('gone'),
          qos: 1,
          retain: false,
          properties: { willDelayInterval, contentType: 'text/plain', userProperties: { a: 'b' } },
        },
      }),
    async queued(count) {
      const reader = await connectClient(scope, broker, { protocolVersion: 5 });
      await reader.client.subscribeAsync('$q/will/#', { qos: 1 });
      await reader.waitFor(count);
      // Nothing more may come.
      await sleep(COMMIT_MS);
      await reader.client.endAsync(true);
      return reader.received.map(({ topic }) => topic).toSorted();
    },
  };
}

describe.each([
  ['kill -9', (broker: Broker) => broker.kill()],
  ['a planned stop', (broker: Broker) => broker.stop()],
] as const)('after %s', (_, end) => {
  test('the wills of clients that were connected are published, those of clients that are back in time or said goodbye are not [MQTT-3.1.2-8]', async () => {
    const { broker, device, queued, scope } = await setUp();
    const watcher = { clientId: 'watcher', protocolVersion: 5, clean: false } as const;
    const lasting = { ...watcher, properties: { sessionExpiryInterval: 1000 } };
    const before = await connectClient(scope, broker, lasting);
    await before.client.subscribeAsync('will/#', { qos: 1 });
    await before.client.endAsync();

    await device('lost', 0);
    await device('back', 60);
    await device('short', 2);
    const polite = await device('polite', 0);
    await polite.client.endAsync();
    await sleep(COMMIT_MS);
    await end(broker);
    await broker.restart();

    const back = await device('back', 60);
    expect(await queued(2)).toEqual(['will/lost', 'will/short']);
    // Durable: the session that was away has them as well, with their properties.
    const after = await connectClient(scope, broker, { ...lasting, autoUseTopicAlias: false });
    await after.waitFor(2);
    expect(after.received.map(({ topic }) => topic).toSorted()).toEqual(['will/lost', 'will/short']);
    expect(after.received[0]?.packet.properties).toMatchObject({ contentType: 'text/plain' });
    await back.client.endAsync();

    // Published once: another restart brings nothing.
    await sleep(COMMIT_MS);
    await end(broker);
    await broker.restart();
    await sleep(COMMIT_MS);
    expect(await queued(0)).toEqual([]);
  }, 60_000);

  test('a delay that was running goes on, and ends while the broker is down if it has to [MQTT-3.1.3-9]', async () => {
    const { broker, device, queued } = await setUp();
    const over = await device('over', 2);
    const running = await device('running', 600);
    const cancelled = await device('cancelled', 600);
    for (const { client } of [over, running, cancelled]) client.stream.destroy();
    await sleep(COMMIT_MS);
    await end(broker);
    await sleep(2000);
    await broker.restart();
    expect(await queued(1)).toEqual(['will/over']);
    const back = await device('cancelled', 600);
    await back.client.endAsync();
    // A Clean Start ends the session, and with it the delay.
    const fresh = await device('running', 600, true);
    await fresh.client.endAsync();
    expect(await queued(1)).toEqual(['will/running']);
  }, 60_000);
});
