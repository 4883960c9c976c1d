/**
 * The protocol against a real broker process, with clients of other makers: mqtt.js in all versions and
 * mosquitto's command line. The rules one by one are in test/net; here they meet on the way that users take.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import mqtt, { type IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker, type Broker } from '../harness/broker.js';
import { hasMosquittoClients } from '../harness/mosquitto.js';
import { connectClient } from '../harness/mqtt-client.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

const run = promisify(execFile);
const file = new Scope();
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker(file, { env: { SLUICE_SHARDS: '1', SLUICE_CONNECT_TIMEOUT_MS: '1500' } });
});

afterAll(() => file.release());

const versions: [string, IClientOptions][] = [
  ['3.1', { protocolVersion: 3, protocolId: 'MQIsdp' }],
  ['3.1.1', { protocolVersion: 4 }],
  ['5.0', { protocolVersion: 5 }],
];

describe.each(versions)('mqtt.js with MQTT %s', (name, version) => {
  test('publishes and receives at all QoS, in order per QoS [MQTT-4.6.0-5]', async () => {
    const scope = testScope();
    const subscriber = await connectClient(scope, broker, version);
    const publisher = await connectClient(scope, broker, version);
    const topic = `js/${name}`;
    await subscriber.client.subscribeAsync(`${topic}/#`, { qos: 2 });
    const sent: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      const qos = (i % 3) as 0 | 1 | 2;
      sent.push(publisher.client.publishAsync(`${topic}/${qos}`, String(i), { qos }));
    }
    await Promise.all(sent);
    const received = await subscriber.waitFor(300);
    for (const qos of [0, 1, 2]) {
      const numbers = received
        .filter(({ topic: of }) => of.endsWith(`/${qos}`))
        .map(({ payload }) => Number(payload));
      expect(numbers).toEqual(Array.from({ length: 100 }, (_, index) => index * 3 + qos));
    }
  });

  test('a client that comes back to its session gets what it missed [MQTT-3.1.2-5]', async () => {
    const scope = testScope();
    const clientId = `back-${name}`;
    const lasting: IClientOptions = {
      ...version,
      clientId,
      clean: false,
      ...(version.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    };
    const first = await connectClient(scope, broker, lasting);
    await first.client.subscribeAsync(`back/${name}`, { qos: 1 });
    await first.client.endAsync();
    const publisher = await connectClient(scope, broker, version);
    for (let i = 0; i < 20; i++) await publisher.client.publishAsync(`back/${name}`, String(i), { qos: 1 });
    // The messages follow CONNACK at once: the listener has to be there before.
    const again = mqtt.connect({
      host: broker.mqttHost,
      port: broker.mqttPort,
      reconnectPeriod: 0,
      ...lasting,
    });
    scope.add(() => again.endAsync(true));
    const missed: string[] = [];
    again.on('message', (_, payload) => missed.push(payload.toString()));
    await until(() => missed.length === 20, 'what was missed');
    expect(missed).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
  });

  test('a large message arrives whole [broker]', async () => {
    const scope = testScope();
    const { client, waitFor } = await connectClient(scope, broker, version);
    await client.subscribeAsync(`large/${name}`, { qos: 1 });
    const payload = 'abcdefgh'.repeat(120_000);
    await client.publishAsync(`large/${name}`, payload, { qos: 1 });
    const [message] = await waitFor(1);
    expect(message?.payload === payload).toBe(true);
  });
});

describe('mosquitto clients', () => {
  test.for(['mqttv31', 'mqttv311', 'mqttv5'])(
    'mosquitto_sub gets what mosquitto_pub sends, %s [broker]',
    async (version, context) => {
      if (!hasMosquittoClients()) context.skip('mosquitto_pub and mosquitto_sub are not installed');
      const target = ['-h', broker.mqttHost, '-p', String(broker.mqttPort), '-V', version];
      const topic = `mosquitto/${version}`;
      // A lasting session, so that the test need not know when mosquitto_sub has subscribed.
      const session = [...target, '-i', `sub-${version}`, '-c', '-t', `${topic}/#`, '-q', '2'];
      await run('mosquitto_sub', [...session, '-E', ...(version === 'mqttv5' ? ['-x', '100'] : [])]);
      for (const qos of [1, 2])
        await run('mosquitto_pub', [...target, '-t', `${topic}/${qos}`, '-q', String(qos), '-m', `m${qos}`]);
      const { stdout } = await run('mosquitto_sub', [
        ...session,
        '-C',
        '2',
        '-W',
        '20',
        '-v',
        ...(version === 'mqttv5' ? ['-x', '100'] : []),
      ]);
      expect(stdout.trim().split('\n')).toEqual([`${topic}/1 m1`, `${topic}/2 m2`]);
    },
  );
});

describe('a broker under odd clients', () => {
  test('half a CONNECT ends by the timeout, others are served meanwhile [MQTT-3.1.4-2]', async () => {
    const scope = testScope();
    const half = await RawClient.open(scope, broker);
    half.send('10 20 0004 4d51');
    const { client, waitFor } = await connectClient(scope, broker);
    await client.subscribeAsync('odd', { qos: 1 });
    await client.publishAsync('odd', 'x', { qos: 1 });
    await waitFor(1);
    await half.expectClosed();
  });

  test('an unreadable client neither stops others nor the broker [broker]', async () => {
    const scope = testScope();
    const deaf = await RawClient.connect(scope, broker, { clientId: 'deaf', protocolVersion: 4 });
    await deaf.subscribe('flood/#', 0);
    deaf.socket.pause();
    const { client, waitFor } = await connectClient(scope, broker);
    await client.subscribeAsync('flood/last', { qos: 1 });
    const payload = Buffer.alloc(60_000);
    for (let i = 0; i < 300; i++) await client.publishAsync('flood/x', payload, { qos: 1 });
    await client.publishAsync('flood/last', 'done', { qos: 1 });
    await waitFor(1);
  });

  test('SIGTERM tells MQTT 5 clients 0x8B, closes all and ends with 0 [broker]', async () => {
    const scope = testScope();
    const own = await startBroker(scope, { env: { SLUICE_SHARDS: '1' } });
    const five = await RawClient.connect(scope, own, { clientId: 'five', protocolVersion: 5 });
    const four = await RawClient.connect(scope, own, { clientId: 'four', protocolVersion: 4 });
    const stopped = own.stop();
    expect((await five.expect('disconnect')).reasonCode).toBe(0x8b);
    await four.expectClosed();
    five.destroy();
    expect((await stopped).code).toBe(0);
  });
});
