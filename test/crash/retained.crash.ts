/**
 * kill -9 of the broker while retained messages are set, replaced and cleared, with another number of shards after each
 * start. 5 rounds, 20 with SLUICE_TEST_FULL=1; the seed is printed and SLUICE_TEST_SEED repeats it.
 */
import { expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { fullSize, randomFrom, seed } from '../harness/environment.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';

const ROUNDS = fullSize ? 20 : 5;
const TOPICS = 60;
const WINDOW = 40;
const SHARDS = ['1', '3', '2'];
/** Sorts behind all others: when it comes, everything has come. */
const LAST_TOPIC = 'z/last';

interface Sent {
  readonly topic: string;
  readonly payload: string;
}

/** What a topic may hold: what was acknowledged last, and everything sent after it. */
class Model {
  readonly acked = new Map<string, string>();
  readonly unacked: Sent[] = [];

  ack(): void {
    const { topic, payload } = this.unacked.shift()!;
    this.acked.set(topic, payload);
  }

  allowedOn(topic: string): string[] {
    const later = this.unacked.filter((sent) => sent.topic === topic).map(({ payload }) => payload);
    return [this.acked.get(topic) ?? '', ...later];
  }
}

/** Publishes at random until the broker is gone; returns how much was acknowledged. */
async function writeUntilKilled(client: RawClient, model: Model, random: () => number): Promise<number> {
  let ackedCount = 0;
  try {
    for (let id = 1; ; id = (id % 60_000) + 1) {
      const topic = `t/${Math.floor(random() * TOPICS)}`;
      const payload = random() < 0.3 ? '' : `${id}.${'x'.repeat(Math.floor(random() * 300))}`;
      model.unacked.push({ topic, payload });
      client.send({ cmd: 'publish', topic, payload, qos: 1, messageId: id, dup: false, retain: true });
      if (model.unacked.length < WINDOW) continue;
      await client.expect('puback');
      model.ack();
      ackedCount++;
    }
  } catch (error) {
    if (!client.closed) throw error;
  }
  for (const { cmd } of client.inbox) {
    if (cmd !== 'puback') continue;
    model.ack();
    ackedCount++;
  }
  return ackedCount;
}

async function readAll(scope: Scope, broker: Broker): Promise<Map<string, string>> {
  const client = await RawClient.connect(scope, broker, { clientId: 'reader' });
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] });
  await client.expect('suback');
  const found = new Map<string, string>();
  while (!found.has(LAST_TOPIC)) {
    const { topic, payload, retain } = await client.expect('publish');
    expect([topic, retain, found.has(topic)]).toEqual([topic, true, false]);
    found.set(topic, payload.toString());
  }
  client.destroy();
  found.delete(LAST_TOPIC);
  return found;
}

test(`after kill -9 at ${ROUNDS} moments each topic has what was acknowledged last or was on its way, however many shards there are [broker]`, async () => {
  console.info(`SLUICE_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const scope = testScope();
  const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '2' } });
  const setter = await RawClient.connect(scope, broker, { clientId: 'setter' });
  setter.send({
    cmd: 'publish',
    topic: LAST_TOPIC,
    payload: 'x',
    qos: 1,
    messageId: 1,
    dup: false,
    retain: true,
  });
  await setter.expect('puback');
  let model = new Model();
  let ackedCount = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const writer = await RawClient.connect(scope, broker, { clientId: 'writer' });
    const writing = writeUntilKilled(writer, model, random);
    await sleep(200 + random() * 800);
    await broker.kill();
    ackedCount += await writing;
    await broker.restart({ SLUICE_SHARDS: SHARDS[round % SHARDS.length]! });
    const found = await readAll(scope, broker);
    const wrong: unknown[] = [];
    for (let i = 0; i < TOPICS; i++) {
      const value = found.get(`t/${i}`) ?? '';
      const allowed = model.allowedOn(`t/${i}`);
      if (!allowed.includes(value)) wrong.push({ round, topic: `t/${i}`, value, allowed });
    }
    expect(wrong).toEqual([]);
    model = new Model();
    for (const [topic, value] of found) model.acked.set(topic, value);
  }
  console.info(JSON.stringify({ ackedCount }));
  // The load was real: hundreds of messages per round were acknowledged.
  expect(ackedCount).toBeGreaterThan(ROUNDS * 200);
}, 300_000);
