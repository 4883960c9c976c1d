/** Lines that are written again and again. Quick tier. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { MESSAGES_MAX, REPEAT_WINDOW_MS } from '../../src/telemetry/log-repeats.js';
import { createLogging } from '../../src/telemetry/logger.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function logging(repeatsMax: number) {
  const lines: { msg: string; level: string; module?: string; repeated?: number; n?: number }[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0]) };
  return { ...createLogging({ level: 'debug', format: 'json', repeatsMax, stream }), lines };
}

test('the first lines of a message are written, the others counted and told when the window is over [broker]', () => {
  const { logger, lines } = logging(3);
  const shard = logger.child({ module: 'shard' });
  for (let n = 1; n <= 10; n++) shard.warn({ n }, 'slow');
  expect(lines.map(({ n }) => n)).toEqual([1, 2, 3]);
  vi.advanceTimersByTime(REPEAT_WINDOW_MS);
  expect(lines.slice(3)).toMatchObject([{ msg: 'slow', level: 'warn', module: 'shard', repeated: 7 }]);
  shard.warn({ n: 11 }, 'slow');
  expect(lines.at(-1)).toMatchObject({ n: 11 });
  vi.advanceTimersByTime(10 * REPEAT_WINDOW_MS);
  expect(lines).toHaveLength(5);
});

test('parts, levels and messages are counted apart, and values in a message are not part of it [broker]', () => {
  const { logger, lines } = logging(1);
  const a = logger.child({ module: 'mqtt' });
  const b = logger.child({ module: 'auth' });
  for (const log of [a, b]) {
    log.warn('x');
    log.warn('x');
    log.error('x');
    log.warn('y');
    log.warn('z %s', 1);
    log.warn('z %s', 2);
    log.warn(new Error('e'));
    log.warn(new Error('e'));
  }
  expect(lines.map(({ module, level, msg }) => `${module} ${level} ${msg}`)).toEqual(
    ['mqtt', 'auth'].flatMap((part) =>
      ['warn x', 'error x', 'warn y', 'warn z 1', 'warn e'].map((text) => `${part} ${text}`),
    ),
  );
});

test('fatal, debug and the audit log are never held back, and 0 holds nothing back [broker]', () => {
  const { logger, lines } = logging(1);
  const audit = logger.child({ module: 'audit' });
  for (let i = 0; i < 5; i++) {
    logger.fatal('f');
    logger.debug('d');
    audit.info('who did what');
  }
  expect(lines).toHaveLength(15);
  const free = logging(0);
  for (let i = 0; i < 100; i++) free.logger.warn('w');
  expect(free.lines).toHaveLength(100);
});

test('what is held back is told before the end [broker]', () => {
  const { logger, lines, flush } = logging(1);
  for (let i = 0; i < 5; i++) logger.error('e');
  flush();
  expect(lines).toMatchObject([{ msg: 'e' }, { msg: 'e', repeated: 4 }]);
  expect(vi.getTimerCount()).toBe(0);
});

test('messages without number take no memory without number: those beyond the bound are written [broker]', () => {
  const { logger, lines } = logging(1);
  for (let i = 0; i < MESSAGES_MAX + 10; i++) logger.warn(`message ${i}`);
  for (let i = 0; i < MESSAGES_MAX + 10; i++) logger.warn(`message ${i}`);
  expect(lines).toHaveLength(MESSAGES_MAX + 20);
  vi.advanceTimersByTime(REPEAT_WINDOW_MS);
  expect(lines.filter(({ repeated }) => repeated === 1)).toHaveLength(MESSAGES_MAX);
});
