import { describe, expect, test } from 'vitest';

import { createLogger } from '../../src/telemetry/logger.js';

function logged(format: 'json' | 'text', level = 'info') {
  const lines: string[] = [];
  const logger = createLogger({ level, format, stream: { write: (line) => void lines.push(line) } });
  return { logger, lines };
}

describe('json', () => {
  test('one object per line with time, level by name, message and fields [broker]', () => {
    const { logger, lines } = logged('json');
    logger.child({ module: 'shard', shard: 2 }).warn({ queue: '/jobs' }, 'log is slow');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/\n$/);
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
      module: 'shard',
      shard: 2,
      queue: '/jobs',
      msg: 'log is slow',
    });
  });

  test('what is below the level is not written [broker]', () => {
    const { logger, lines } = logged('json', 'warn');
    logger.info('quiet');
    expect(lines).toEqual([]);
  });

  test('passwords and secrets are hidden [broker]', () => {
    const { logger, lines } = logged('json');
    logger.info({ connect: { password: 'p4ss' }, authorization: 'Basic abc' }, 'x');
    expect(lines[0]).not.toMatch(/p4ss|Basic abc/);
  });
});

describe('text', () => {
  test('one plain line: time, level, module, message, fields; quoted only where needed [broker]', () => {
    const { logger, lines } = logged('text');
    logger.child({ module: 'broker' }).info({ mqtt: '127.0.0.1:1883', data: '/a b', shards: 3 }, 'ready');
    expect(lines[0]).toMatch(/^\S+Z INFO {2}broker: ready mqtt=127\.0\.0\.1:1883 data="\/a b" shards=3\n$/);
  });

  test('an error brings its stack [broker]', () => {
    const { logger, lines } = logged('text');
    logger.error(new Error('disk is full'), 'cannot write');
    expect(lines[0]).toContain('cannot write');
    expect(lines[0]).toMatch(/\nError: disk is full\n\s+at /);
  });
});
