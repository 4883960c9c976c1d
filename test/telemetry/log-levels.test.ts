/** Levels by part, at the start and while running. Quick tier. */
import { expect, test } from 'vitest';

import { ConfigError, loadConfig } from '../../src/config/config.js';
import { logModules, type ModuleLevels } from '../../src/config/log-settings.js';
import { createLogging } from '../../src/telemetry/logger.js';
import { filesOf } from '../repository/tree.js';

function logging(level: string, levels: ModuleLevels = {}) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) };
  return { ...createLogging({ level, levels, format: 'json', stream }), lines };
}

test('a part has its own level from the start, the others that of all [broker]', () => {
  const { logger, lines } = logging('warn', { mqtt: 'debug' });
  logger.child({ module: 'mqtt' }).debug('mqtt');
  logger.child({ module: 'shard' }).info('shard');
  logger.child({ module: 'shard' }).warn('shard warns');
  logger.info('root');
  expect(lines).toEqual(['mqtt', 'shard warns']);
});

test('levels change while the broker runs, also for loggers below that of a part [broker]', () => {
  const { logger, lines, levels } = logging('info');
  const mqtt = logger.child({ module: 'mqtt' });
  const connection = mqtt.child({ connection: 7 });
  levels.change({ modules: { mqtt: 'debug' } });
  mqtt.debug('a');
  connection.debug('b');
  levels.change({ default: 'error' });
  mqtt.debug('c');
  logger.warn('not this');
  levels.change({ modules: { mqtt: 'default' } });
  connection.warn('nor this');
  mqtt.warn('nor that');
  mqtt.error('d');
  expect(lines).toEqual(['a', 'b', 'c', 'd']);
});

test('what is in force names every part, also one that has not logged yet [broker]', () => {
  const { levels } = logging('info', { shard: 'trace' });
  expect(levels.current.default).toBe('info');
  expect(Object.keys(levels.current.modules)).toEqual([...logModules].toSorted());
  expect(levels.current.modules).toMatchObject({ shard: 'trace', mqtt: 'info' });
  levels.change({ default: 'warn' });
  expect(levels.current.modules).toMatchObject({ shard: 'trace', mqtt: 'warn' });
});

test('SLUICE_LOG_LEVELS names parts that exist and levels that exist [broker]', () => {
  expect(loadConfig({ SLUICE_LOG_LEVELS: 'mqtt=debug, shard=WARN' }).logLevels).toEqual({
    mqtt: 'debug',
    shard: 'warn',
  });
  expect(loadConfig({}).logLevels).toEqual({});
  const fault = (text: string): string => {
    try {
      loadConfig({ SLUICE_LOG_LEVELS: text });
    } catch (error) {
      if (error instanceof ConfigError) return error.faults.map(({ message }) => message).join();
    }
    return '';
  };
  expect(fault('mqt=debug')).toContain('did you mean mqtt?');
  expect(fault('mqtt=loud')).toContain('"loud" is not one of trace, debug');
  expect(fault('mqtt')).toContain('"mqtt" is not of the form part=level');
  expect(fault('mqtt=debug,,')).toContain('not of the form');
  expect(fault('everything=debug')).toContain('there are audit, auth');
});

test('every part of the source that logs is one that may be given a level [broker]', () => {
  const named = filesOf('src', /\.ts$/).flatMap(({ text }) =>
    [...text.matchAll(/\.child\(\s*\{\s*module: '([^']+)'/g)].map(([, name]) => name),
  );
  expect(named).toContain('mqtt');
  expect(named.filter((name) => !logModules.some((known) => known === name))).toEqual([
    // An example in a comment.
  ]);
});
