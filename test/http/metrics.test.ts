/** Metrics over HTTP. Quick tier. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import { CounterReader, Counters, MAIN_BLOCK, workerBlock } from '../../src/telemetry/counter.js';
import { slot } from '../../src/telemetry/counter-layout.js';
import { type Api, createApi } from './fixture.js';

const url = '/api/v5/prometheus/stats';
let api: Api;
beforeEach(async () => {
  api = await createApi();
});
afterEach(() => api.close());

async function scrape(): Promise<string> {
  const { statusCode, headers, payload } = await api.app.inject({ method: 'GET', url });
  expect(statusCode).toBe(200);
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  return payload;
}

describe('GET /prometheus/stats', () => {
  it('sums the counters of all threads and shows every queue under its name [broker]', async () => {
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
    new Counters(api.counterMemory, MAIN_BLOCK).add(slot.doorbells, 2);
    new Counters(api.counterMemory, workerBlock(0)).add(slot.doorbells, 3);
    const text = await scrape();
    expect(text).toMatch(/^sluice_doorbells_total 5$/m);
    expect(text).toMatch(/^sluice_queue_delivered_total\{queue="jobs"\} 11$/m);
    expect(text).toMatch(/^process_cpu_seconds_total /m);
    new Counters(api.counterMemory, MAIN_BLOCK).add(slot.doorbells, 1);
    expect(await scrape()).toMatch(/^sluice_doorbells_total 6$/m);
  });

  it('gives nobody what was read before it asked, however many ask at once [broker]', async () => {
    const counters = new Counters(api.counterMemory, MAIN_BLOCK);
    const answers = Array.from({ length: 20 }, async (_, asked) => {
      await new Promise((resolve) => setTimeout(resolve, asked % 5));
      counters.add(slot.doorbells, 1);
      const atLeast = new CounterReader(api.counterMemory).total(slot.doorbells);
      const shown = Number(/^sluice_doorbells_total (\d+)$/m.exec(await scrape())?.[1]);
      expect(shown).toBeGreaterThanOrEqual(atLeast);
      return shown;
    });
    expect(Math.max(...(await Promise.all(answers)))).toBe(20);
  });

  it('leaves out a queue whose shard is down, and all while queues are switched off [broker]', async () => {
    await api.call('POST', '/queues', { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false });
    api.shards.fail('stats');
    const text = await scrape();
    expect(text).toMatch(/^sluice_doorbells_total 0$/m);
    expect(text).not.toMatch(/queue="jobs"/);
    await api.call('DELETE', '/queues/jobs');
    expect((await api.call('PUT', '/message_queues/config', { enable: 'false' })).status).toBeLessThan(300);
    expect(await scrape()).toMatch(/^sluice_doorbells_total 0$/m);
  });

  it('is the same at /metrics, where Prometheus looks by itself [broker]', async () => {
    const here = await api.app.inject({ method: 'GET', url: '/metrics' });
    expect(here.statusCode).toBe(200);
    expect(here.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(here.payload).toMatch(/^sluice_shard_up\{shard="0"\} 1$/m);
    expect(here.payload).toMatch(/^sluice_ready 1$/m);
    api.shards.killShard(0);
    const later = await scrape();
    expect(later).toMatch(/^sluice_shard_up\{shard="0"\} 0$/m);
    expect(later).toMatch(/^sluice_ready 0$/m);
  });

  it('is in the OpenAPI document as text [broker]', () => {
    const answer = api.document.paths[url]?.['get']?.responses['200'];
    expect(answer?.content).toHaveProperty('text/plain');
  });

  it('asks for a key when there are any [broker]', async () => {
    const log = { warn: () => undefined, error: () => undefined };
    const guarded = await createApi({ apiKeys: ApiKeys.parse('reader:secret:viewer\n', log) });
    try {
      expect((await guarded.app.inject({ method: 'GET', url })).statusCode).toBe(401);
      const authorization = `Basic ${Buffer.from('reader:secret').toString('base64')}`;
      const answer = await guarded.app.inject({ method: 'GET', url, headers: { authorization } });
      expect(answer.statusCode).toBe(200);
    } finally {
      await guarded.close();
    }
  });
});
