/**
 * kill -9 of the broker under load with durable sessions: QoS 2 and QoS 1 publishers and subscribers of the mqtt.js
 * library, which keep their sessions and send again what was not answered. 5 rounds, 20 with SLUICE_TEST_FULL=1.
 */
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { fullSize, randomFrom, seed } from '../harness/environment.js';
import { testScope, type Scope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';

const ROUNDS = fullSize ? 20 : 5;
const PUBLISHERS = 3;
const IN_FLIGHT = 20;

async function connect(scope: Scope, broker: Broker, clientId: string): Promise<MqttClient> {
  const options: IClientOptions = {
    host: broker.mqttHost,
    port: broker.mqttPort,
    protocol: 'mqtt',
    protocolVersion: 5,
    clientId,
    clean: false,
    reconnectPeriod: 50,
    connectTimeout: 5000,
    resubscribe: false,
    properties: { sessionExpiryInterval: 3600 },
  };
  const client = await connectAsync(options);
  client.on('error', () => undefined);
  scope.add(() => client.endAsync(true));
  return client;
}

test(`over ${ROUNDS} kill -9 durable sessions get every acknowledged message, QoS 2 exactly once [MQTT-4.3.3-10]`, async () => {
  console.info(`SLUICE_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const scope = testScope();
  const broker = await startBroker(scope);
  const counts = { exactly: new Map<string, number>(), atLeast: new Map<string, number>() };
  for (const [name, qos] of [
    ['exactly', 2],
    ['atLeast', 1],
  ] as const) {
    const subscriber = await connect(scope, broker, name);
    subscriber.on('message', (_topic, payload) => {
      const key = String(payload);
      counts[name].set(key, (counts[name].get(key) ?? 0) + 1);
    });
    await subscriber.subscribeAsync('load/#', { qos });
  }

  const acked: string[] = [];
  let isPublishing = true;
  const publish = async (client: MqttClient, lane: string): Promise<void> => {
    for (let i = 0; isPublishing; i++) {
      const payload = `${lane}.${i}`;
      // The library gives up what it took while it was still sending again what it had before: nothing is known of it.
      const isAcked = await client.publishAsync('load/x', payload, { qos: 2 }).then(
        () => true,
        () => false,
      );
      if (isAcked) acked.push(payload);
    }
  };
  const lanes: Promise<void>[] = [];
  for (let i = 0; i < PUBLISHERS; i++) {
    const client = await connect(scope, broker, `publisher-${i}`);
    for (let lane = 0; lane < IN_FLIGHT; lane++) lanes.push(publish(client, `${i}-${lane}`));
  }

  for (let round = 0; round < ROUNDS; round++) {
    const before = acked.length;
    await until(
      () => acked.length > before + 200,
      () => `200 acknowledged messages, ${acked.length - before} came`,
      30_000,
    );
    await sleep(random() * 300);
    await broker.kill();
    await broker.restart();
  }
  const before = acked.length;
  await until(
    () => acked.length > before + 200,
    () => 'messages after the last restart',
    30_000,
  );
  isPublishing = false;
  await Promise.all(lanes);
  const missing = (name: 'exactly' | 'atLeast'): string[] => acked.filter((key) => !counts[name].has(key));
  await until(
    () => missing('exactly').length + missing('atLeast').length === 0,
    () =>
      `every one of ${acked.length} messages; missing ${missing('exactly').slice(0, 5).join(' ')} / ${missing('atLeast').slice(0, 5).join(' ')}`,
    30_000,
  );
  const repeated = [...counts.exactly].filter(([, count]) => count > 1);
  expect(repeated).toEqual([]);
  expect(acked.length).toBeGreaterThan(ROUNDS * 200);
}, 300_000);
