/**
 * Peers that misbehave: each has a defined outcome, and none stops the others, makes memory grow without
 * bound or loses an acknowledged message. Sizes are small; ten thousand half-open connections with
 * SLUICE_TEST_FULL=1. Random bytes come from a printed seed.
 */
import { assert, expect, test } from 'vitest';
import * as mqttPacket from 'mqtt-packet';
import { startBroker, type Broker } from '../harness/broker.js';
import { fullSize, randomFrom, seed } from '../harness/environment.js';
import { connectClient, type TestClient } from '../harness/mqtt-client.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until, within } from '../harness/wait.js';

const MEGABYTE = 1_000_000;

async function publishNumbers(
  publisher: TestClient,
  topic: string,
  first: number,
  behind: number,
): Promise<void> {
  const pending: Promise<unknown>[] = [];
  for (let number = first; number < behind; number += 1) {
    pending.push(publisher.client.publishAsync(topic, String(number), { qos: 1 }));
  }
  await within(Promise.all(pending), `all publishes to ${topic} to be acknowledged`, 60_000);
}

function range(first: number, behind: number): string[] {
  return Array.from({ length: behind - first }, (_, index) => String(first + index));
}

/** A queue, its publisher and its consumer still work: 50 new messages arrive. */
async function expectService(scope: Scope, broker: Broker, queue: string): Promise<void> {
  const own = new Scope();
  scope.add(() => own.release());
  await broker.rest.createQueue(queue);
  const consumer = await connectClient(own, broker);
  await consumer.client.subscribeAsync(`$q/${queue}`, { qos: 1 });
  const publisher = await connectClient(own, broker);
  await publishNumbers(publisher, queue, 0, 50);
  await consumer.waitFor(50);
  expect(consumer.received.map(({ payload }) => payload)).toEqual(range(0, 50));
  await own.release();
}

test('a message that every consumer rejects forever with PUBACK 0x80 holds nothing up and is not lost [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('poison', { dispatch_strategy: 'least_inflight', redispatch_interval: 20 });
  const accepted = new Set<string>();
  let rejections = 0;
  const consumers = new Scope();
  scope.add(() => consumers.release());
  for (const name of ['a', 'b']) {
    const consumer = await RawClient.connect(consumers, broker, {
      clientId: `reject-${name}`,
      protocolVersion: 5,
    });
    await consumer.subscribe('$q/poison');
    void (async () => {
      for (;;) {
        const message = await consumer.expect('publish');
        const payload = message.payload.toString();
        if (payload === 'poison') rejections += 1;
        else accepted.add(payload);
        consumer.send({
          cmd: 'puback',
          messageId: message.messageId ?? 0,
          reasonCode: payload === 'poison' ? 0x80 : 0,
        });
      }
    })().catch(() => undefined);
  }
  const publisher = await connectClient(scope, broker);
  await publisher.client.publishAsync('poison', 'poison', { qos: 1 });
  // More than EMQX's buffers of 1000 and 2000, behind which a rejected message would block the rest.
  const count = 5000;
  await publishNumbers(publisher, 'poison', 0, count);
  await until(
    () => accepted.size === count,
    () => `all ${count} others, ${accepted.size} came`,
  );
  const soFar = rejections;
  await until(() => rejections > soFar + 2, 'further attempts to deliver the rejected message');

  await consumers.release();
  const last = await connectClient(scope, broker);
  await last.client.subscribeAsync('$q/poison', { qos: 1 });
  await last.waitFor(1);
  expect(last.received.map(({ payload }) => payload)).toEqual(['poison']);
});

test('a consumer that never acknowledges holds its window and no more; what it held goes to others when it leaves [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  const window = 10;
  await broker.rest.createQueue('never-acks', {
    dispatch_strategy: 'round_robin',
    local_max_inflight: window,
  });
  const silent = await RawClient.connect(scope, broker, { clientId: 'silent' });
  await silent.subscribe('$q/never-acks');
  const busy = await connectClient(scope, broker);
  await busy.client.subscribeAsync('$q/never-acks', { qos: 1 });
  const publisher = await connectClient(scope, broker);
  const count = 5000;
  await publishNumbers(publisher, 'never-acks', 0, count);
  await busy.waitFor(count - window);
  await sleep(200);
  expect(busy.received).toHaveLength(count - window);
  expect(silent.inbox).toHaveLength(window);

  silent.destroy();
  await busy.waitFor(count);
  expect(busy.received.map(({ payload }) => Number(payload)).toSorted((a, b) => a - b)).toEqual(
    range(0, count).map(Number),
  );
});

test('connections that send half a CONNECT are closed after the time limit and disturb nobody [broker]', async () => {
  const scope = testScope();
  const connections = fullSize ? 10_000 : 1000;
  const timeoutMs = 3000;
  const broker = await startBroker(scope, { env: { SLUICE_CONNECT_TIMEOUT_MS: String(timeoutMs) } });
  const before = await broker.rssBytes();
  const half = mqttPacket.generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId: 'half-a-connect',
    clean: true,
    keepalive: 0,
  });
  const clients: RawClient[] = [];
  for (let opened = 0; opened < connections; opened += 100) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => RawClient.open(scope, broker)))));
    for (const client of clients.slice(-100)) client.send(half.subarray(0, 2 + (opened % (half.length - 3))));
  }
  await expectService(scope, broker, 'beside-half-connects');
  await Promise.all(clients.map((client) => client.expectClosed(timeoutMs + 30_000)));
  expect(clients.flatMap(({ inbox }) => inbox)).toEqual([]);
  const after = await broker.rssBytes();
  // 20 kB per connection that was open at the same time is far above a parser's state and far below a leak of buffers.
  if (before !== undefined && after !== undefined) {
    expect(after - before).toBeLessThan(100 * MEGABYTE + connections * 20_000);
  }
});

test('random bytes end at most their own connection, before and after CONNECT [MQTT-4.13.1-1]', async () => {
  console.info(`SLUICE_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const bytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)));
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_CONNECT_TIMEOUT_MS: '2000' } });
  const pid = broker.pid;
  const steady = await connectClient(scope, broker, { keepalive: 5 });
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const own = new Scope();
    const version = attempt % 2 === 0 ? 4 : 5;
    const client =
      attempt % 3 === 0
        ? await RawClient.open(own, broker)
        : await RawClient.connect(own, broker, { clientId: `random-${attempt}`, protocolVersion: version });
    // Its own parser must not choke on what the broker answers to noise.
    client.send(bytes(1 + Math.floor(random() * 400)));
    if (attempt % 10 === 0) await sleep(5);
    await own.release();
  }
  // A packet type that no client may send, right after CONNECT: the connection ends at once.
  const reserved = await RawClient.connect(scope, broker, { clientId: 'reserved', protocolVersion: 5 });
  reserved.send('00 00');
  const answer = await reserved.expect('disconnect');
  expect(answer.reasonCode).toBeGreaterThanOrEqual(0x80);
  await reserved.expectClosed();
  await expectService(scope, broker, 'beside-noise');
  expect(steady.client.connected).toBe(true);
  expect(broker.pid).toBe(pid);
});

test('a damaged packet in the middle of good ones ends that connection and keeps what was acknowledged before it [MQTT-4.13.1-1]', async () => {
  console.info(`SLUICE_TEST_SEED=${seed}`);
  const random = randomFrom(seed + 1);
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('damage');
  const acknowledged = new Set<string>();
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const own = new Scope();
    const client = await RawClient.connect(own, broker, {
      clientId: `damage-${attempt}`,
      protocolVersion: attempt % 2 === 0 ? 4 : 5,
    });
    const publishes = Array.from({ length: 10 }, (_, index) =>
      mqttPacket.generate(
        {
          cmd: 'publish',
          topic: 'damage',
          payload: `${attempt}-${index}`,
          qos: 1,
          messageId: index + 1,
          dup: false,
          retain: false,
        },
        { protocolVersion: attempt % 2 === 0 ? 4 : 5 },
      ),
    );
    const stream = Buffer.concat(publishes);
    const damagedFrom = publishes.slice(0, 5).reduce((total, { length }) => total + length, 0);
    const at = damagedFrom + Math.floor(random() * (stream.length - damagedFrom));
    stream[at] = (stream[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    client.send(stream);
    // The first five are whole, so they are acknowledged unless the connection ends first; either is allowed.
    await until(() => client.closed || client.inbox.length >= 5, 'an answer or an end');
    for (const packet of client.inbox) {
      if (packet.cmd === 'puback' && (packet.messageId ?? 0) <= 5)
        acknowledged.add(`${attempt}-${(packet.messageId ?? 0) - 1}`);
    }
    await own.release();
  }
  expect(acknowledged.size).toBeGreaterThan(0);
  const consumer = await connectClient(scope, broker);
  await consumer.client.subscribeAsync('$q/damage', { qos: 1 });
  await until(() => {
    const received = new Set(consumer.received.map(({ payload }) => payload));
    return [...acknowledged].every((payload) => received.has(payload));
  }, 'every acknowledged message');
});

test('a queue consumer that never reads costs its window; the others get the rest and memory stays bounded [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  const window = 20;
  await broker.rest.createQueue('never-reads', {
    dispatch_strategy: 'least_inflight',
    local_max_inflight: window,
  });
  const deaf = await RawClient.connect(scope, broker, { clientId: 'deaf' });
  await deaf.subscribe('$q/never-reads');
  deaf.socket.pause();
  const reader = await connectClient(scope, broker);
  await reader.client.subscribeAsync('$q/never-reads', { qos: 1 });
  const publisher = await connectClient(scope, broker);
  const before = await broker.rssBytes();
  const count = 2000;
  const filler = 'x'.repeat(16_000);
  for (let first = 0; first < count; first += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        publisher.client.publishAsync('never-reads', `${first + index} ${filler}`, { qos: 1 }),
      ),
    );
  }
  await reader.waitFor(count - window);
  const after = await broker.rssBytes();
  expect(reader.received.length).toBeGreaterThanOrEqual(count - window);
  if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(250 * MEGABYTE);
  deaf.destroy();
  await reader.waitFor(count);
});

test('a QoS 0 subscriber that never reads loses messages instead of growing the broker; other subscribers get them all [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  const deaf = await RawClient.connect(scope, broker, { clientId: 'deaf' });
  await deaf.subscribe('flood/#', 0);
  deaf.socket.pause();
  const reader = await connectClient(scope, broker);
  await reader.client.subscribeAsync('flood/#', { qos: 1 });
  const publisher = await connectClient(scope, broker);
  const before = await broker.rssBytes();
  const filler = Buffer.alloc(60_000, 'x');
  const rounds = 100;
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(
      Array.from({ length: 50 }, () => publisher.client.publishAsync(`flood/${round}`, filler, { qos: 1 })),
    );
    // Further behind than its session may hold, a slow reader would lose messages by right.
    await reader.waitFor((round + 1) * 50);
  }
  const after = await broker.rssBytes();
  // 300 MB went by. What the deaf one is owed may wait in kernel buffers and in its bounded outbox only.
  if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(200 * MEGABYTE);
  expect(broker.pid).toBeGreaterThan(0);
});

test('a packet larger than the maximum ends its connection with 0x95 [MQTT-3.2.2-15]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_MAX_PACKET_SIZE: '65536' } });
  const client = await RawClient.open(scope, broker, 5);
  client.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: 'large',
    clean: true,
    keepalive: 0,
  });
  const connack = await client.expect('connack');
  expect(connack.properties?.maximumPacketSize).toBe(65_536);
  // Only the header of a PUBLISH of 200,000 bytes: the length alone is the offence.
  client.send('32 c0 9a 0c');
  const answer = await client.expect('disconnect');
  expect(answer.reasonCode).toBe(0x95);
  await client.expectClosed();
  await expectService(scope, broker, 'beside-large');
});

test('SIGTERM ends the broker with code 0 in less than 5 s, with clients connected and work waiting [broker]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('drain');
  const consumer = await RawClient.connect(scope, broker, { clientId: 'holds-one' });
  await consumer.subscribe('$q/drain');
  const publisher = await connectClient(scope, broker);
  await publishNumbers(publisher, 'drain', 0, 100);
  await RawClient.open(scope, broker);
  const exit = await within(broker.stop(), 'the broker to end', 10_000);
  expect(exit.code).toBe(0);
  assert(exit.tookMs < 5000, `took ${exit.tookMs} ms`);
});
