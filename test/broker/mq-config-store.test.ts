import { readdir, readFile, rm, writeFile } from 'node:fs/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { MqConfigStore } from '../../src/broker/mq-config-store.js';
import { type Environment, loadConfig, type MqConfig } from '../../src/config/config.js';
import { createFixture, type Fixture } from './fixture.js';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await createFixture();
});
afterEach(() => fixture.remove());

/** A store on the same file, as after a restart. */
function reopen(env: Environment = {}): Promise<MqConfigStore> {
  return MqConfigStore.open({ file: fixture.file, config: loadConfig(env).mq, env });
}

describe('reading', () => {
  it('shows every key with its default as one would write it [queue-43]', () => {
    expect(fixture.mqConfig.raw()).toEqual({
      enable: 'auto',
      gc_interval: '1h',
      regular_queue_retention_period: '7d',
      max_queue_count: 100,
      find_queue_retry_interval: '10s',
      auto_create: { regular: false, lastvalue: false },
      quota: {
        threshold_percentage: 10,
        buffer_max_size: 100,
        buffer_flush_interval: '1000ms',
        buffer_pool_size: 16,
      },
      require_mqtt5: false,
      qos0_delivery: 'upgrade',
      on_store_error: 'reject',
      on_key_error: 'drop',
      missing_queue: 'wait',
    });
  });

  it('shows what the environment set, under its own and under the EMQX name [ref-8]', async () => {
    const store = await reopen({
      EMQX_MQ__GC_INTERVAL: '10m',
      SLUICE_MQ_MAX_QUEUE_COUNT: '7',
      EMQX_MQ__ENABLE: 'true',
      EMQX_MQ__AUTO_CREATE__REGULAR: '{}',
    });
    expect(store.raw()).toMatchObject({ gc_interval: '10m', max_queue_count: 7, enable: true });
    expect(store.raw().auto_create.regular).toMatchObject({
      dispatch_strategy: 'random',
      ping_interval: '10s',
    });
    expect(store.current).toMatchObject({ gcIntervalMs: 600_000, maxQueueCount: 7, enable: 'true' });
  });

  it('ends the start with ERR_CONFIG when the environment holds impossible settings of a queue [broker]', async () => {
    for (const text of ['{"nonsense":1}', '{"ping_interval":"soon"}', '{"key_expression":"message.from"}']) {
      await expect(reopen({ SLUICE_MQ_AUTO_CREATE_REGULAR: text }), text).rejects.toMatchObject({
        code: 'ERR_CONFIG',
      });
    }
  });
});

describe('changing', () => {
  it('merges top-level keys, echoes values as they were given, and keeps them over a restart [queue-43]', async () => {
    await fixture.mqConfig.update({ gc_interval: '2h', max_queue_count: 5 });
    await fixture.mqConfig.update({ find_queue_retry_interval: 1500, require_mqtt5: true });
    const store = await reopen();
    for (const one of [fixture.mqConfig, store]) {
      expect(one.raw()).toMatchObject({
        gc_interval: '2h',
        max_queue_count: 5,
        find_queue_retry_interval: 1500,
        require_mqtt5: true,
      });
      expect(one.current).toMatchObject({
        gcIntervalMs: 7_200_000,
        maxQueueCount: 5,
        findQueueRetryIntervalMs: 1500,
        requireMqtt5: true,
      });
    }
  });

  it('takes every key that it shows, in the form in which it shows it [broker]', async () => {
    const shown = fixture.mqConfig.raw();
    await fixture.mqConfig.update(shown);
    expect(fixture.mqConfig.raw()).toEqual(shown);
  });

  it('fills auto_create with the defaults of a queue, including the key expression [queue-43]', async () => {
    await fixture.mqConfig.update({ auto_create: { lastvalue: {} } });
    expect(fixture.mqConfig.raw().auto_create).toMatchObject({
      regular: false,
      lastvalue: {
        key_expression: 'message.from',
        data_retention_period: '7d',
        dispatch_strategy: 'random',
        limits: { max_shard_message_count: 'infinity', max_shard_message_bytes: 'infinity' },
        local_max_inflight: 10,
        fast_max_inflight: 200,
      },
    });
    await fixture.mqConfig.update({ auto_create: { regular: { local_max_inflight: 20 } } });
    expect(fixture.mqConfig.raw().auto_create).toMatchObject({
      regular: { local_max_inflight: 20, fast_max_inflight: 20 },
    });
    await fixture.mqConfig.update({ auto_create: { regular: { data_retention_period: '2d' } } });
    expect(fixture.mqConfig.raw().auto_create).toMatchObject({
      lastvalue: false,
      regular: { data_retention_period: '2d' },
    });
  });

  it('refuses both kinds of auto-created queues at once [queue-43]', async () => {
    await expect(
      fixture.mqConfig.update({ auto_create: { regular: {}, lastvalue: {} } }),
    ).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      detail: 'Queues should be configured to be automatically created either as regular or lastvalue',
    });
  });

  it.each([
    [{ gc_interval: '-10h' }, 'gc_interval'],
    [{ gc_interval: 'soon' }, 'gc_interval'],
    [{ gc_interval: 1 }, 'gc_interval'],
    [{ find_queue_retry_interval: '2d' }, 'find_queue_retry_interval'],
    [{ quota: { buffer_flush_interval: 'x' } }, 'quota.buffer_flush_interval'],
    [{ auto_create: { regular: { ping_interval: 'x' } } }, 'auto_create.regular.ping_interval'],
    [{ auto_create: { lastvalue: { key_expression: 'nope(' } } }, 'auto_create.lastvalue.key_expression'],
    [
      { auto_create: { regular: { limits: { max_shard_message_bytes: '1XB' } } } },
      'auto_create.regular.limits.max_shard_message_bytes',
    ],
  ])('refuses %j, names the field, and changes nothing [queue-43]', async (patch, path) => {
    const before = fixture.mqConfig.raw();
    await expect(fixture.mqConfig.update(patch)).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      detail: { kind: 'validation_error', path },
    });
    expect(fixture.mqConfig.raw()).toEqual(before);
    expect(await readdir(fixture.folder)).toEqual([]);
  });

  it('tells watchers at once, after the file is written, until they leave [broker]', async () => {
    const heard: [MqConfig, MqConfig][] = [];
    const stop = fixture.mqConfig.watch((current, previous) => heard.push([current, previous]));
    const before = fixture.mqConfig.current;
    await fixture.mqConfig.update({ missing_queue: 'reject' });
    stop();
    await fixture.mqConfig.update({ missing_queue: 'wait' });
    expect(heard).toHaveLength(1);
    expect(heard[0]?.[1]).toBe(before);
    expect(heard[0]?.[0].missingQueue).toBe('reject');
  });

  it('keeps all of several changes that come at the same time [broker]', async () => {
    await Promise.all([
      fixture.mqConfig.update({ max_queue_count: 3 }),
      fixture.mqConfig.update({ gc_interval: '5m' }),
      fixture.mqConfig.update({ missing_queue: 'reject' }),
    ]);
    const store = await reopen();
    expect(store.current).toMatchObject({ maxQueueCount: 3, gcIntervalMs: 300_000, missingQueue: 'reject' });
  });

  it('refuses to change what the environment sets, naming the variable, and accepts its value again [ref-8]', async () => {
    const store = await reopen({
      EMQX_MQ__GC_INTERVAL: '10m',
      SLUICE_MQ_AUTO_CREATE_REGULAR: '{"ping_interval":"5s"}',
    });
    await expect(store.update({ gc_interval: '2h' })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      detail: expect.stringContaining('EMQX_MQ__GC_INTERVAL') as string,
    });
    await expect(store.update({ auto_create: { regular: false } })).rejects.toMatchObject({
      detail: expect.stringContaining('SLUICE_MQ_AUTO_CREATE_REGULAR') as string,
    });
    await store.update({ ...store.raw(), max_queue_count: 4 });
    expect(store.current).toMatchObject({ gcIntervalMs: 600_000, maxQueueCount: 4 });
    expect(store.raw().auto_create.regular).toMatchObject({ ping_interval: '5s' });
  });

  it('lets the environment win over what was stored before [ref-8]', async () => {
    await fixture.mqConfig.update({ gc_interval: '2h', max_queue_count: 5 });
    const store = await reopen({ SLUICE_MQ_GC_INTERVAL: '3h' });
    expect(store.raw()).toMatchObject({ gc_interval: '3h', max_queue_count: 5 });
    expect((await reopen()).raw()).toMatchObject({ gc_interval: '2h' });
  });
});

describe('the file', () => {
  it('holds only what was changed, and no half-written neighbour stays behind [broker]', async () => {
    await fixture.mqConfig.update({ gc_interval: '2h' });
    expect(JSON.parse(await readFile(fixture.file, 'utf8'))).toEqual({
      version: 1,
      mq: { gc_interval: '2h' },
    });
    expect(await readdir(fixture.folder)).toEqual(['mq-config.json']);
  });

  it.each([
    ['not json', 'is not JSON'],
    ['[]', 'is not a stored queue configuration'],
    ['{"version":2,"mq":{}}', 'has format version 2'],
    ['{"version":1,"mq":{"unknown":1}}', 'holds an impossible value'],
    ['{"version":1,"mq":{"gc_interval":"-1h"}}', 'is not usable'],
  ])('with the content %s ends the start with ERR_CONFIG [broker]', async (content, reason) => {
    await writeFile(fixture.file, content);
    const outcome = await reopen().catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(OperationalError);
    expect(outcome).toMatchObject({ code: 'ERR_CONFIG', message: expect.stringContaining(reason) as string });
  });

  it('that cannot be written makes the change fail as a whole [broker]', async () => {
    await rm(fixture.folder, { recursive: true });
    const before = fixture.mqConfig.raw();
    await expect(fixture.mqConfig.update({ gc_interval: '2h' })).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
    });
    expect(fixture.mqConfig.raw()).toEqual(before);
  });
});
