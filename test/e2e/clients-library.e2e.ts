/**
 * mqtt.js and paho-mqtt 2 against a broker process: TCP, TLS and WebSocket, MQTT 3.1.1 and 5.0. What applications do
 * with them on each way: QoS 0 to 2, retained messages, wills, lasting sessions, shared subscriptions, passwords.
 */
import { connect as connectClosed, connectAsync, type IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connectClient, type TestClient } from '../harness/mqtt-client.js';
import { providePaho } from '../harness/paho.js';
import { Scope, testScope } from '../harness/scope.js';
import { Script } from '../harness/script.js';
import { alice, startSecuredBroker, type SecuredBroker } from '../harness/secured-broker.js';

const transports = ['mqtt', 'mqtts', 'ws', 'wss'] as const;
type Transport = (typeof transports)[number];

const scope = new Scope();
let secured: SecuredBroker;

beforeAll(async () => {
  secured = await startSecuredBroker(scope);
});

afterAll(() => scope.release());

const ways = transports.flatMap((transport) =>
  ([4, 5] as const).map((version) => [transport, version] as const),
);

describe.each(ways)('mqtt.js over %s, version %i', (transport, protocolVersion) => {
  const base = (): IClientOptions => ({
    protocol: transport,
    protocolVersion,
    port: secured.ports[transport],
    ca: secured.ca,
    path: '/mqtt',
  });
  const name = `${transport}/${protocolVersion}`;
  const connect = (options: IClientOptions = {}): Promise<TestClient> =>
    connectClient(testScope(), secured.broker, { ...base(), ...options });

  test('messages of each QoS arrive in order [MQTT-4.6.0-6]', async () => {
    const { client, waitFor } = await connect();
    await client.subscribeAsync(`${name}/qos`, { qos: 2 });
    for (let i = 0; i < 9; i++)
      await client.publishAsync(`${name}/qos`, `${i}`, { qos: (i % 3) as 0 | 1 | 2 });
    const received = await waitFor(9);
    expect(received.map(({ payload, packet }) => [Number(payload), packet.qos])).toEqual(
      Array.from({ length: 9 }, (_, i) => [i, i % 3]),
    );
  });

  test('a retained message meets a new subscription until it is cleared [MQTT-3.3.1-5]', async () => {
    const topic = `${name}/kept`;
    const publisher = await connect();
    await publisher.client.publishAsync(topic, 'kept', { qos: 1, retain: true });
    const early = await connect();
    await early.client.subscribeAsync(topic, { qos: 1 });
    expect((await early.waitFor(1))[0]).toMatchObject({ payload: 'kept', packet: { retain: true } });
    await publisher.client.publishAsync(topic, '', { qos: 1, retain: true });
    const late = await connect();
    await late.client.subscribeAsync(topic, { qos: 1 });
    await publisher.client.publishAsync(topic, 'live', { qos: 1 });
    expect((await late.waitFor(1))[0]).toMatchObject({ payload: 'live', packet: { retain: false } });
  });

  test('the will of a connection that is cut off reaches the others [MQTT-3.1.2-8]', async () => {
    const watcher = await connect();
    await watcher.client.subscribeAsync(`${name}/will`, { qos: 1 });
    const dying = await connect({
      will: { topic: `${name}/will`, payload: Buffer.from('gone'), qos: 1, retain: false },
    });
    dying.client.stream.destroy();
    expect((await watcher.waitFor(1))[0]?.payload).toBe('gone');
  });

  test('a session that is away keeps what is published for it [MQTT-3.1.2-6]', async () => {
    const lasting: IClientOptions = {
      clientId: `lasting-${transport}-${protocolVersion}`,
      clean: false,
      ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 600 } }),
    };
    const before = await connect(lasting);
    await before.client.subscribeAsync(`${name}/away`, { qos: 2 });
    await before.client.endAsync();
    const publisher = await connect();
    for (const qos of [1, 2] as const) await publisher.client.publishAsync(`${name}/away`, `${qos}`, { qos });
    // What waits comes right behind CONNACK: whoever listens only then has missed it.
    const after = connectClosed({ ...base(), ...lasting, host: '127.0.0.1', manualConnect: true });
    testScope().add(() => after.endAsync(true));
    const payloads: string[] = [];
    after.on('message', (_, payload) => payloads.push(payload.toString()));
    after.connect();
    await expect.poll(() => payloads, { timeout: 30_000 }).toEqual(['1', '2']);
  });

  test('the members of a shared subscription get each message once [MQTT-4.8.2-4]', async () => {
    const members = [await connect(), await connect()];
    for (const { client } of members) await client.subscribeAsync(`$share/g/${name}/shared`, { qos: 1 });
    const publisher = await connect();
    for (let i = 0; i < 40; i++) await publisher.client.publishAsync(`${name}/shared`, `${i}`, { qos: 1 });
    const all = (): string[] => members.flatMap(({ received }) => received.map(({ payload }) => payload));
    await expect.poll(() => all().length).toBe(40);
    expect(new Set(all()).size).toBe(40);
    for (const { received } of members) expect(received.length).toBeGreaterThan(0);
  });

  test('a password decides [broker]', async () => {
    const { client } = await connect(alice);
    expect(client.connected).toBe(true);
    const wrong = { ...alice, password: 'looking glass', reconnectPeriod: 0, host: '127.0.0.1' };
    await expect(connectAsync({ ...base(), ...wrong })).rejects.toThrow(/password|authori[sz]ed/i);
  });
});

/** Prints one line per event; ends when the will of its other client and three messages of its own are there. */
const pahoProgram = `
import sys, threading, paho.mqtt.client as mqtt
way, port, version, ca, user, password = sys.argv[1:]
name = 'paho/' + way + '/' + version
v5 = version == '5'
def make(cid):
    c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=cid, protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
        transport='websockets' if way in ('ws', 'wss') else 'tcp')
    if way in ('ws', 'wss'): c.ws_set_options(path='/mqtt')
    if way in ('mqtts', 'wss'): c.tls_set(ca_certs=ca)
    c.username_pw_set(user, password)
    return c
say = threading.Lock()
def out(*a):
    with say: print(*a, flush=True)
sub, dying = make(name + '/sub'), make(name + '/dying')
dying.will_set(name + '/will', 'gone', qos=1)
def connected(c, u, flags, reason, props):
    out('connected', reason)
    if c is sub: c.subscribe(name + '/#', qos=2)
    else:
        c.publish(name + '/kept', 'kept', qos=1, retain=True)
        for q in (0, 1, 2): c.publish(name + '/m', str(q), qos=q)
def message(c, u, m):
    out('message', m.topic[len(name) + 1:], m.payload.decode(), m.qos)
    if m.topic.endswith('/m') and m.qos == 2: dying.socket().close()
sub.on_connect = dying.on_connect = connected
sub.on_message = message
sub.on_subscribe = lambda c, u, mid, codes, props: (out('subscribed', *codes), dying.connect('127.0.0.1', int(port)), dying.loop_start())
sub.connect('127.0.0.1', int(port))
sub.loop_forever()
`;

describe.each(transports)('paho-mqtt 2 over %s', (transport: Transport) => {
  test.for(['3.1.1', '5'])(
    'version %s: all QoS, a retained message and a will, with user and password [broker]',
    async (version, context) => {
      const paho = await providePaho();
      if ('unavailable' in paho) return context.skip(paho.unavailable);
      const { ports, caFile } = secured;
      const program = new Script(testScope(), paho.python, [
        ...['-c', pahoProgram, transport, String(ports[transport]), version, caFile],
        ...[alice.username, alice.password],
      ]);
      await program.waitFor(/^message will gone/);
      const messages = program.matching(/^message/).map(({ text }) => text.slice('message '.length));
      expect(messages.toSorted()).toEqual(['kept kept 1', 'm 0 0', 'm 1 1', 'm 2 2', 'will gone 1']);
      expect(program.matching(/^connected Success/)).toHaveLength(2);
    },
  );
});
