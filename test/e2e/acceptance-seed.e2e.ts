/**
 * The scenarios of the article with clients that need nothing installed: MQTT 3.1.1, SUBSCRIBE with QoS 0, queues
 * created without a name. The article's own programs run in scenario-*.e2e.ts where their runtimes exist.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startBroker, temporaryDirectory } from '../harness/broker.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';
import {
  ack,
  automatic,
  expectQuiet,
  payloads,
  publish,
  sorted,
  Suite,
  take,
  textOf,
  waitForAll,
} from './acceptance-setup.js';

const queues = '/message_queues/queues';
const window = 10;
const file = new Scope();
let suite: Suite;

beforeAll(async () => {
  suite = new Suite(await startBroker(file, { env: { SLUICE_SHARDS: '1', SLUICE_DURABILITY: 'process' } }));
});

afterAll(() => file.release());

const device = { protocolVersion: 4 } as const;

test('two workers of a random queue get 40 to 60 % of 500 jobs each, every job once [queue-67]', async () => {
  const scope = testScope();
  const body = { topic_filter: 'jobs67', dispatch_strategy: 'random', is_lastvalue: false };
  expect((await suite.broker.rest.post(queues, body)).status).toBe(200);
  const workers = [await suite.connect(scope, device), await suite.connect(scope, device)];
  for (const worker of workers) await worker.subscribe('$q/jobs67', 0);
  const shares = workers.map((worker) => automatic(worker));
  const producer = await suite.connect(scope, device);
  // Each job waits for the one before to be stored, so that both windows have room.
  for (let i = 0; i < 500; i++) await publish(producer, 'jobs67', `payload-${i}`);
  await waitForAll(shares, 500);
  expect(sorted(shares.flat())).toEqual(payloads(500));
  // The standard deviation is 11: 50 is 4.5 of them.
  for (const share of shares) {
    expect(share.length).toBeGreaterThanOrEqual(200);
    expect(share.length).toBeLessThanOrEqual(300);
  }
});

test('a slow worker of a least_inflight queue holds no more than its window and the other takes the rest [queue-68]', async () => {
  const scope = testScope();
  const body = { topic_filter: 'jobs68', dispatch_strategy: 'least_inflight', is_lastvalue: false };
  expect((await suite.broker.rest.post(queues, body)).status).toBe(200);
  const quick = await suite.connect(scope, device);
  const slow = await suite.connect(scope, device);
  for (const worker of [quick, slow]) await worker.subscribe('$q/jobs68', 0);
  const jobs = 150;
  const intervalMs = 15;
  const slowJobMs = 75;
  const quickShare = automatic(quick);
  const slowShare: string[] = [];
  let mostHeld = 0;
  void (async () => {
    for (;;) {
      const job = await slow.expect('publish', 300_000);
      await sleep(slowJobMs);
      mostHeld = Math.max(mostHeld, slow.inbox.length + 1);
      slowShare.push(textOf(job));
      ack(slow, job);
    }
  })().catch(() => undefined);
  const producer = await suite.connect(scope, device);
  const startedMs = performance.now();
  for (let i = 0; i < jobs; i++) {
    await publish(producer, 'jobs68', `payload-${i}`);
    await sleep(intervalMs);
  }
  await until(
    () => quickShare.length + slowShare.length >= jobs,
    () => `${jobs} jobs, ${quickShare.length} and ${slowShare.length} are done`,
  );
  const elapsedMs = performance.now() - startedMs;
  expect(sorted([...quickShare, ...slowShare])).toEqual(payloads(jobs));
  expect(slowShare.length).toBeGreaterThan(0);
  expect(slowShare.length).toBeLessThanOrEqual(elapsedMs / slowJobMs + 1);
  expect(quickShare.length).toBeGreaterThan(slowShare.length);
  expect(mostHeld).toBeLessThanOrEqual(window);
});

test('a device gets exactly the newest of the commands sent while it was away, then live ones [queue-69]', async () => {
  const scope = testScope();
  const body = {
    topic_filter: 'commands/device1',
    dispatch_strategy: 'random',
    is_lastvalue: true,
    key_expression: 'message.headers.properties.User-Property.key',
  };
  expect((await suite.broker.rest.post(queues, body)).status).toBe(200);
  const producer = await suite.connect(scope);
  const command = (n: number): Promise<void> =>
    publish(producer, 'commands/device1', `payload-${n}`, { key: 'set-color' });
  for (let n = 0; n < 10; n++) await command(n);
  const client = await suite.connect(scope, device);
  await client.subscribe('$q/commands/device1', 0);
  expect(await take(client, 1)).toEqual(['payload-9']);
  await expectQuiet(client);
  for (let n = 10; n < 15; n++) {
    await command(n);
    expect(await take(client, 1)).toEqual([`payload-${n}`]);
  }
});

test('an API key of the bootstrap file that the article names is accepted by Basic auth, and asked for [queue-70]', async () => {
  const scope = testScope();
  const keys = path.join(await temporaryDirectory(scope), 'api_keys.conf');
  await writeFile(keys, 'key:secret\n');
  const env = { SLUICE_SHARDS: '1', EMQX_API_KEY__BOOTSTRAP_FILE: keys };
  const { rest } = await startBroker(scope, { env });
  const body = { topic_filter: 'jobs', dispatch_strategy: 'random', is_lastvalue: false };
  expect((await rest.post(queues, body)).status).toBe(401);
  expect((await rest.as('key:wrong').post(queues, body)).status).toBe(401);
  expect(await rest.as('key:secret').post(queues, body)).toMatchObject({
    status: 200,
    body: { name: '/jobs' },
  });
});
