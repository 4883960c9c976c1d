/**
 * Metrics and health of a running broker, and Prometheus itself on top of it where it is installed. Process tier.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startBroker, temporaryDirectory, type Broker } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { dashboardExpressions } from '../telemetry/monitoring-files.js';

const secret = 'e2e-monitoring-secret';
const asPrometheus = { authorization: `Basic ${Buffer.from(`prometheus:${secret}`).toString('base64')}` };
const asAdmin = { authorization: `Basic ${Buffer.from(`admin:${secret}`).toString('base64')}` };
const programs = { prometheus: 'prometheus', promtool: 'promtool' };
const hasPrometheus = Object.values(programs).every(
  (name) => spawnSync(name, ['--version']).error === undefined,
);

/** One broker for all tests. */
const shared = new Scope();
let broker: Broker;
beforeAll(async () => {
  broker = await startBusyBroker(shared);
});
afterAll(() => shared.release());

/** A broker with API keys, a queue and traffic in it. */
async function startBusyBroker(scope: Scope): Promise<Broker> {
  const folder = await temporaryDirectory(scope);
  const keysFile = path.join(folder, 'keys');
  await writeFile(keysFile, `admin:${secret}:administrator\nprometheus:${secret}:viewer\n`);
  const broker = await startBroker(scope, {
    env: { SLUICE_API_KEYS_FILE: keysFile, SLUICE_SHARDS: '2', SLUICE_METRICS_QUEUES_MAX: '2' },
  });
  for (const name of ['jobs', 'more', 'beyond']) {
    const { status } = await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5/queues`, {
      method: 'POST',
      headers: { ...asAdmin, 'content-type': 'application/json' },
      body: JSON.stringify({ name, topic_filter: `${name}/#`, is_lastvalue: false }),
    });
    expect(status).toBe(200);
  }
  const consumer = await connectClient(scope, broker, { clientId: 'consumer' });
  const { client: publisher } = await connectClient(scope, broker, { clientId: 'publisher' });
  await consumer.client.subscribeAsync('$queue/jobs', { qos: 1 });
  for (let i = 0; i < 10; i++) {
    await publisher.publishAsync('jobs/a', 'x', { qos: 1 });
    await publisher.publishAsync('beyond/a', 'x', { qos: 1 });
  }
  await consumer.waitFor(10);
  return broker;
}

async function scrape(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${broker.httpPort}/metrics`, { headers: asPrometheus });
  expect(answer.status).toBe(200);
  return await answer.text();
}

function valueOf(text: string, series: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

describe('a running broker', () => {
  test('shows times of messages, load of each thread and rings of each shard, and sums what has no series [broker]', async () => {
    const text = await until(async () => {
      const now = await scrape();
      const isThere =
        valueOf(now, 'sluice_event_loop_delay_seconds_count{thread="shard-1"}') > 10 &&
        valueOf(now, 'sluice_event_loop_busy_seconds_total{thread="shard-0"}') > 0 &&
        valueOf(now, 'sluice_messages_acked_total') === 10;
      return isThere ? now : '';
    }, 'the figures of the workers');
    // The first publish of a connection and the first message of a queue are timed.
    expect(valueOf(text, 'sluice_publish_ack_seconds_count')).toBe(1);
    expect(valueOf(text, 'sluice_publish_delivery_seconds_count')).toBe(1);
    expect(valueOf(text, 'sluice_publish_ack_seconds_sum')).toBeGreaterThan(0);
    expect(valueOf(text, 'sluice_event_loop_busy_seconds_total{thread="main"}')).toBeGreaterThan(0);
    expect(valueOf(text, 'sluice_ring_to_shard_fill_ratio{shard="1"}')).toBeGreaterThanOrEqual(0);
    expect(valueOf(text, 'sluice_disk_free_bytes')).toBeGreaterThan(0);
    expect(valueOf(text, 'sluice_disk_size_bytes')).toBeGreaterThan(valueOf(text, 'sluice_disk_free_bytes'));
    expect(valueOf(text, 'sluice_queue_acked_total{queue="jobs"}')).toBe(10);
    expect(valueOf(text, 'sluice_queue_ready{queue="_other"}')).toBe(10);
    expect(valueOf(text, 'sluice_queues_without_series')).toBe(1);
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(valueOf(text, 'process_start_time_seconds')).toBeGreaterThan(0);
  });

  test('is live and ready without a key, and its metrics ask for one [broker]', async () => {
    const base = `http://127.0.0.1:${broker.httpPort}`;
    for (const url of ['/health/live', '/health/ready']) {
      const answer = await fetch(base + url);
      expect([url, answer.status]).toEqual([url, 200]);
    }
    expect((await fetch(`${base}/metrics`)).status).toBe(401);
    await fetch(`${base}/api/v5/shards/1/restart`, { method: 'POST', headers: asAdmin });
    await until(async () => {
      const up = valueOf(await scrape(), 'sluice_shard_up{shard="1"}');
      const { status } = await fetch(`${base}/health/ready`);
      return valueOf(await scrape(), 'sluice_shard_restarts_total') === 1 && up === 1 && status === 200;
    }, 'the shard');
  });
});

describe.runIf(hasPrometheus)('Prometheus', () => {
  test('takes the rules and the text of a scrape as they are [broker]', async () => {
    const rules = spawnSync(programs.promtool, ['check', 'rules', 'docs/monitoring/alerts.yml'], {
      encoding: 'utf8',
    });
    expect([rules.status, rules.stderr]).toEqual([0, '']);
    const metrics = spawnSync(programs.promtool, ['check', 'metrics'], {
      input: (await scrape())
        .split('\n')
        // What the library shows about the process is not ours to name.
        .filter((line) => !/^(# (HELP|TYPE) )?(nodejs|process)_/.test(line))
        .join('\n'),
      encoding: 'utf8',
    });
    expect([metrics.status, metrics.stdout + metrics.stderr]).toEqual([0, '']);
  });

  test('scrapes without errors, evaluates every rule, and finds data for every panel [broker]', async () => {
    const prometheus = await startPrometheus(testScope());
    await until(async () => {
      const { activeTargets } = await prometheus<{ activeTargets: { health: string; lastError: string }[] }>(
        'targets',
      );
      expect(activeTargets.filter(({ lastError }) => lastError !== '')).toEqual([]);
      return activeTargets[0]?.health === 'up';
    }, 'the first scrape');
    const rules = await until(async () => {
      const { groups } = await prometheus<{
        groups: { rules: { name: string; health: string; lastError?: string }[] }[];
      }>('rules');
      const all = groups.flatMap((group) => group.rules);
      return all.every(({ health }) => health !== 'unknown') && all.length > 0 ? all : undefined;
    }, 'the rules');
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);

    const expressions = dashboardExpressions();
    // Panels that show only what goes wrong may be empty, and a young process has collected no garbage.
    const expected = expressions.filter(({ text }) => !/> 0\b|nodejs_gc/.test(text));
    expect(expected.length).toBeGreaterThan(40);
    for (const { text } of expressions) await prometheus('query', text);
    for (const { where, text } of expected) {
      const found = await until(async () => {
        const { result } = await prometheus<{ result: unknown[] }>('query', text);
        return result.length > 0;
      }, `data for ${where}: ${text}`);
      expect(found).toBe(true);
    }
  });
});

type Ask = <T>(what: 'targets' | 'rules' | 'query', query?: string) => Promise<T>;

/** Prometheus with the files of docs/monitoring, a second apart, for this broker. */
async function startPrometheus(scope: Scope): Promise<Ask> {
  const folder = await temporaryDirectory(scope);
  const given = await readFile('docs/monitoring/prometheus.yml', 'utf8');
  const config = given
    .replaceAll(/(scrape|evaluation)_interval: 15s/g, '$1_interval: 1s')
    .replace('127.0.0.1:18083', `127.0.0.1:${broker.httpPort}`);
  expect(config).toContain('scrape_interval: 1s');
  await writeFile(path.join(folder, 'prometheus.yml'), config);
  await writeFile(path.join(folder, 'alerts.yml'), await readFile('docs/monitoring/alerts.yml', 'utf8'));
  await writeFile(path.join(folder, 'sluice-secret'), secret);
  const port = await freePort();
  const child = spawn(
    programs.prometheus,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-5000)));
  scope.add(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const base = `http://127.0.0.1:${port}`;
  await until(
    async () =>
      await fetch(`${base}/-/ready`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    () => `Prometheus: ${output}`,
  );
  return async <T>(what: string, query?: string) => {
    const url = `${base}/api/v1/${what}${query === undefined ? '' : `?query=${encodeURIComponent(query)}`}`;
    const { status, data, error } = (await (await fetch(url)).json()) as {
      status: string;
      data: T;
      error?: string;
    };
    expect([query, status, error]).toEqual([query, 'success', undefined]);
    return data;
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
