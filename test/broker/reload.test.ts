/** Settings that are read again: what changes, what waits, and what a faulty file does, namely nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { SettingsReload, valuesOf } from '../../src/broker/reload.js';
import { loadConfig } from '../../src/config/config.js';
import { readEnvironment } from '../../src/config/env-file.js';
import type { SettingChange } from '../../src/config/live.js';
import { createLogging } from '../../src/telemetry/logger.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-reload-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function setUp(text: string) {
  const file = join(folder, 'sluice.env');
  writeFileSync(file, text);
  const env = { SLUICE_ENV_FILE: file, SLUICE_RETAINED_MAX: '11' };
  const config = loadConfig(readEnvironment(env));
  const lines: { level: string; msg: string; [field: string]: unknown }[] = [];
  const logging = createLogging({
    level: config.logLevel,
    levels: config.logLevels,
    format: 'json',
    stream: { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
  });
  const applied: SettingChange[] = [];
  const reload = new SettingsReload({
    config,
    env,
    levels: logging.levels,
    logger: logging.logger,
    apply: (changes) => void applied.push(...changes),
  });
  return { reload, logging, applied, lines, write: (next: string) => writeFileSync(file, next) };
}

test('live settings are put in force once, and the others are named as waiting for a restart each time [broker]', () => {
  const { reload, applied, lines, write } = setUp('SLUICE_MAX_CONNECTIONS=100\n');
  expect(reload.run()).toBe(true);
  expect(applied).toEqual([]);
  expect(lines).toEqual([]);

  write('SLUICE_MAX_CONNECTIONS=7\nSLUICE_SHARDS=3\nSLUICE_RETAINED_MAX=99\n');
  expect(reload.run()).toBe(true);
  // What the environment sets, the file does not change.
  expect(valuesOf(applied)).toEqual({ connectionsMax: 7 });
  expect(lines).toMatchObject([
    { level: 'info', msg: 'settings have changed', changed: ['SLUICE_MAX_CONNECTIONS=7'] },
    { level: 'warn', msg: 'these settings change with the next start', settings: ['SLUICE_SHARDS'] },
  ]);

  expect(reload.run()).toBe(true);
  expect(applied).toHaveLength(1);
  expect(lines.slice(2)).toMatchObject([{ level: 'warn', settings: ['SLUICE_SHARDS'] }]);

  write('');
  expect(reload.run()).toBe(true);
  expect(valuesOf(applied)).toEqual({ connectionsMax: 100_000 });
});

test('a file with a fault changes nothing, and all its faults are told [broker]', () => {
  const { reload, applied, lines, write } = setUp('');
  for (const text of [
    'SLUICE_MAX_CONNECTIONS=7\nSLUICE_MAX_CONECTIONS=8\n',
    'SLUICE_MAX_CONNECTIONS=7\nno setting\n',
    'SLUICE_MAX_CONNECTIONS=7\nSLUICE_SESSIONS_MAX=-1\n',
    'SLUICE_MAX_CONNECTIONS=7\nSLUICE_QUEUE_CACHE_BYTES=1GB\n',
  ]) {
    write(text);
    expect(reload.run()).toBe(false);
  }
  expect(applied).toEqual([]);
  expect(lines).toHaveLength(4);
  for (const line of lines) expect(line).toMatchObject({ level: 'error', faults: [expect.any(String)] });
  rmSync(join(folder, 'sluice.env'));
  expect(reload.run()).toBe(false);
});

test('levels of the log follow the file, and those that REST has set stay when the file says nothing new [broker]', () => {
  const { reload, logging, write } = setUp(
    'SLUICE_LOG_LEVEL=warn\nSLUICE_LOG_LEVELS=mqtt=debug,auth=error\n',
  );
  logging.levels.change({ modules: { shard: 'trace' } });
  write('SLUICE_LOG_LEVEL=warn\nSLUICE_LOG_LEVELS=auth=info\n');
  expect(reload.run()).toBe(true);
  expect(logging.levels.current).toMatchObject({
    default: 'warn',
    modules: { mqtt: 'warn', auth: 'info', shard: 'trace', http: 'warn' },
  });
  logging.levels.change({ default: 'debug' });
  expect(reload.run()).toBe(true);
  expect(logging.levels.current.default).toBe('debug');
});
