/**
 * The disk fills up while the broker runs. Publishers are told, nothing else ends, and when there is room again
 * everything goes on by itself. Needs the right to mount a small file system in memory; skips with a reason where
 * that is missing. The disk is filled by a file beside the data, so that room comes back when the file goes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startBroker, temporaryDirectory, type Broker } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { sleep, until } from '../harness/wait.js';

/** Programs of the operating system. */
const MOUNT = 'mount';
const UNMOUNT = 'umount';

const DISK_MEGABYTES = 160;
const FULL_MS = 4000;
const FILLER = 'x'.repeat(60_000);
/** UNSPECIFIED_ERROR or QUOTA_EXCEEDED: what a store error may answer. */
const STORE_ERRORS = [0x80, 0x97];

/** A mounted file system of its own, or undefined where this user may not mount. */
async function smallDisk(scope: Scope): Promise<string | undefined> {
  const directory = await temporaryDirectory(scope);
  const mounted = spawnSync(MOUNT, ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m`, 'tmpfs', directory]);
  if (mounted.status !== 0) return undefined;
  scope.add(() => execFileSync(UNMOUNT, [directory]));
  return directory;
}

/** Writes until there is no room left; the answer removes what was written. */
function fill(disk: string): () => void {
  const file = path.join(disk, 'ballast');
  const fd = openSync(file, 'w');
  for (let size = 1 << 20; size >= 1; size >>>= 1) {
    const chunk = Buffer.alloc(size, 1);
    try {
      while (writeSync(fd, chunk) === size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(fd);
  return () => rmSync(file);
}

interface Attempt {
  readonly outcome: 'acknowledged' | 'refused' | 'closed';
  readonly reasonCode: number;
}

/** One QoS 1 publish on a connection of its own, as a client that comes back after each failure does it. */
async function publishOnce(broker: Broker, version: 4 | 5, topic: string, payload: string): Promise<Attempt> {
  const own = new Scope();
  try {
    const client = await RawClient.connect(own, broker, {
      clientId: `once-${version}-${payload.split(' ')[0]}`,
      protocolVersion: version,
    });
    client.send({ cmd: 'publish', topic, payload, qos: 1, messageId: 1, dup: false, retain: false });
    await until(() => client.inbox.length > 0 || client.closed, 'an answer or an end', 20_000);
    const packet = client.inbox[0];
    if (packet?.cmd !== 'puback') return { outcome: 'closed', reasonCode: 0 };
    const reasonCode = packet.reasonCode ?? 0;
    return { outcome: reasonCode >= 0x80 ? 'refused' : 'acknowledged', reasonCode };
  } finally {
    await own.release();
  }
}

test.for(['fsync', 'process'])(
  'a full disk refuses publishes and harms nothing else; with room again all goes on, and nothing acknowledged is lost (%s) [broker]',
  { timeout: 120_000 },
  async (durability, context) => {
    const scope = testScope();
    const disk = await smallDisk(scope);
    if (disk === undefined) return context.skip('this user cannot mount a file system in memory');
    const broker = await startBroker(scope, {
      dataDir: path.join(disk, 'data'),
      env: {
        SLUICE_SHARDS: '1',
        SLUICE_DURABILITY: durability,
        SLUICE_STORE_MEMORY: '8MB',
        SLUICE_MQ_MAX_QUEUE_COUNT: '10000',
      },
    });
    const { pid } = broker;
    await broker.rest.createQueue('full');
    const acknowledged = new Set<string>();
    let number = 0;
    const attempt = async (version: 4 | 5): Promise<Attempt> => {
      number += 1;
      const name = String(number);
      const result = await publishOnce(broker, version, 'full', `${name} ${FILLER}`);
      if (result.outcome === 'acknowledged') acknowledged.add(name);
      return result;
    };
    for (let round = 0; round < 20; round += 1) await attempt(round % 2 === 0 ? 4 : 5);
    expect(acknowledged.size).toBe(20);

    const liveReader = await connectClient(scope, broker);
    await liveReader.client.subscribeAsync('live', { qos: 1 });
    const liveWriter = await connectClient(scope, broker);
    let live = 0;
    const sayLive = async (): Promise<void> => {
      live += 1;
      await liveWriter.client.publishAsync('live', String(live), { qos: 1 });
      await liveReader.waitFor(live);
    };

    const makeRoom = fill(disk);
    const before = await broker.rssBytes();
    const seen: Attempt[] = [];
    const statuses = new Set<number>();
    const endAt = performance.now() + FULL_MS;
    while (performance.now() < endAt || seen.filter(({ outcome }) => outcome !== 'acknowledged').length < 6) {
      // 3.1.1 has no word for it: its connection is closed. MQTT 5 keeps the connection and hears the reason.
      const [old, modern] = await Promise.all([attempt(4), attempt(5)]);
      expect(['acknowledged', 'closed']).toContain(old.outcome);
      expect(['acknowledged', 'refused']).toContain(modern.outcome);
      if (modern.outcome === 'refused') expect(STORE_ERRORS).toContain(modern.reasonCode);
      seen.push(old, modern);
      await sayLive();
      statuses.add((await broker.rest.get('/message_queues/queues')).status);
      for (const [method, route, body] of [
        ['GET', '/message_queues/queues/full/stats', undefined],
        ['POST', '/message_queues/queues', { topic_filter: `new/${number}`, is_lastvalue: false }],
      ] as const) {
        const answer = await broker.rest.call(method, route, body);
        statuses.add(answer.status);
        expect([200, 503], `${method} ${route}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
      }
      await sleep(20);
    }
    expect(seen.some(({ outcome }) => outcome === 'closed')).toBe(true);
    expect(seen.some(({ outcome }) => outcome === 'refused')).toBe(true);
    console.info(
      `statuses ${[...statuses].join(' ')}, attempts ${seen.length}, restarts in the log: ${broker.output.split('started again').length - 1}`,
    );
    const after = await broker.rssBytes();
    if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(150_000_000);
    expect(broker.pid).toBe(pid);
    expect((await broker.rest.get('/status')).status).toBe(200);

    makeRoom();
    await until(
      async () => (await attempt(4)).outcome === 'acknowledged',
      'a publish to be acknowledged again',
    );
    for (let round = 0; round < 20; round += 1) expect((await attempt(5)).outcome).toBe('acknowledged');
    await sayLive();
    const consumer = await connectClient(scope, broker);
    await consumer.client.subscribeAsync('$q/full', { qos: 1 });
    const names = (): Set<string> =>
      new Set(consumer.received.map(({ payload }) => payload.slice(0, payload.indexOf(' '))));
    await until(() => [...acknowledged].every((name) => names().has(name)), 'every acknowledged message');
    expect(broker.pid).toBe(pid);
    expect((await broker.stop()).code).toBe(0);
  },
);
