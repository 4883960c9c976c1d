import type { RequestListener } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { describe, expect, test } from 'vitest';

import { ask } from '../../src/auth/http-question.js';
import { serve } from './fixture.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const silences: [string, RequestListener][] = [
  ['never answers', () => {}],
  ['begins an answer', (_, response) => response.writeHead(200).flushHeaders()],
  ['stops within an answer', (_, response) => void response.writeHead(200).write('half')],
];

/** Collects garbage until `question` has ended. */
async function endOf(question: Promise<unknown>): Promise<string> {
  let end: string | undefined;
  question.then(
    () => (end = 'answered'),
    (error: Error) => (end = error.message),
  );
  while (end === undefined) {
    collectGarbage();
    await sleep(10);
  }
  return end;
}

describe('a question over HTTP', () => {
  test.each(silences)(
    'ends at its time limit when the other side %s, whatever is collected meanwhile [broker]',
    async (_, listener) => {
      const url = await serve(listener);
      const closing = new AbortController().signal;
      const question = ask({ url, headers: {}, timeoutMs: 200, answerBytesMax: 100, closing });
      expect(await endOf(question)).toContain('timeout after 200 ms');
    },
  );

  test.each(silences)('ends with its asker when the other side %s [broker]', async (_, listener) => {
    const url = await serve(listener);
    const closing = new AbortController();
    const question = ask({
      url,
      headers: {},
      timeoutMs: 60_000,
      answerBytesMax: 100,
      closing: closing.signal,
    });
    setTimeout(() => closing.abort(new Error('closed')), 100);
    expect(await endOf(question)).toBe('closed');
  });

  test('is not asked by one that has closed [broker]', async () => {
    let asked = 0;
    const url = await serve((_, response) => {
      asked++;
      response.end();
    });
    const closing = AbortSignal.abort(new Error('closed'));
    await expect(ask({ url, headers: {}, timeoutMs: 1000, answerBytesMax: 100, closing })).rejects.toThrow(
      'closed',
    );
    expect(asked).toBe(0);
  });

  test('is asked again when the kept connection was closed meanwhile [broker]', async () => {
    let asked = 0;
    const url = await serve(({ socket }, response) => {
      if (asked++ === 1) socket.destroy();
      else response.end(`answer ${asked}`);
    });
    const question = {
      url,
      headers: {},
      timeoutMs: 5000,
      answerBytesMax: 100,
      closing: new AbortController().signal,
    };
    expect(await ask(question)).toEqual({ status: 200, text: 'answer 1' });
    expect(await ask(question)).toEqual({ status: 200, text: 'answer 3' });
  });
});
