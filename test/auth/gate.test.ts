import { describe, expect, test } from 'vitest';

import { Gate } from '../../src/auth/gate.js';

/** A job that ends when it is told to. */
function job() {
  let end: (fails: boolean) => void = () => {};
  const state = { isRunning: false };
  const run = (): Promise<string> => {
    state.isRunning = true;
    return new Promise((resolve, reject) => {
      end = (fails) => (fails ? reject(new Error('failed')) : resolve('done'));
    });
  };
  return { state, run, end: (fails = false) => end(fails) };
}

describe('a gate', () => {
  test('it runs so many at a time, starts the others in their order, and turns away what is too much [broker]', async () => {
    const gate = new Gate(2, 2);
    const jobs = Array.from({ length: 5 }, job);
    const answers = jobs.map(({ run }) => gate.run(run));
    const running = () => jobs.map(({ state }) => state.isRunning);
    expect(running()).toEqual([true, true, false, false, false]);
    expect(answers[4]).toBeUndefined();
    expect([gate.active, gate.waiting]).toEqual([2, 2]);
    jobs[1]?.end();
    expect(await answers[1]).toBe('done');
    expect(running()).toEqual([true, true, true, false, false]);
    jobs[0]?.end();
    jobs[2]?.end();
    expect(await Promise.all([answers[0], answers[2]])).toEqual(['done', 'done']);
    jobs[3]?.end();
    expect(await answers[3]).toBe('done');
    expect([gate.active, gate.waiting]).toEqual([0, 0]);
  });

  test('a job that fails gives its place away, and its caller alone is told [broker]', async () => {
    const gate = new Gate(1, 1);
    const [first, second] = [job(), job()];
    const answers = [gate.run(first.run), gate.run(second.run)] as const;
    first.end(true);
    await expect(answers[0]).rejects.toThrow('failed');
    expect(second.state.isRunning).toBe(true);
    second.end();
    expect(await answers[1]).toBe('done');
  });

  test('a long line is worked off in order and leaves nothing behind [broker]', async () => {
    const gate = new Gate(1, 5000);
    const order: number[] = [];
    const answers = Array.from({ length: 5001 }, (_, index) =>
      gate.run(() => {
        order.push(index);
        return Promise.resolve(index);
      }),
    );
    expect(gate.run(() => Promise.resolve(0))).toBeUndefined();
    for (const answer of answers) await answer;
    expect(order).toEqual(Array.from({ length: 5001 }, (_, index) => index));
    expect([gate.active, gate.waiting]).toEqual([0, 0]);
  });
});
