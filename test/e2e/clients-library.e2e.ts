/**
 * mqtt.js and paho-mqtt 2 against a broker process: TCP, TLS and WebSocket, MQTT 3.1.1 and 5.0. What applications do
 * with them on each way: QoS 0 to 2, retained messages, wills, lasting sessions, shared subscriptions, queues, passwords,
 * client certificates.
 */
import { connect as connectClosed, connectAsync, type IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { connectClient, type TestClient } from '../harness/mqtt-client.js';
import { providePaho } from '../harness/paho.js';
import { Rest } from '../harness/rest.js';
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

/** Creates a queue over REST; answers its name. */
async function createQueue(name: string, topicFilter: string): Promise<string> {
  const rest = new Rest(`http://127.0.0.1:${secured.broker.httpPort}/api/v5/message_queues`);
  const { status } = await rest.post('/queues', { name, topic_filter: topicFilter, is_lastvalue: false });
  expect(status).toBeLessThan(300);
  return name;
}

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

  test('a queue gives each job to one consumer, also what came before any was there [broker]', async () => {
    const queue = await createQueue(`${transport}-${protocolVersion}`, `${name}/jobs/#`);
    const publisher = await connect();
    for (let i = 0; i < 10; i++) await publisher.client.publishAsync(`${name}/jobs/x`, `${i}`, { qos: 1 });
    const consumers = [await connect(), await connect()];
    await consumers[0]!.client.subscribeAsync(`$queue/${queue}`, { qos: 1 });
    await consumers[1]!.client.subscribeAsync(`$q/${name}/jobs/#`, { qos: 1 });
    for (let i = 10; i < 30; i++) await publisher.client.publishAsync(`${name}/jobs/y`, `${i}`, { qos: 2 });
    const all = (): number[] =>
      consumers.flatMap(({ received }) => received.map(({ payload }) => Number(payload)));
    await expect.poll(() => all().length, { timeout: 30_000 }).toBe(30);
    expect(all().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });

  test.runIf(transport === 'mqtts' || transport === 'wss')(
    'a client certificate is a user, an expired one lets nobody in [broker]',
    async () => {
      const { device, expired } = secured;
      const clientId = `certified-${transport}-${protocolVersion}`;
      const watcher = await connect();
      await watcher.client.subscribeAsync(`$SYS/brokers/+/clients/${clientId}/connected`);
      await connect({ clientId, cert: device.cert, key: device.key });
      const [event] = await watcher.waitFor(1);
      expect(JSON.parse(event?.payload ?? '')).toMatchObject({ clientid: clientId, username: 'device-7' });
      await expect(connect({ cert: expired.cert, key: expired.key })).rejects.toThrow(
        /closed before CONNACK|ECONNRESET|socket|certificate/i,
      );
    },
  );

  test('a password decides [broker]', async () => {
    const { client } = await connect(alice);
    expect(client.connected).toBe(true);
    const wrong = { ...alice, password: 'looking glass', reconnectPeriod: 0, host: '127.0.0.1' };
    await expect(connectAsync({ ...base(), ...wrong })).rejects.toThrow(/password|authori[sz]ed/i);
  });
});

/**
 * Prints one line per event. A subscriber with a session that lasts, two members of a group, a consumer of a queue and a
 * client that dies; `away` is published while the subscriber has gone.
 */
const pahoProgram = `
import sys, threading, time, paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes
way, port, version, ca, user, password, queue, cert, key = sys.argv[1:]
name = 'paho/' + way + '/' + version
v5, is_secure, is_web = version == '5', way in ('mqtts', 'wss'), way in ('ws', 'wss')
say = threading.Lock()
seen = set()
def out(*a):
    with say: print(*a, flush=True)
def make(cid, lasting=False, certified=False):
    more = {} if v5 else {'clean_session': not lasting}
    c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name + '/' + cid,
        protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311, transport='websockets' if is_web else 'tcp', **more)
    if is_web: c.ws_set_options(path='/mqtt')
    if is_secure: c.tls_set(ca_certs=ca, **({'certfile': cert, 'keyfile': key} if certified else {}))
    if not certified: c.username_pw_set(user, password)
    c.step = threading.Semaphore(0)
    def connected(c, u, flags, reason, props):
        out('connected', cid, reason, 'with session' if flags.session_present else 'anew')
        c.step.release()
    def message(c, u, m):
        seen.add(m.payload.decode())
        out('message', cid, m.topic[len(name) + 1:], m.payload.decode(), m.qos)
    c.on_connect, c.on_message = connected, message
    c.on_subscribe = c.on_disconnect = lambda *a: c.step.release()
    return c
def wait(c):
    if not c.step.acquire(timeout=30): raise SystemExit('nothing happens')
def wait_for(text):
    for _ in range(600):
        if text in seen: return
        time.sleep(0.05)
    raise SystemExit(text + ' does not come')
def go(c, lasting=False, clean=True):
    more = {}
    if v5:
        p = Properties(PacketTypes.CONNECT)
        if lasting: p.SessionExpiryInterval = 600
        more = {'clean_start': clean, 'properties': p}
    c.connect('127.0.0.1', int(port), **more)
    c.loop_start()
    wait(c)
    return c
def subscribe(c, *filters):
    for f in filters:
        c.subscribe(f, qos=2)
        wait(c)
pub = go(make('pub'))
def publish(topic, text, qos, retain=False):
    pub.publish(name + '/' + topic, text, qos=qos, retain=retain).wait_for_publish(30)
publish('kept', 'kept', 1, True)
publish('jobs/1', 'early', 1)
sub = go(make('sub', lasting=True), lasting=True)
subscribe(sub, name + '/kept', name + '/m', name + '/will')
for q in (0, 1, 2): publish('m', str(q), q)
members = [go(make('member')), go(make('member2'))]
for c in members: subscribe(c, '$share/g/' + name + '/shared')
for i in range(4): publish('shared', 'shared' + str(i), 1)
worker = go(make('worker'))
subscribe(worker, '$queue/' + queue)
publish('jobs/2', 'late', 2)
dying = make('dying')
dying.will_set(name + '/will', 'gone', qos=1)
go(dying).loop_stop()
dying.socket().close()
for text in ('kept', '0', '1', '2', 'gone', 'early', 'late', 'shared0', 'shared1', 'shared2', 'shared3'): wait_for(text)
sub.disconnect()
wait(sub)
sub.loop_stop()
publish('m', 'away', 1)
go(sub, lasting=True, clean=False)
wait_for('away')
if is_secure: go(make('certified', certified=True))
out('done')
for c in members + [pub, sub, worker]: c.disconnect()
`;

describe.each(transports)('paho-mqtt 2 over %s', (transport: Transport) => {
  test.for(['3.1.1', '5'])(
    'version %s: all QoS, retained message, will, lasting session, share group, queue, password, certificate [broker]',
    async (version, context) => {
      const paho = await providePaho();
      if ('unavailable' in paho) return context.skip(paho.unavailable);
      const { ports, caFile, device } = secured;
      const queue = await createQueue(`paho-${transport}-${version}`, `paho/${transport}/${version}/jobs/#`);
      const program = new Script(testScope(), paho.python, [
        ...['-c', pahoProgram, transport, String(ports[transport]), version, caFile],
        ...[alice.username, alice.password, queue, device.certFile, device.keyFile],
      ]);
      await program.waitFor(/^done/);
      const messages = program.matching(/^message/).map(({ text }) => text.slice('message '.length));
      const of = (who: RegExp): string[] => messages.filter((text) => who.test(text));
      expect(of(/^sub /)).toEqual([
        'sub kept kept 1',
        'sub m 0 0',
        'sub m 1 1',
        'sub m 2 2',
        'sub will gone 1',
        'sub m away 1',
      ]);
      // Each once, whichever member has it.
      expect(
        of(/^member/)
          .map((text) => text.split(' ').slice(1).join(' '))
          .toSorted(),
      ).toEqual(Array.from({ length: 4 }, (_, i) => `shared shared${i} 1`));
      expect(of(/^worker /)).toEqual(['worker jobs/1 early 1', 'worker jobs/2 late 1']);
      const connected = program.matching(/^connected/).map(({ text }) => text);
      expect(connected).toContain('connected sub Success with session');
      const isSecure = transport === 'mqtts' || transport === 'wss';
      expect(connected.includes('connected certified Success anew')).toBe(isSecure);
    },
  );
});
