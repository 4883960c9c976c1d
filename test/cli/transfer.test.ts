import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { testScope } from '../harness/scope.js';
import { type Asked, failure, run, serve } from './harness.js';

const root = '/api/v5/message_queues/queues';
const jobs = {
  name: '/jobs',
  topic_filter: 'jobs',
  is_lastvalue: false,
  paused: false,
  max_messages: 'infinity',
};
const state = {
  name: 'state',
  topic_filter: 'state/#',
  is_lastvalue: true,
  paused: false,
  key_expression: 'message.topic',
};
const message = {
  offset: 0,
  topic: 'jobs',
  from: 'c',
  qos: 1,
  retain: false,
  timestamp: 1,
  delivery_attempt: 0,
  state: 'ready',
  properties: {},
  payload: 'eA==',
  payload_encoding: 'base64',
  payload_size: 1,
};

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-transfer-'));
  testScope().add(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A broker with two queues, one message in each page of `jobs`. */
function answer({ method, url }: Asked): [number, unknown] {
  const { pathname, searchParams } = new URL(url, 'http://x');
  if (method === 'POST') return [200, {}];
  if (pathname === root) return [200, { data: [jobs, state], meta: { hasnext: false } }];
  if (pathname === `${root}/state/messages`) return [200, { data: [], meta: { hasnext: false } }];
  if (pathname.endsWith('/messages')) {
    const offset = Number(searchParams.get('cursor') ?? 0);
    const meta = offset < 2 ? { hasnext: true, cursor: String(offset + 1) } : { hasnext: false };
    return [200, { data: [{ ...message, offset }], meta }];
  }
  return pathname === `${root}/%2Fjobs`
    ? [200, jobs]
    : [404, failure('NOT_FOUND', 'Message queue not found')];
}

/** Lines of an export with these queues and messages, whole and right. */
function exported(queues: readonly object[], messages: readonly object[]): object[] {
  return [
    { type: 'sluice-queues', version: 1, queues: queues.length },
    ...queues.map((queue) => ({ type: 'queue', ...queue })),
    ...messages.map((one) => ({ type: 'message', ...one })),
    { type: 'end', queues: queues.length, messages: messages.length },
  ];
}

function fileWith(lines: readonly object[]): string {
  const file = join(temporary(), 'file.jsonl');
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return file;
}

describe('queues export', () => {
  test('writes all queues, and with --messages all pages of all messages [broker]', async () => {
    const broker = await serve(testScope(), answer);
    const { code, out } = await run(['queues', 'export', '-m'], { env: broker.env });
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(
      exported(
        [jobs, state],
        [0, 1, 2].map((offset) => ({ queue: '/jobs', ...message, offset })),
      ),
    );
    const named = await run(['queues', 'export', '/jobs'], { env: broker.env });
    expect(named.out.split('\n')).toHaveLength(4);
  });

  test('a file appears when it is whole, and not at all when the export fails [broker]', async () => {
    const broker = await serve(testScope(), answer);
    const folder = temporary();
    const file = join(folder, 'all.jsonl');
    const done = await run(['queues', 'export', '-o', file], { env: broker.env });
    expect(done).toMatchObject({ code: 0, out: `2 queues and 0 messages written to ${file}\n` });
    expect(readFileSync(file, 'utf8')).toContain('"type":"end","queues":2');
    const failing = await run(['queues', 'export', 'none', '-o', join(folder, 'none')], { env: broker.env });
    expect(failing.code).toBe(4);
    const dying = await serve(testScope(), (asked) =>
      asked.url.includes('cursor') ? [500, failure('INTERNAL_ERROR', 'x')] : answer(asked),
    );
    const half = await run(['queues', 'export', '-m', '-o', join(folder, 'half')], { env: dying.env });
    expect(half.code).toBe(1);
    expect(readdirSync(folder)).toEqual(['all.jsonl']);
  });
});

describe('queues export, interrupted', () => {
  test('nothing is kept [broker]', async () => {
    const folder = temporary();
    let interrupt: (() => void) | undefined;
    // While a page is awaited, and between two of them.
    for (const isSilent of [true, false]) {
      const broker = await serve(testScope(), (asked) => {
        if (!asked.url.includes('cursor')) return answer(asked);
        interrupt?.();
        return isSilent ? undefined : answer(asked);
      });
      const onInterrupt = (listener: () => void): (() => void) => {
        interrupt = listener;
        return () => (interrupt = undefined);
      };
      const argv = ['queues', 'export', '-m', '-o', join(folder, 'all.jsonl')];
      const result = await run(argv, { env: broker.env, onInterrupt });
      expect(result).toMatchObject({ code: 1, err: 'sluice: interrupted; nothing was kept\n' });
      expect(interrupt).toBeUndefined();
    }
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('queues import', () => {
  test('creates what is there, without the name of a queue that had none [broker]', async () => {
    const broker = await serve(testScope(), answer);
    const file = fileWith(exported([jobs, state], [{ queue: '/jobs', ...message }]));
    const { code, out } = await run(['queues', 'import', file], { env: broker.env });
    expect(code).toBe(0);
    expect(out).toContain('2 queues created, 0 skipped, 0 messages published; 1 messages left out');
    const { name: _, ...unnamed } = jobs;
    expect(broker.asked.map(({ body }) => body)).toEqual([unnamed, state]);
  });

  test('stops at a queue that exists, and passes over it with --skip-existing [broker]', async () => {
    const broker = await serve(testScope(), ({ body }) =>
      (body as { name?: string }).name === undefined ? [400, failure('ALREADY_EXISTS', 'exists')] : [200, {}],
    );
    const file = fileWith(exported([jobs, state], []));
    const stopped = await run(['queues', 'import', file], { env: broker.env });
    expect(stopped).toMatchObject({ code: 4, err: expect.stringContaining('--skip-existing') as string });
    expect(broker.asked).toHaveLength(1);
    const { code, out } = await run(['queues', 'import', file, '--skip-existing', '--json'], {
      env: broker.env,
    });
    expect({ code, result: JSON.parse(out) as unknown }).toEqual({
      code: 0,
      result: { created: ['state'], skipped: ['/jobs'], messages: 0 },
    });
  });

  const whole = exported([jobs], [{ queue: '/jobs', ...message }]);
  test.each([
    ['without its last line', whole.slice(0, -1), 'its last line is missing'],
    ['without one of its messages', [...whole.slice(0, 2), ...whole.slice(3)], 'its counts are not'],
    ['with something behind it', [...whole, { type: 'queue' }], 'lines after the last one'],
    ['of another kind', [{ type: 'x' }, ...whole], 'its first line is not that of an export'],
    ['of a later version', [{ type: 'sluice-queues', version: 2 }, ...whole.slice(1)], 'has version 2'],
    ['with an unknown line', [whole[0] ?? {}, { type: 'x' }, ...whole.slice(1)], 'unknown type "x"'],
    ['that is empty', [], 'its last line is missing'],
    ['of lines that are none', [[]], 'line 1 is not a line of an export'],
  ])('a file %s is refused, and nothing is changed [broker]', async (_, lines, reason) => {
    const broker = await serve(testScope(), answer);
    const result = await run(['queues', 'import', fileWith(lines)], { env: broker.env });
    expect(result).toMatchObject({ code: 1, out: '' });
    expect(result.err).toContain(reason);
    expect(broker.asked).toEqual([]);
  });

  test('a file that is not there is wrong use [broker]', async () => {
    const result = await run(['queues', 'import', join(temporary(), 'none')]);
    expect(result).toMatchObject({ code: 2, err: expect.stringContaining('ENOENT') as string });
  });

  test.each([
    ['fills two queues of the file', [jobs, { ...state, topic_filter: '+' }], 'jobs fills /jobs and state'],
    ['fills one that exists besides', [jobs], 'jobs fills /jobs and all'],
    [
      'belongs to a key of the publisher',
      [{ ...jobs, is_lastvalue: true, key_expression: "concat([message.from, '/'])" }],
      'comes from the publisher',
    ],
    ['belongs to a queue that is not in it', [], 'not the queue'],
  ])('a message that %s is refused before anything is created [broker]', async (_, queues, reason) => {
    const broker = await serve(testScope(), ({ method }) =>
      method === 'GET'
        ? [200, { data: reason.endsWith('all') ? [{ name: 'all', topic_filter: '#' }] : [], meta: {} }]
        : [500, {}],
    );
    const file = fileWith(exported(queues, [{ queue: '/jobs', ...message }]));
    const result = await run(['queues', 'import', file, '--messages'], { env: broker.env });
    expect(result).toMatchObject({ code: 4, out: '' });
    expect(result.err).toContain(reason);
    expect(broker.asked.map(({ method }) => method)).toEqual(['GET']);
  });
});
