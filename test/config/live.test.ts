/** A file of settings below the environment, and what of two configurations differs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ConfigError, loadConfig } from '../../src/config/config.js';
import { parseEnvFile, readEnvironment } from '../../src/config/env-file.js';
import { changedSettings } from '../../src/config/live.js';
import { sections } from '../../src/config/schema.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-live-'));
  file = join(folder, 'sluice.env');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function faultsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ variable, message }) => `${variable} ${message}`);
  }
  return [];
}

describe('a file of settings', () => {
  test('holds NAME=value, comments, quotes and what a shell would export [broker]', () => {
    const text = [
      '\uFEFF# a comment',
      'A=1',
      '  export B = two words  ',
      'C="quoted # no comment"',
      'D=\'single "inside"\'',
      'E=',
      'F=a=b#c',
      '',
      'G="{\\"raw\\":1}"\r',
    ].join('\n');
    expect(parseEnvFile(text, 'f')).toEqual({
      A: '1',
      B: 'two words',
      C: 'quoted # no comment',
      D: 'single "inside"',
      E: '',
      F: 'a=b#c',
      G: '{\\"raw\\":1}',
    });
  });

  test('tells every line that is no setting, by its number [broker]', () => {
    const text = 'A=1\nwhat is this\n1B=2\nC="open\nA=2\nSLUICE_ENV_FILE=other\n';
    expect(faultsOf(() => parseEnvFile(text, 'f'))).toEqual([
      'f line 2 is not NAME=value',
      'f line 3 is not NAME=value',
      'f line 4 a quote is not closed',
      'f line 5 A stands there twice',
      'f line 6 SLUICE_ENV_FILE cannot stand in the file',
    ]);
  });

  test('lies below the environment, whichever name of a setting that uses [broker]', () => {
    writeFileSync(
      file,
      'SLUICE_MQTT_PORT=1\nSLUICE_HTTP_PORT=2\nSLUICE_MQ_MAX_QUEUE_COUNT=3\nSLUICE_LOG_LEVEL=warn\nEMQX_MQ__ENABLE=false\n',
    );
    const env = {
      SLUICE_ENV_FILE: file,
      SLUICE_MQTT_PORT: '11',
      SLUICE_HTTP_PORT: '',
      EMQX_MQ__MAX_QUEUE_COUNT: '33',
      SLUICE_MQ_ENABLE: 'true',
    };
    const config = loadConfig(readEnvironment(env));
    expect(config).toMatchObject({ mqttPort: 11, httpPort: 2, logLevel: 'warn', envFile: file });
    expect(config.mq).toMatchObject({ maxQueueCount: 33, enable: 'true' });
  });

  test('is not asked for when none is named, and a fault when it cannot be read or has an unknown setting [broker]', () => {
    const env = { SLUICE_MQTT_PORT: '7' };
    expect(readEnvironment(env)).toBe(env);
    expect(readEnvironment({ ...env, SLUICE_ENV_FILE: 'none' })).toMatchObject(env);
    expect(faultsOf(() => readEnvironment({ SLUICE_ENV_FILE: join(folder, 'gone') }))[0]).toMatch(
      /^SLUICE_ENV_FILE .*cannot be read: ENOENT/,
    );
    expect(faultsOf(() => readEnvironment({ SLUICE_ENV_FILE: folder }))[0]).toMatch(/cannot be read/);
    writeFileSync(file, `A=${'x'.repeat(1 << 20)}`);
    expect(faultsOf(() => readEnvironment({ SLUICE_ENV_FILE: file }))[0]).toMatch(/larger than/);
    writeFileSync(file, 'SLUICE_MQTT_PROT=1\n');
    expect(faultsOf(() => loadConfig(readEnvironment({ SLUICE_ENV_FILE: file })))).toEqual([
      'SLUICE_MQTT_PROT is not a setting of Sluice; did you mean SLUICE_MQTT_PORT?',
    ]);
  });
});

describe('two configurations', () => {
  test('differ in the settings that have another value, live ones told from the others [broker]', () => {
    const before = loadConfig({ SLUICE_LOG_LEVELS: 'mqtt=debug' });
    const after = loadConfig({
      SLUICE_LOG_LEVELS: 'mqtt=warn',
      SLUICE_MAX_CONNECTIONS: '5',
      SLUICE_DURABILITY: 'process',
      SLUICE_MQ_MAX_QUEUE_COUNT: '3',
      SLUICE_WS_ORIGINS: 'any',
    });
    expect(changedSettings(before, before)).toEqual([]);
    expect(
      changedSettings(before, after).map(({ variable, field, live }) => [variable, field, live]),
    ).toEqual([
      ['SLUICE_DURABILITY', 'durability', false],
      ['SLUICE_MAX_CONNECTIONS', 'connectionsMax', true],
      ['SLUICE_LOG_LEVELS', 'logLevels', true],
      ['SLUICE_MQ_MAX_QUEUE_COUNT', 'maxQueueCount', false],
    ]);
  });

  test('no setting that is read at the start alone, names a file or may be a secret is called live [broker]', () => {
    const live = sections.flatMap(({ fields }) =>
      Object.entries(fields).filter(([, each]) => each.live === true),
    );
    expect(live.length).toBeGreaterThan(10);
    for (const [field, { name, type }] of live) {
      expect(['path', 'address', 'JSON', 'list'], name).not.toContain(type);
      expect(name).not.toMatch(/PASSWORD|SECRET|SHARDS|STORE|DATA/);
      expect(field).not.toMatch(/^(maximumPacketSize|receiveMaximum|topicAliasMaximum)$/);
    }
  });
});
