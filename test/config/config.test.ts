import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { ConfigError, ignoredVariables, loadConfig } from '../../src/config/config.js';
import type { Environment } from '../../src/config/config.js';
import { internalVariables, sections } from '../../src/config/schema.js';

function faultsOf(env: Environment): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ variable, message }) => `${variable} ${message}`);
  }
  return [];
}

describe('defaults', () => {
  test('an empty environment gives a configuration that works [broker]', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      host: '127.0.0.1',
      mqttPort: 1883,
      httpHost: '127.0.0.1',
      httpPort: 18_083,
      dataDir: resolve('data'),
      store: 'rocksdb',
      apiKeysFile: undefined,
      ringBytes: 8_388_608,
      maximumPacketSize: 1_048_576,
      mq: {
        enable: 'auto',
        maxQueueCount: 100,
        gcIntervalMs: 3_600_000,
        autoCreateLastvalue: false,
        limitShards: 16,
      },
    });
    expect(config.shards).toBeGreaterThanOrEqual(1);
  });

  test('every default is a value that the variable itself accepts, as the documents write it [broker]', () => {
    for (const { fields } of sections) {
      for (const variable of Object.values(fields)) {
        const computed = ['SLUICE_SHARDS', 'SLUICE_HTTP_HOST'].includes(variable.name);
        if (!computed)
          expect([variable.name, variable.parse(variable.defaultText)]).toEqual([
            variable.name,
            variable.fallback(),
          ]);
      }
    }
  });

  test('an empty variable counts as not set [broker]', () => {
    expect(loadConfig({ SLUICE_MQTT_PORT: '', SLUICE_API_KEYS_FILE: ' ' })).toEqual(loadConfig({}));
  });

  test('the configuration is frozen in depth [broker]', () => {
    const config = loadConfig({ SLUICE_MQ_AUTO_CREATE_REGULAR: '{"limits":{}}' });
    expect(Object.isFrozen(config) && Object.isFrozen(config.mq)).toBe(true);
    expect(Object.isFrozen((config.mq.autoCreateRegular as { limits: object }).limits)).toBe(true);
  });
});

describe('values', () => {
  test('variables set their fields in the unit of the field [broker]', () => {
    const config = loadConfig({
      SLUICE_MQTT_PORT: '0',
      SLUICE_DURABILITY: 'process',
      SLUICE_FSYNC_INTERVAL_MS: '1s',
      SLUICE_STORE_MEMORY: '64MB',
      SLUICE_SESSION_EXPIRY_MAX: '2h',
      SLUICE_KEEP_ALIVE_MAX: '120',
      SLUICE_MQ_REQUIRE_MQTT5: 'true',
      SLUICE_MQ_AUTO_CREATE_REGULAR: '{"dispatch_strategy":"round_robin"}',
    });
    expect(config).toMatchObject({
      mqttPort: 0,
      durability: 'process',
      fsyncIntervalMs: 1000,
      storeMemoryBytes: 67_108_864,
      sessionExpiryMaxS: 7200,
      keepAliveMaxS: 120,
      mq: { requireMqtt5: true, autoCreateRegular: { dispatch_strategy: 'round_robin' } },
    });
  });

  test('without API keys the REST API stays on loopback wherever MQTT listens [broker]', () => {
    expect(loadConfig({ SLUICE_HOST: '0.0.0.0' }).httpHost).toBe('127.0.0.1');
    expect(loadConfig({ SLUICE_HOST: '0.0.0.0', SLUICE_API_KEYS_FILE: 'keys' }).httpHost).toBe('0.0.0.0');
    expect(loadConfig({ SLUICE_HTTP_HOST: '::', SLUICE_API_KEYS_FILE: 'keys' }).httpHost).toBe('::');
    expect(loadConfig({ SLUICE_HOST: '0.0.0.0', SLUICE_HTTP_LOCAL_ACCESS: 'false' }).httpHost).toBe(
      '0.0.0.0',
    );
  });

  test("EMQX's names are accepted where EMQX has one, also in HOCON quotes, and our own name wins [queue-70]", () => {
    expect(loadConfig({ EMQX_API_KEY__BOOTSTRAP_FILE: '/keys.txt' }).apiKeysFile).toBe(resolve('/keys.txt'));
    expect(loadConfig({ EMQX_MQ__GC_INTERVAL: '"10m"' }).mq.gcIntervalMs).toBe(600_000);
    expect(loadConfig({ EMQX_DURABLE_STORAGE__MQ_MESSAGES__N_SHARDS: '4' }).mq.limitShards).toBe(4);
    expect(loadConfig({ EMQX_MQ__AUTO_CREATE__LASTVALUE: '{}' }).mq.autoCreateLastvalue).toEqual({});
    expect(
      loadConfig({ EMQX_MQ__MAX_QUEUE_COUNT: '5', SLUICE_MQ_MAX_QUEUE_COUNT: '6' }).mq.maxQueueCount,
    ).toBe(6);
  });

  test('other variables of EMQX are named for a warning and otherwise ignored [broker]', () => {
    const env = { EMQX_NODE__NAME: 'a@b', EMQX_MQ__ENABLE: 'true', PATH: '/bin' };
    expect(ignoredVariables(env)).toEqual(['EMQX_NODE__NAME']);
    expect(faultsOf(env)).toEqual([]);
  });
});

describe('faults', () => {
  test('all faults are reported at once, as one ERR_CONFIG [broker]', () => {
    const env = {
      SLUICE_MQTT_PORT: '70000',
      SLUICE_STORE: 'redis',
      SLUICE_MQTT_PROT: '1883',
      EMQX_MQ__GC_INTERVAL: '-10h',
      SLUICE_MQ_AUTO_CREATE_REGULAR: '[]',
    };
    expect(faultsOf(env)).toEqual([
      'SLUICE_MQTT_PROT is not a setting of Sluice; did you mean SLUICE_MQTT_PORT?',
      'SLUICE_MQTT_PORT "70000" is out of range: 0 to 65535',
      'SLUICE_STORE "redis" is not one of rocksdb, segment, memory',
      'EMQX_MQ__GC_INTERVAL "-10h" is not a duration: give whole milliseconds or a text such as 100ms, 10s, 1h30m or 7d',
      'SLUICE_MQ_AUTO_CREATE_REGULAR "[]" is not a JSON object or false',
    ]);
    expect(() => loadConfig(env)).toThrow(OperationalError);
    expect(() => loadConfig(env)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
    expect(() => loadConfig(env)).toThrow('5 faults in the configuration:\n  SLUICE_MQTT_PROT: is not');
  });

  test.each([
    ['SLUICE_SHARDS', '0', '"0" is out of range: 1 to 64'],
    ['SLUICE_SHARDS', '1.5', '"1.5" is not a whole number'],
    ['SLUICE_RING_BYTES', '5MB', '"5MB" is not a power of two'],
    ['SLUICE_HOST', 'a b', '"a b" is not a host name or an IP address'],
    ['SLUICE_MQ_REQUIRE_MQTT5', 'yes', '"yes" is not one of true, false'],
    ['SLUICE_MAX_PACKET_SIZE', '1TB', '"1TB" is out of range: 20B to 64MB'],
  ])('%s=%s is refused [broker]', (name, value, message) => {
    expect(faultsOf({ [name]: value })).toContain(`${name} ${message}`);
  });

  test('a name that resembles nothing gets no suggestion [broker]', () => {
    expect(faultsOf({ SLUICE_ZZZZZZZZZZZZZZZZZZ: '1' })).toEqual([
      'SLUICE_ZZZZZZZZZZZZZZZZZZ is not a setting of Sluice',
    ]);
  });

  test('settings that contradict each other are a fault [broker]', () => {
    expect(faultsOf({ SLUICE_RING_BYTES: '2MB' })).toEqual([
      'SLUICE_RING_BYTES must be at least four times SLUICE_MAX_PACKET_SIZE, so that the largest packet fits a busy ring',
    ]);
    expect(
      faultsOf({ SLUICE_MQ_AUTO_CREATE_REGULAR: '{}', SLUICE_MQ_AUTO_CREATE_LASTVALUE: '{}' }),
    ).toHaveLength(1);
    expect(faultsOf({ SLUICE_QUEUE_CACHE_BYTES: '128MB' })).toHaveLength(1);
  });

  test('without API keys the REST API cannot be opened beyond loopback [broker]', () => {
    expect(faultsOf({ SLUICE_HTTP_HOST: '0.0.0.0' })).toHaveLength(1);
    expect(faultsOf({ SLUICE_HTTP_HOST: 'broker.example' })).toHaveLength(1);
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
      expect(faultsOf({ SLUICE_HTTP_HOST: host })).toEqual([]);
    expect(faultsOf({ SLUICE_HTTP_HOST: '0.0.0.0', SLUICE_API_KEYS_FILE: 'keys' })).toEqual([]);
    expect(faultsOf({ SLUICE_HTTP_HOST: '0.0.0.0', SLUICE_HTTP_LOCAL_ACCESS: 'false' })).toEqual([]);
  });

  test("the variables of the project's own tests are not settings and not faults [broker]", () => {
    const env = Object.fromEntries(Object.keys(internalVariables).map((name) => [name, 'x']));
    expect(loadConfig(env)).toEqual(loadConfig({}));
  });
});
