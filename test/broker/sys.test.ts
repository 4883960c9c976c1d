import { describe, expect, test } from 'vitest';

import { clientTopicLevel, SysClientEvents } from '../../src/broker/client-events.js';
import { LoadAverage } from '../../src/broker/sys-load.js';
import { SysPublisher } from '../../src/broker/sys-publisher.js';
import { readSys } from '../../src/broker/sys-reading.js';
import { sysLoads, sysTopics, type SysReading } from '../../src/broker/sys-topics.js';
import type { ClientFacts } from '../../src/session/context.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { fileOf } from '../repository/tree.js';
import { Listener, localFixture } from '../session/will-fixture.js';

const reading: SysReading = {
  uptimeS: 12.7,
  clientsConnected: 3,
  sessions: 5,
  clientsExpired: 1,
  bytesReceived: 100,
  bytesSent: 200,
  packetsReceived: 10,
  packetsSent: 20,
  publishesReceived: 4,
  publishesSent: 8,
  publishesDropped: 2,
  publishBytesReceived: 40,
  publishBytesSent: 80,
  connects: 6,
  socketsOpened: 7,
  messagesInFlight: 9,
  messagesStored: 11,
  messageBytesStored: 1000,
  retainedCount: 13,
  retainedBytes: 500,
  subscriptions: 14,
  sharedSubscriptions: 15,
  heapBytes: 4096,
};

function sysFixture(now: { reading: SysReading; atMs: number }) {
  const local = localFixture();
  const sys = new SysPublisher({
    publisher: local.publisher,
    read: () => now.reading,
    clock: { nowMs: () => now.atMs },
    version: '1.2.3',
    intervalS: 10,
  });
  const said = (): Record<string, string> =>
    Object.fromEntries(
      local.retained.map(([topic, payload]) => [topic.slice('$SYS/broker/'.length), payload]),
    );
  return { ...local, sys, said };
}

describe('$SYS/broker', () => {
  test('the topics and texts are those that users of Mosquitto know [broker]', () => {
    const { sys, said } = sysFixture({ reading, atMs: 0 });
    sys.start();
    sys.stop();
    expect(said()).toMatchObject({
      version: 'sluice version 1.2.3',
      uptime: '12 seconds',
      'clients/connected': '3',
      'clients/active': '3',
      'clients/disconnected': '2',
      'clients/inactive': '2',
      'clients/total': '5',
      'clients/maximum': '3',
      'clients/expired': '1',
      'bytes/received': '100',
      'bytes/sent': '200',
      'messages/received': '10',
      'messages/sent': '20',
      'messages/inflight': '9',
      'messages/stored': '24',
      'publish/messages/received': '4',
      'publish/messages/sent': '8',
      'publish/messages/dropped': '2',
      'publish/bytes/received': '40',
      'publish/bytes/sent': '80',
      'store/messages/count': '24',
      'store/messages/bytes': '1500',
      'retained messages/count': '13',
      'subscriptions/count': '14',
      'shared_subscriptions/count': '15',
      'heap/current': '4096',
      'heap/maximum': '4096',
      'load/messages/received/1min': '0.00',
    });
    expect(Object.keys(said())).toHaveLength(1 + sysTopics.length + 3 * sysLoads.length);
  });

  test('an update says only what has changed, and the highest value stays [broker]', () => {
    const now = { reading, atMs: 0 };
    const { sys, retained, listen } = sysFixture(now);
    const listener = new Listener('a');
    listen('$SYS/#', listener);
    sys.update();
    listener.seen.length = 0;
    retained.length = 0;
    now.reading = { ...reading, clientsConnected: 1, sessions: 5 };
    sys.update();
    const changed = ['clients/connected', 'clients/active', 'clients/disconnected', 'clients/inactive'];
    expect(listener.seen.map(({ topic }) => topic.slice('$SYS/broker/'.length))).toEqual(changed);
    expect(retained.map(([topic]) => topic.slice('$SYS/broker/'.length))).toEqual(changed);
    expect(listener.seen[0]).toMatchObject({ payload: '1', qos: 0, retain: false });
  });

  test('the averages are per minute and forget with time [broker]', () => {
    const now = { reading, atMs: 0 };
    const { sys, said } = sysFixture(now);
    sys.update();
    now.atMs = 60_000;
    now.reading = { ...reading, publishesReceived: reading.publishesReceived + 600 };
    sys.update();
    // 600 in a minute: 1 − 1/e of it after one span.
    expect(said()['load/publish/received/1min']).toBe((600 * (1 - Math.exp(-1))).toFixed(2));
    expect(said()['load/publish/received/5min']).toBe((600 * (1 - Math.exp(-1 / 5))).toFixed(2));
    expect(said()['load/publish/received/15min']).toBe((600 * (1 - Math.exp(-1 / 15))).toFixed(2));
    now.atMs = 3_600_000;
    sys.update();
    expect(said()['load/publish/received/1min']).toBe('0.00');
  });

  test('a steady rate is what every average ends at, however often it is updated [broker]', () => {
    for (const stepS of [1, 10, 60]) {
      const load = new LoadAverage(5);
      let averages: Readonly<Float64Array> = new Float64Array();
      for (let atS = stepS; atS <= 7200; atS += stepS) averages = load.update(5 + 2 * atS, stepS);
      for (const average of averages) expect(average).toBeCloseTo(120, 0);
    }
    expect([...new LoadAverage(5).update(9, 0)]).toEqual([0, 0, 0]);
  });

  test('with an interval of 0 nothing is said [broker]', () => {
    const local = localFixture();
    const clock = { nowMs: () => 0 };
    new SysPublisher({ ...local, read: () => reading, clock, version: '1', intervalS: 0 }).start();
    expect(local.retained).toEqual([]);
  });

  test('a reading sums the counters of all threads [broker]', () => {
    const { counters, reader } = localFixture();
    counters.add(slotOf('packetsReceived', 'connect'), 2);
    counters.add(slotOf('packetsReceived', 'publish'), 3);
    counters.add(slotOf('publishesReceived', '0'), 1);
    counters.add(slotOf('publishesReceived', '2'), 2);
    counters.add(slotOf('messagesDropped', 'expired'), 4);
    counters.add(slot.messagesReady, 5);
    counters.add(slot.messagesInFlight, 6);
    counters.add(slot.subscriptions, 7);
    counters.add(slot.queueSubscriptions, 8);
    const gauges = {
      clientsConnected: () => 1,
      sessions: () => 2,
      retainedCount: () => 3,
      retainedBytes: () => 4,
      sharedSubscriptions: () => 5,
      uptimeS: () => 6,
    };
    expect(readSys(reader, gauges)).toMatchObject({
      packetsReceived: 5,
      connects: 2,
      publishesReceived: 3,
      publishesDropped: 4,
      messagesStored: 11,
      messagesInFlight: 6,
      subscriptions: 15,
      clientsConnected: 1,
      sessions: 2,
      retainedCount: 3,
      retainedBytes: 4,
      sharedSubscriptions: 5,
      uptimeS: 6,
    });
  });

  test('docs/sys-topics.md lists every topic, in order, and no other [broker]', () => {
    const listed = [...fileOf('docs/sys-topics.md').text.matchAll(/^\| `([^`]+)` +\|/gm)].map(
      ([, name]) => name,
    );
    const loads = sysLoads.map(({ name }) => `load/${name}/…`);
    expect(listed.filter((name) => !name?.startsWith('$SYS'))).toEqual([
      'version',
      ...sysTopics.map(({ name }) => name),
      ...loads,
    ]);
  });
});

const facts: ClientFacts = {
  connectedAtMs: 0,
  listener: 'tcp',
  clientId: 'dev/1',
  username: 'u',
  peername: '10.0.0.1:1000',
  protocolVersion: 5,
  keepAliveS: 60,
  cleanStart: true,
  expiryIntervalS: Number.POSITIVE_INFINITY,
};

function eventFixture(perSecondMax = 10) {
  const local = localFixture();
  const now = { atMs: 0 };
  const events = new SysClientEvents({
    publisher: local.publisher,
    counters: local.counters,
    clock: { nowMs: () => now.atMs },
    unixMs: () => 1_700_000_000_000,
    perSecondMax,
  });
  const listener = new Listener('listener');
  return { ...local, now, events, listener };
}

describe('client events', () => {
  test('they have the topics and fields that users of EMQX know [broker]', () => {
    const { events, listen, listener } = eventFixture();
    listen('$SYS/brokers/+/clients/+/+', listener);
    events.connected(facts);
    events.disconnected({ ...facts, username: undefined, peername: '[::1]:1000', protocolVersion: 3 }, 0x8e);
    expect(listener.seen.map(({ topic }) => topic)).toEqual([
      '$SYS/brokers/sluice/clients/dev%2F1/connected',
      '$SYS/brokers/sluice/clients/dev%2F1/disconnected',
    ]);
    expect(JSON.parse(listener.payloads[0]!)).toEqual({
      clientid: 'dev/1',
      username: 'u',
      ipaddress: '10.0.0.1',
      proto_name: 'MQTT',
      proto_ver: 5,
      keepalive: 60,
      clean_start: true,
      expiry_interval: 4_294_967_295,
      connack: 0,
      connected_at: 1_700_000_000_000,
      ts: 1_700_000_000_000,
    });
    expect(JSON.parse(listener.payloads[1]!)).toEqual({
      clientid: 'dev/1',
      username: null,
      ipaddress: '::1',
      proto_name: 'MQIsdp',
      proto_ver: 3,
      reason: 'takenover',
      disconnected_at: 1_700_000_000_000,
      ts: 1_700_000_000_000,
    });
  });

  test.each([
    [0x00, 'normal'],
    [0x04, 'disconnect_with_will_message'],
    [0x80, 'tcp_closed'],
    [0x82, 'protocol_error'],
    [0x87, 'not_authorized'],
    [0x8b, 'server_shutting_down'],
    [0x8d, 'keepalive_timeout'],
    [0x98, 'kicked'],
  ])('a connection that ended with reason code %i says %s [broker]', (code, reason) => {
    const { events, listen, listener } = eventFixture();
    listen('$SYS/#', listener);
    events.disconnected(facts, code);
    expect(JSON.parse(listener.payloads[0]!)).toMatchObject({ reason });
  });

  test('a wildcard in the first level does not see them [MQTT-4.7.2-1]', () => {
    const { events, listen, listener } = eventFixture();
    listen('#', listener);
    listen('+/brokers/#', listener);
    events.connected(facts);
    expect(listener.seen).toEqual([]);
  });

  test('those beyond the rate are dropped and counted, and those that nobody hears count for nothing [broker]', () => {
    const { events, listen, listener, reader, now } = eventFixture(2);
    for (let i = 0; i < 5; i++) events.connected(facts);
    expect(reader.total(slot.sysEventsDropped)).toBe(0);
    listen('$SYS/#', listener);
    for (let i = 0; i < 5; i++) events.connected(facts);
    expect(listener.seen).toHaveLength(2);
    expect(reader.total(slot.sysEventsDropped)).toBe(3);
    now.atMs = 1000;
    events.connected(facts);
    expect(listener.seen).toHaveLength(3);
  });

  test('a client id becomes one topic level from which it can be read back [broker]', () => {
    for (const clientId of ['a', 'a/b', '+', '#', '%2F', 'ü+/#%', '$x']) {
      const level = clientTopicLevel(clientId);
      expect(level).not.toMatch(/[/+#]/);
      expect(decodeURIComponent(level)).toBe(clientId);
    }
  });

  test('a client id that fits no topic is counted and hurts nobody [broker]', () => {
    const { events, listen, listener, reader } = eventFixture();
    listen('$SYS/#', listener);
    events.connected({ ...facts, clientId: 'x'.repeat(65_535) });
    expect(listener.seen).toEqual([]);
    expect(reader.total(slot.sysEventsDropped)).toBe(1);
  });
});
