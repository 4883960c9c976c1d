/**
 * Sessions that outlive their connection and the broker, packet by packet: a real broker process, raw clients.
 * Every case runs over a reconnection, over a restart by SIGTERM, and over kill -9.
 */
import { describe, expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';

/** What lies between the two connections of a client. */
const breaks = {
  'a reconnection': async () => {},
  'a restart': async (broker: Broker) => {
    await broker.stop();
    await broker.restart();
  },
  'kill -9': async (broker: Broker) => {
    await broker.kill();
    await broker.restart();
  },
} as const;

type Session = { readonly client: RawClient; readonly sessionPresent: boolean };

/** Opens or resumes the session `clientId`. */
async function resume(scope: Scope, broker: Broker, clientId: string, clean = false): Promise<Session> {
  const client = await RawClient.open(scope, broker, 5);
  client.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId,
    clean,
    keepalive: 0,
    properties: { sessionExpiryInterval: 3600 },
  });
  const { reasonCode, sessionPresent } = await client.expect('connack');
  expect(reasonCode).toBe(0);
  return { client, sessionPresent };
}

async function subscribe(client: RawClient, topic: string, qos: 0 | 1 | 2, options = {}): Promise<void> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos, ...options }] });
  expect((await client.expect('suback')).granted).toEqual([qos]);
}

function publish(client: RawClient, payload: string, qos: 1 | 2, messageId: number, dup = false): void {
  client.send({ cmd: 'publish', topic: 't', payload, qos, messageId, dup, retain: false });
}

/** Publishes with QoS 1 from a client of its own; each is acknowledged. */
async function publishAll(scope: Scope, broker: Broker, payloads: readonly string[]): Promise<void> {
  const client = await RawClient.connect(scope, broker, { clientId: '', protocolVersion: 5 });
  for (const [index, payload] of payloads.entries()) {
    publish(client, payload, 1, index + 1);
    expect((await client.expect('puback')).messageId).toBe(index + 1);
  }
  client.socket.destroy();
}

async function leave(client: RawClient): Promise<void> {
  client.socket.destroy();
  await client.expectClosed();
}

const payloadOf = (packet: { payload: string | Buffer }): string => String(packet.payload);

for (const [name, pass] of Object.entries(breaks)) {
  describe(`over ${name}`, () => {
    test('what was published for an absent client waits for it, in order, and Session Present says so [MQTT-3.1.2-5] [MQTT-3.2.2-3]', async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      const first = await resume(scope, broker, 'device');
      expect(first.sessionPresent).toBe(false);
      await subscribe(first.client, 't', 1, { rap: true });
      await leave(first.client);
      const payloads = Array.from({ length: 50 }, (_, i) => `m${i}`);
      await publishAll(scope, broker, payloads);
      await pass(broker);
      const second = await resume(scope, broker, 'device');
      expect(second.sessionPresent).toBe(true);
      for (const payload of payloads) {
        const packet = await second.client.expect('publish');
        expect([payloadOf(packet), packet.qos, packet.dup]).toEqual([payload, 1, false]);
        second.client.send({ cmd: 'puback', messageId: packet.messageId! });
      }
      await publishAll(scope, broker, ['live']);
      expect(payloadOf(await second.client.expect('publish'))).toBe('live');
    });

    test('an unanswered QoS 1 message comes again with DUP and its packet id, before newer ones [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.6.0-1]', async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      const { client } = await resume(scope, broker, 'device');
      await subscribe(client, 't', 1);
      await publishAll(scope, broker, ['a', 'b', 'c']);
      const sent = [
        await client.expect('publish'),
        await client.expect('publish'),
        await client.expect('publish'),
      ];
      client.send({ cmd: 'puback', messageId: sent[0]!.messageId! });
      // The ack is in the log once a later message has come and gone through the same shard.
      await publishAll(scope, broker, ['d']);
      sent.push(await client.expect('publish'));
      await publishAll(scope, broker, ['e']);
      sent.push(await client.expect('publish'));
      await leave(client);
      await pass(broker);
      const again = await resume(scope, broker, 'device');
      for (const packet of sent.slice(1)) {
        const repeated = await again.client.expect('publish');
        expect([payloadOf(repeated), repeated.messageId, repeated.dup]).toEqual([
          payloadOf(packet),
          packet.messageId,
          true,
        ]);
        again.client.send({ cmd: 'puback', messageId: repeated.messageId! });
      }
      await publishAll(scope, broker, ['f']);
      const fresh = await again.client.expect('publish');
      expect([payloadOf(fresh), name === 'kill -9' || !fresh.dup]).toEqual(['f', true]);
    });

    test('an unanswered QoS 2 message comes again with its packet id; after PUBREC only PUBREL does [MQTT-4.3.3-6] [MQTT-4.4.0-1]', async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      const { client } = await resume(scope, broker, 'device');
      await subscribe(client, 't', 2);
      const publisher = await RawClient.connect(scope, broker, { clientId: '', protocolVersion: 5 });
      for (const [index, payload] of ['a', 'b'].entries()) {
        publish(publisher, payload, 2, index + 1);
        await publisher.expect('pubrec');
        publisher.send({ cmd: 'pubrel', messageId: index + 1 });
        await publisher.expect('pubcomp');
      }
      const a = await client.expect('publish');
      const b = await client.expect('publish');
      expect([a.qos, b.qos]).toEqual([2, 2]);
      client.send({ cmd: 'pubrec', messageId: a.messageId! });
      expect((await client.expect('pubrel')).messageId).toBe(a.messageId);
      await leave(client);
      await pass(broker);
      const again = await resume(scope, broker, 'device');
      const got = [];
      for (let i = 0; i < 2; i++) got.push(await again.client.next());
      const pubrel = got.find(({ cmd }) => cmd === 'pubrel');
      const repeated = got.find(({ cmd }) => cmd === 'publish');
      expect(pubrel).toMatchObject({ messageId: a.messageId });
      expect(repeated).toMatchObject({ messageId: b.messageId, dup: true, qos: 2 });
      again.client.send({ cmd: 'pubcomp', messageId: a.messageId! });
      again.client.send({ cmd: 'pubrec', messageId: b.messageId! });
      expect((await again.client.expect('pubrel')).messageId).toBe(b.messageId);
      again.client.send({ cmd: 'pubcomp', messageId: b.messageId! });
      await publishAll(scope, broker, ['next']);
      expect(payloadOf(await again.client.expect('publish'))).toBe('next');
    });

    test('a QoS 2 publish that the client repeats is stored once [MQTT-4.3.3-10]', async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      const { client: subscriber } = await resume(scope, broker, 'subscriber');
      await subscribe(subscriber, 't', 2);
      await leave(subscriber);
      const { client } = await resume(scope, broker, 'publisher');
      publish(client, 'once', 2, 7);
      await client.expect('pubrec');
      await leave(client);
      await pass(broker);
      const again = await resume(scope, broker, 'publisher');
      expect(again.sessionPresent).toBe(true);
      publish(again.client, 'once', 2, 7, true);
      expect((await again.client.expect('pubrec')).reasonCode ?? 0).toBe(0);
      again.client.send({ cmd: 'pubrel', messageId: 7 });
      expect((await again.client.expect('pubcomp')).reasonCode ?? 0).toBe(0);
      // The id is free now, also after another break.
      await leave(again.client);
      await pass(broker);
      const third = await resume(scope, broker, 'publisher');
      publish(third.client, 'another', 2, 7);
      await third.client.expect('pubrec');
      const reader = await resume(scope, broker, 'subscriber');
      const packets = [await reader.client.expect('publish'), await reader.client.expect('publish')];
      expect(packets.map(payloadOf)).toEqual(['once', 'another']);
      for (const { messageId } of packets) {
        reader.client.send({ cmd: 'pubrec', messageId: messageId! });
        await reader.client.expect('pubrel');
        reader.client.send({ cmd: 'pubcomp', messageId: messageId! });
      }
    });

    test('a clean start forgets what waited, an unsubscribed filter brings nothing [MQTT-3.1.2-4]', async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      const { client } = await resume(scope, broker, 'device');
      await subscribe(client, 't', 1);
      await subscribe(client, 'other', 1);
      client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['other'] });
      await client.expect('unsuback');
      await leave(client);
      await publishAll(scope, broker, ['lost']);
      await pass(broker);
      const clean = await resume(scope, broker, 'device', true);
      expect(clean.sessionPresent).toBe(false);
      await subscribe(clean.client, 't', 1);
      await publishAll(scope, broker, ['kept']);
      expect(payloadOf(await clean.client.expect('publish'))).toBe('kept');
      await leave(clean.client);
      await pass(broker);
      const resumed = await resume(scope, broker, 'device');
      expect(resumed.sessionPresent).toBe(true);
      expect(payloadOf(await resumed.client.expect('publish'))).toBe('kept');
    });
  });
}

test('a session whose expiry passes while the broker is down is gone [MQTT-3.1.2-23]', async () => {
  const scope = testScope();
  const broker = await startBroker(scope);
  const client = await RawClient.connect(scope, broker, {
    clientId: 'brief',
    protocolVersion: 5,
    properties: { sessionExpiryInterval: 1 },
  });
  await subscribe(client, 't', 1);
  await leave(client);
  await broker.stop();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await broker.restart();
  const again = await resume(scope, broker, 'brief');
  expect(again.sessionPresent).toBe(false);
});
