/** The memory of warnings and errors. Quick tier. */
import { expect, test } from 'vitest';

import { ENTRIES_MAX, RecentLog, type LogEntry } from '../../src/telemetry/recent-log.js';
import { createLogging } from '../../src/telemetry/logger.js';

function line(level: string, msg: string, fields: object = {}): string {
  return `${JSON.stringify({ level, time: '2026-01-02T03:04:05.678Z', module: 'shard', ...fields, msg })}\n`;
}

test('an entry has time, level, part, message and all other fields of the line [broker]', () => {
  const recent = new RecentLog();
  recent.add(line('warn', 'slow disk', { shard: 2, err: { message: 'no' } }));
  expect(recent.entries('warn', 10)).toEqual([
    {
      timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      level: 'warn',
      module: 'shard',
      message: 'slow disk',
      fields: { shard: 2, err: { message: 'no' } },
    },
  ]);
});

test('the last entries of a level come oldest first, and fatal counts as error [broker]', () => {
  const recent = new RecentLog();
  for (const [level, message] of [
    ['warn', 'a'],
    ['error', 'b'],
    ['warn', 'c'],
    ['fatal', 'd'],
  ] as const) {
    recent.add(line(level, message));
  }
  const messages = (level: 'warn' | 'error', limit: number): string[] =>
    recent.entries(level, limit).map(({ message }) => message);
  expect(messages('warn', 10)).toEqual(['a', 'b', 'c', 'd']);
  expect(messages('warn', 2)).toEqual(['c', 'd']);
  expect(messages('error', 10)).toEqual(['b', 'd']);
});

test('it is bounded in entries and in bytes, and the oldest give way [broker]', () => {
  const recent = new RecentLog();
  for (let i = 0; i < ENTRIES_MAX + 5; i++) recent.add(line('warn', `m${i}`));
  const entries = recent.entries('warn', 10_000);
  expect(entries).toHaveLength(ENTRIES_MAX);
  expect(entries[0]?.message).toBe('m5');
  for (let i = 0; i < ENTRIES_MAX; i++) recent.add(line('warn', `large ${i}`, { text: 'x'.repeat(7000) }));
  const large = recent.entries('warn', 10_000);
  expect(large.length).toBeGreaterThan(100);
  expect(JSON.stringify(large).length).toBeLessThan(1.1 * 1024 * 1024);
  expect(large.at(-1)?.message).toBe(`large ${ENTRIES_MAX - 1}`);
});

test('a huge line is kept in part [broker]', () => {
  const recent = new RecentLog();
  recent.add(line('error', 'y'.repeat(100_000), { text: 'x'.repeat(100_000) }));
  const [entry] = recent.entries('warn', 1);
  expect(entry?.message).toHaveLength(4096);
  expect(entry?.fields).toEqual({ cut: true });
});

test('watchers hear of new entries until they leave; one that throws harms nobody and hears no more [broker]', () => {
  const recent = new RecentLog();
  const heard: string[] = [];
  let calls = 0;
  recent.watch(() => {
    calls++;
    throw new Error('watcher');
  });
  const hear = (entry: LogEntry): void => void heard.push(entry.message);
  const stop = recent.watch(hear);
  const stopAgain = recent.watch(hear);
  recent.add(line('warn', 'a'));
  stop();
  recent.add(line('warn', 'b'));
  stopAgain();
  recent.add(line('warn', 'c'));
  expect(heard).toEqual(['a', 'a', 'b']);
  expect(calls).toBe(1);
});

test('a watcher that logs does not go round in circles [broker]', () => {
  const { logger, recent } = createLogging({
    level: 'info',
    format: 'json',
    stream: { write: () => undefined },
  });
  recent.watch(({ message }) => logger.warn(`heard ${message}`));
  logger.warn('a');
  expect(recent.entries('warn', 10).map(({ message }) => message)).toEqual(['a', 'heard a']);
});

test('it takes what the log writes from `warn` on, under the part that wrote it [broker]', () => {
  const { logger, recent } = createLogging({
    level: 'debug',
    format: 'text',
    stream: { write: () => undefined },
  });
  const shard = logger.child({ module: 'shard' });
  shard.info('no');
  shard.warn({ shard: 1, secret: 'p4ss' }, 'yes');
  logger.fatal(new Error('broken'), 'end');
  expect(recent.entries('warn', 10)).toMatchObject([
    { level: 'warn', module: 'shard', message: 'yes', fields: { shard: 1, secret: '[hidden]' } },
    { level: 'error', module: 'broker', message: 'end', fields: { err: { message: 'broken' } } },
  ]);
});
