import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createLogger, createLogging } from '../../src/telemetry/logger.js';

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

describe.each(['json', 'text'] as const)('texts from outside, as %s', (format) => {
  function logging() {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    return { lines, ...createLogging({ level: 'trace', format, stream }) };
  }

  test('a client id that looks like the begin of a key and holds a quotation mark is logged [broker]', () => {
    const { logger, lines, recent } = logging();
    logger.warn({ clientId: '-----BEGIN PRIVATE KEY-----x"y' }, 'refused');
    expect(lines).toHaveLength(1);
    expect(recent.entries('warn', 10)).toMatchObject([
      { message: 'refused', fields: { clientId: '[hidden]' } },
    ]);
  });

  test('no text in a message, a field, its name or an error makes a call throw or a line get lost [broker]', () => {
    const hostile = fc.constantFrom(
      '-----BEGIN PRIVATE KEY-----',
      '"',
      '\\',
      '"token":',
      '[',
      '}',
      '1.5',
      '\n',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(hostile, { maxLength: 8 }).map((parts) => parts.join('')),
    );
    const { logger, lines, recent } = logging();
    let kept = 0;
    recent.watch(() => kept++);
    fc.assert(
      fc.property(text, text, text, (name, value, message) => {
        lines.length = 0;
        kept = 0;
        logger.warn({ [name]: value, list: [value], clientId: value }, message);
        logger.child({ module: value, [name]: value }).error(new Error(value), message);
        logger.error(Object.assign(new Error(message), { stack: value, [`x${name}`]: value }));
        logger.warn(value);
        expect([lines.length, kept]).toEqual([4, 4]);
      }),
      { numRuns: 400 },
    );
  });

  test('a line that cannot be looked through is told without its content, and one that cannot be kept is written [broker]', () => {
    const { logger, lines, recent } = logging();
    // A pattern gives up on so many escapes in a row.
    logger.warn({ pem: `-----BEGIN PRIVATE KEY-----${'"'.repeat(12_000_000)}S3cr3t` }, 'long');
    expect(lines).toHaveLength(1);
    expect(lines[0]!.length).toBeLessThan(1000);
    expect(lines[0]).toContain('too long');
    expect(lines[0]).not.toContain('S3cr3t');
    expect(recent.entries('warn', 10)).toHaveLength(1);
    recent.add = () => {
      throw new Error('cannot keep it');
    };
    logger.warn('still there');
    expect(lines[1]).toContain('still there');
  });
});
