/**
 * Restarts with another number of shards, 1 → 4 → 2, with a backlog in 20 queues: 16 regular ones and 4 that
 * keep the last value of 5 keys each.
 */
import { expect, test } from 'vitest';
import { startBroker, type Broker } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';

const REGULAR = 16;
const LAST_VALUE = 4;
const KEYS = 5;
const PER_QUEUE = 150;
/** Taken and acknowledged from each regular queue between two restarts. */
const TAKEN = 40;

async function publishAll(scope: Scope, broker: Broker, first: number, behind: number): Promise<void> {
  const { client } = await connectClient(scope, broker);
  const pending: Promise<unknown>[] = [];
  for (let number = first; number < behind; number += 1) {
    for (let queue = 0; queue < REGULAR; queue += 1) {
      pending.push(client.publishAsync(`regular/${queue}`, String(number), { qos: 1 }));
    }
    for (let queue = 0; queue < LAST_VALUE; queue += 1) {
      pending.push(client.publishAsync(`last/${queue}/${number % KEYS}`, String(number), { qos: 1 }));
    }
  }
  await Promise.all(pending);
}

/** Takes exactly `count` messages of a queue, acknowledging each, with a window of one so that no further one is in flight. */
async function take(scope: Scope, broker: Broker, topicFilter: string, count: number): Promise<number[]> {
  const own = new Scope();
  scope.add(() => own.release());
  const client = await RawClient.connect(own, broker, {
    clientId: `taker-${topicFilter.replaceAll(/\W/g, '-')}`,
    protocolVersion: 5,
    properties: { receiveMaximum: 1 },
  });
  await client.subscribe(`$q/${topicFilter}`);
  const taken: number[] = [];
  while (taken.length < count) {
    const message = await client.expect('publish');
    taken.push(Number(message.payload.toString()));
    client.send({ cmd: 'puback', messageId: message.messageId ?? 0 });
  }
  // The broker has read the acks when it answers a later packet.
  client.send({ cmd: 'pingreq' });
  for (let packet = await client.next(); packet.cmd !== 'pingresp';) packet = await client.next();
  await own.release();
  return taken;
}

function numbers(first: number, behind: number): number[] {
  return Array.from({ length: behind - first }, (_, index) => first + index);
}

for (const ending of ['SIGTERM', 'SIGKILL'] as const) {
  test(`1 → 4 → 2 shards over restarts by ${ending} keep every message of 20 queues and its order [broker]`, async () => {
    const scope = testScope();
    const broker = await startBroker(scope, { env: { SLUICE_SHARDS: '1' } });
    for (let queue = 0; queue < REGULAR; queue += 1) await broker.rest.createQueue(`regular/${queue}`);
    for (let queue = 0; queue < LAST_VALUE; queue += 1) {
      await broker.rest.createQueue(`last/${queue}/#`, {
        is_lastvalue: true,
        key_expression: 'message.topic',
      });
    }
    const end = async (): Promise<void> => {
      // An ack is committed within a few milliseconds; killed earlier, it would rightly be delivered again.
      await sleep(500);
      if (ending === 'SIGTERM') expect(await broker.stop()).toMatchObject({ code: 0 });
      else await broker.kill();
    };

    await publishAll(scope, broker, 0, PER_QUEUE);
    await end();
    await broker.restart({ SLUICE_SHARDS: '4' });
    for (let queue = 0; queue < REGULAR; queue += 1) {
      expect(await take(scope, broker, `regular/${queue}`, TAKEN)).toEqual(numbers(0, TAKEN));
    }
    await publishAll(scope, broker, PER_QUEUE, PER_QUEUE + 10);
    await end();
    await broker.restart({ SLUICE_SHARDS: '2' });

    for (let queue = 0; queue < REGULAR; queue += 1) {
      const rest = PER_QUEUE + 10 - TAKEN;
      expect(await take(scope, broker, `regular/${queue}`, rest), `regular/${queue}`).toEqual(
        numbers(TAKEN, PER_QUEUE + 10),
      );
    }
    for (let queue = 0; queue < LAST_VALUE; queue += 1) {
      const newest = numbers(PER_QUEUE + 10 - KEYS, PER_QUEUE + 10);
      expect(await take(scope, broker, `last/${queue}/#`, KEYS), `last/${queue}`).toEqual(newest);
    }
    const all = await broker.rest.get('/message_queues/queues?limit=100');
    expect(all.body['data']).toHaveLength(REGULAR + LAST_VALUE);
  }, 240_000);
}
