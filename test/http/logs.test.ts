/** Warnings and errors over HTTP, and the levels of the log. Quick tier. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type Api, createApi } from './fixture.js';

let api: Api;
beforeEach(async () => {
  api = await createApi();
});
afterEach(() => api.close());

describe('GET /logs', () => {
  it('shows the last warnings and errors, oldest first, with what is secret hidden [broker]', async () => {
    const shard = api.logging.logger.child({ module: 'shard' });
    shard.info('not this');
    shard.warn({ shard: 2, password: 'p4ss' }, 'slow disk');
    api.logging.logger.error('broken');
    const { status, body } = await api.call('GET', '/logs');
    expect(status).toBe(200);
    expect(body.data).toEqual([
      {
        time_ms: expect.any(Number) as number,
        level: 'warn',
        module: 'shard',
        message: 'slow disk',
        fields: { shard: 2, password: '[hidden]' },
      },
      {
        time_ms: expect.any(Number) as number,
        level: 'error',
        module: 'broker',
        message: 'broken',
        fields: {},
      },
    ]);
  });

  it('is limited by level and number, and refuses what makes no sense [broker]', async () => {
    for (let i = 0; i < 5; i++) api.logging.logger.warn(`w${i}`);
    api.logging.logger.error('e');
    const messages = async (query: string): Promise<string[]> => {
      const { body } = await api.call('GET', `/logs${query}`);
      return (body.data as { message: string }[]).map(({ message }) => message);
    };
    expect(await messages('?limit=2')).toEqual(['w4', 'e']);
    expect(await messages('?level=error')).toEqual(['e']);
    for (const query of ['?limit=0', '?limit=1001', '?level=info', '?x=1']) {
      expect([query, (await api.call('GET', `/logs${query}`)).status]).toEqual([query, 400]);
    }
  });
});

describe('log levels', () => {
  it('are shown for every part and changed at once [broker]', async () => {
    const mqtt = api.logging.logger.child({ module: 'mqtt' });
    expect((await api.call('GET', '/log_levels')).body).toMatchObject({
      default: 'info',
      modules: { mqtt: 'info', shard: 'info' },
    });
    expect(mqtt.isLevelEnabled('debug')).toBe(false);
    const changed = await api.call('PUT', '/log_levels', { modules: { mqtt: 'debug' } });
    expect(changed).toMatchObject({ status: 200, body: { default: 'info', modules: { mqtt: 'debug' } } });
    expect(mqtt.isLevelEnabled('debug')).toBe(true);
    await api.call('PUT', '/log_levels', { default: 'error' });
    const { body } = await api.call('PUT', '/log_levels', { modules: { mqtt: 'default' } });
    expect(body).toMatchObject({ default: 'error', modules: { mqtt: 'error', shard: 'error' } });
    expect(mqtt.isLevelEnabled('warn')).toBe(false);
  });

  it('stay as they are when a request is wrong in any part [broker]', async () => {
    const before = (await api.call('GET', '/log_levels')).body as object;
    for (const body of [
      { modules: { mqtt: 'debug', nobody: 'debug' } },
      { modules: { mqtt: 'loud' } },
      { default: 'loud' },
      { default: 'default' },
      { level: 'debug' },
    ]) {
      expect((await api.call('PUT', '/log_levels', body)).status).toBe(400);
    }
    expect((await api.call('GET', '/log_levels')).body).toEqual(before);
  });
});
