import { get } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';

import { EventHub, listenersMax, type EventSink } from '../../src/http/event-hub.js';
import { OverviewObject } from '../../src/http/overview-view.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { Counters, workerBlock } from '../../src/telemetry/counter.js';
import { RecentLog } from '../../src/telemetry/recent-log.js';
import { message } from '../broker/fake-shards.js';
import { within } from '../harness/wait.js';
import { startApi, subscribe } from './gateway.js';

type Started = Awaited<ReturnType<typeof startApi>>;

async function createQueues(api: Started, ...names: string[]): Promise<void> {
  for (const name of names) {
    const body = { name, topic_filter: `${name}/#`, is_lastvalue: false };
    expect(await api.call('POST', '/queues', body)).toMatchObject({ status: 200 });
  }
}

async function namesOf(api: Started, query: string): Promise<string[]> {
  const { status, body } = await api.call('GET', `/queues_overview${query}`);
  expect(status).toBe(200);
  return body.data.map(({ name }: { name: string }) => name);
}

describe('the overview of queues', () => {
  it('shows what is in them, with search, order and pages [broker]', async () => {
    const api = await startApi();
    await createQueues(api, 'beta', 'alpha', 'gamma');
    api.shards.messages.set(1, [message(1), message(2)]);
    api.shards.messages.set(3, [message(1, { state: 'in-flight' })]);
    const { body } = await api.call('GET', '/queues_overview?sort=ready&order=desc');
    expect(body.data).toMatchObject([
      { name: 'beta', topic_filter: 'beta/#', ready: 2, in_flight: 0, in_rate: 2.5, oldest_age_ms: 1500 },
      { name: 'gamma', ready: 0, in_flight: 1, paused: false, is_lastvalue: false },
      { name: 'alpha', ready: 0, in_flight: 0, oldest_age_ms: 0 },
    ]);
    expect(body.meta).toEqual({ page: 1, limit: 50, count: 3, hasnext: false });
    expect(await namesOf(api, '')).toEqual(['alpha', 'beta', 'gamma']);
    expect(await namesOf(api, '?order=desc')).toEqual(['gamma', 'beta', 'alpha']);
    expect(await namesOf(api, '?sort=in_flight&order=desc')).toEqual(['gamma', 'beta', 'alpha']);
    expect(await namesOf(api, '?sort=oldest_age')).toEqual(['alpha', 'beta', 'gamma']);
    expect(await namesOf(api, '?search=MM')).toEqual(['gamma']);
    expect(await namesOf(api, '?search=a/%23')).toEqual(['alpha', 'beta', 'gamma']);
    expect(await namesOf(api, '?limit=2&page=2')).toEqual(['gamma']);
    expect(await api.call('GET', '/queues_overview?sort=x')).toMatchObject({ status: 400 });
  });

  it('asks the shards once a second, however many ask here, and knows new queues at once [broker]', async () => {
    const api = await startApi();
    await createQueues(api, 'one');
    const asked = () => api.shards.calls.filter((call) => call === 'stats one').length;
    await Promise.all(Array.from({ length: 20 }, () => namesOf(api, '')));
    const first = asked();
    await createQueues(api, 'two');
    expect(await namesOf(api, '')).toEqual(['one', 'two']);
    expect(first).toBe(1);
    expect(asked()).toBeLessThanOrEqual(2);
  });
});

interface Stream {
  readonly status: number;
  readonly type: string | undefined;
  /** The next event. */
  next(): Promise<{ name: string; data: any }>; // oxlint-disable-line typescript/no-explicit-any
  readonly ended: Promise<void>;
  close(): void;
}

/** Listens to the events over a socket. */
async function listen(api: Started, query = ''): Promise<Stream> {
  if (!api.app.server.listening) await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const request = get({ host: '127.0.0.1', port, path: `/api/v5/events${query}`, agent: false });
  api.scope.add(() => request.destroy());
  return await new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      let wake = (): void => undefined;
      const ended = new Promise<void>((done) => {
        response.on('close', () => done());
      });
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        wake();
      });
      response.on('error', () => undefined);
      const next = async () => {
        for (;;) {
          const match = /^(?::.*\n\n)*event: (\w+)\ndata: (.*)\n\n/.exec(text);
          if (match !== null) {
            text = text.slice(match[0].length);
            return { name: match[1]!, data: JSON.parse(match[2]!) as object };
          }
          await within(new Promise<void>((done) => (wake = done)), 'an event');
        }
      };
      resolve({
        status: response.statusCode ?? 0,
        type: response.headers['content-type'],
        next,
        ended,
        close: () => request.destroy(),
      });
    });
  });
}

describe('the event stream', () => {
  it('tells once a second what the broker is doing, and of the queues that were asked for [broker]', async () => {
    const api = await startApi();
    await createQueues(api, 'one', 'two');
    api.shards.messages.set(1, [message(1)]);
    await subscribe(await api.connect('c'), 't');
    const stream = await listen(api, '?queues=one,none');
    expect(stream).toMatchObject({ status: 200, type: 'text/event-stream; charset=utf-8' });
    const shard = new Counters(api.counterMemory, workerBlock(0));
    shard.add(slot.eventLoopBusySeconds, 0.2);
    shard.set(slot.ringToShardFill, 0.25);
    shard.observe('groupCommitSeconds', 0.002);
    const { name, data } = await stream.next();
    expect(name).toBe('overview');
    expect(Compile(OverviewObject).Errors(data)).toEqual([]);
    expect(data).toMatchObject({
      connections: 1,
      sessions: 1,
      subscriptions: 1,
      retained: 0,
      queues: { count: 2, ready: 1, in_flight: 0, oldest_age_ms: 1500 },
      shards: [{ id: 0, state: 'up', ring_fill: 0.25, commit_p99_ms: 2.5 }],
      disk_bytes: 4096,
    });
    expect(data.shards[0].load).toBeGreaterThan(0);
    const rows = await stream.next();
    expect(rows.name).toBe('queues');
    expect(rows.data.rows).toMatchObject([{ name: 'one', ready: 1 }]);
    expect((await stream.next()).name).toBe('overview');
  });

  it('tells of warnings at once [broker]', async () => {
    const api = await startApi();
    const stream = await listen(api);
    api.logging.logger.warn({ detail: 7 }, 'look here');
    for (;;) {
      const { name, data } = await stream.next();
      if (name !== 'log') continue;
      expect(data).toMatchObject({ level: 'warn', message: 'look here', fields: { detail: 7 } });
      break;
    }
  });

  it('ends when the server closes, which does not wait for listeners [broker]', async () => {
    const api = await startApi();
    const stream = await listen(api);
    await stream.next();
    await within(api.app.close(), 'the end of the server');
    await within(stream.ended, 'the end of the stream');
  });

  it('reads nothing when nobody listens any more [broker]', async () => {
    const api = await startApi();
    await createQueues(api, 'one');
    const stream = await listen(api);
    await stream.next();
    stream.close();
    await stream.ended;
    const asked = api.shards.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(api.shards.calls.length - asked).toBeLessThanOrEqual(1);
  });
});

describe('listeners', () => {
  function hub() {
    const log = new RecentLog();
    let nowMs = 0;
    let watchers = 0;
    const overview = {
      watch: () => {
        watchers++;
        return () => void watchers--;
      },
    };
    const made = new EventHub(overview as never, log, () => nowMs);
    return {
      made,
      warn: () => log.add('{"level":"warn","msg":"x"}'),
      watchers: () => watchers,
      at: (ms: number) => (nowMs = ms),
    };
  }

  function sink(writableLength = 0) {
    const state = { text: '', isDestroyed: false };
    const made: EventSink = {
      writableLength,
      write: (chunk: string) => {
        state.text += chunk;
        return true;
      },
      end: () => made as never,
      destroy: () => {
        state.isDestroyed = true;
        return made as never;
      },
    };
    return { made, state };
  }

  it('that do not read are dropped, the others are told [broker]', () => {
    const { made, warn, watchers } = hub();
    const slow = sink(300 * 1024);
    const quick = sink();
    made.add(slow.made, new Set());
    made.add(quick.made, new Set());
    warn();
    expect(slow.state).toEqual({ text: '', isDestroyed: true });
    expect(quick.state.text).toContain('event: log\n');
    expect(watchers()).toBe(1);
    made.close();
    expect(watchers()).toBe(0);
  });

  it(`are at most ${listenersMax} [broker]`, () => {
    const { made } = hub();
    const removes = Array.from({ length: listenersMax }, () => {
      made.checkRoom();
      return made.add(sink().made, new Set());
    });
    expect(() => made.checkRoom()).toThrow('listeners already');
    removes[0]?.();
    expect(() => made.checkRoom()).not.toThrow();
  });
});
