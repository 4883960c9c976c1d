import { describe, expect, it } from 'vitest';

import { loadConfig } from '../../src/config/config.js';
import { sections } from '../../src/config/schema.js';
import { settingViews, type SettingView } from '../../src/broker/setting-view.js';
import { createApi } from './fixture.js';

const names = sections.flatMap(({ fields }) => Object.values(fields).map(({ name }) => name));

/** The setting that is called so. */
function named(settings: readonly SettingView[], name: string): SettingView | undefined {
  return settings.find((setting) => setting.name === name);
}

function viewsOf(environment: Record<string, string>, file: Record<string, string> = {}) {
  const all = { ...file, ...environment };
  return settingViews({ config: loadConfig(all), environment: all, ownEnvironment: environment });
}

describe('GET /configs', () => {
  it('shows every setting with value, default and where it comes from [broker]', async () => {
    const api = await createApi({ env: { SLUICE_MAX_INFLIGHT: '77', SLUICE_RING_BYTES: '16MB' } });
    const { status, body } = await api.call('GET', '/configs');
    expect(status).toBe(200);
    expect(body.data.map(({ name }: SettingView) => name)).toEqual(names);
    expect(named(body.data, 'SLUICE_MAX_INFLIGHT')).toMatchObject({ value: '77', source: 'environment' });
    expect(named(body.data, 'SLUICE_RING_BYTES')).toMatchObject({
      value: '16MB',
      default: '8MB',
      unit: 'bytes',
    });
    expect(named(body.data, 'SLUICE_TOPIC_LEVELS_MAX')).toMatchObject({ source: 'default' });
    await api.close();
  });

  it('shows what was changed by REST, which takes effect at once [broker]', async () => {
    const api = await createApi();
    await api.call('PUT', '/message_queues/config', { max_queue_count: 7, missing_queue: 'reject' });
    const { body } = await api.call('GET', '/configs');
    expect(named(body.data, 'SLUICE_MQ_MAX_QUEUE_COUNT')).toMatchObject({
      value: '7',
      source: 'file',
      live: true,
    });
    expect(named(body.data, 'SLUICE_MQ_MISSING_QUEUE')).toMatchObject({ value: 'reject', source: 'file' });
    expect(named(body.data, 'SLUICE_MQ_ENABLE')).toMatchObject({ source: 'default' });
    await api.close();
  });
});

describe('settings as they are shown', () => {
  it('of the default environment come from nowhere else and equal what is documented [broker]', () => {
    for (const setting of viewsOf({})) {
      expect(setting.source, setting.name).toBe('default');
      expect(setting.value, setting.name).not.toBe('');
      expect(setting.help, setting.name).not.toBe('');
    }
    const views = viewsOf({});
    expect(named(views, 'SLUICE_SHARDS')?.value).toMatch(/^\d+$/);
    expect(named(views, 'SLUICE_ACL_FILE')?.value).toBe('none');
  });

  it('say file for what only a file says, and take the name that EMQX has [broker]', () => {
    const views = viewsOf({ SLUICE_MAX_INFLIGHT: '8' }, { SLUICE_MAX_INFLIGHT: '9', SLUICE_MAX_QOS: '1' });
    expect(named(views, 'SLUICE_MAX_INFLIGHT')).toMatchObject({ value: '8', source: 'environment' });
    expect(named(views, 'SLUICE_MAX_QOS')).toMatchObject({ value: '1', source: 'file' });
    const aliased = sections
      .flatMap(({ fields }) => Object.values(fields))
      .find(({ alias }) => alias === 'EMQX_API_KEY__BOOTSTRAP_FILE');
    expect(named(viewsOf({ EMQX_API_KEY__BOOTSTRAP_FILE: '/keys' }), aliased?.name ?? '')).toMatchObject({
      value: '/keys',
      source: 'environment',
    });
  });

  it('hide secrets, wherever they stand [broker]', () => {
    const secret = 'do-not-show-this-to-anybody-at-all';
    const views = viewsOf({
      SLUICE_JWT_SECRET: secret,
      SLUICE_DASHBOARD_PASSWORD: secret,
      SLUICE_AUTH_HTTP_URL: `http://user:${secret}@127.0.0.1/auth`,
      SLUICE_AUTH_HTTP_HEADERS: JSON.stringify({ authorization: `Bearer ${secret}` }),
      SLUICE_AUTH_HTTP_BODY: JSON.stringify({ shared: secret }),
    });
    expect(JSON.stringify(views)).not.toContain(secret);
    expect(named(views, 'SLUICE_JWT_SECRET')).toMatchObject({ value: '[hidden]', source: 'environment' });
    expect(named(views, 'SLUICE_AUTH_HTTP_URL')?.value).toContain('127.0.0.1/auth');
  });
});
