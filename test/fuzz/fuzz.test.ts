import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { caseOf, targetNames } from '../../fuzz/case.mjs';
import { connectBytes, packetBytes, packetTypes } from '../../fuzz/corpus.mjs';
import { minimise } from '../../fuzz/minimise.mjs';
import { mutate, packetsOf, putTogether, takeApart, varint } from '../../fuzz/mutation.mjs';
import { randomOf } from '../../fuzz/random.mjs';
import { judgeDelays, judgeLive, judgeMemory, median, quantile } from '../../fuzz/verdict.mjs';
import { parseControlFrame } from '../../src/mqtt/control-frame.js';

function hashOf(seed: number, targets: readonly string[]): string {
  const hash = createHash('sha256');
  for (let index = 0; index < 300; index++) {
    for (const bytes of caseOf(seed, index, targets).writes) hash.update(bytes);
  }
  return hash.digest('hex');
}

describe('cases of the fuzzer', () => {
  test('seed and index name the bytes, and other seeds make others [broker]', () => {
    expect(hashOf(1, targetNames)).toBe(hashOf(1, targetNames));
    expect(hashOf(1, targetNames)).not.toBe(hashOf(2, targetNames));
    for (const target of targetNames) expect(hashOf(1, [target])).toBe(hashOf(1, [target]));
  });

  test('every target and every end of a connection occurs [broker]', () => {
    const cases = Array.from({ length: 500 }, (_, index) => caseOf(3, index, targetNames));
    expect(new Set(cases.map(({ target }) => target))).toEqual(new Set(targetNames));
    expect(new Set(cases.map(({ end }) => end))).toEqual(new Set(['finish', 'reset', 'wait']));
  });

  test('the start of every mutation is valid: CONNECT in all versions, every type of packet [broker]', () => {
    for (const version of [3, 4, 5] as const) {
      for (let index = 0; index < 200; index++) {
        const connect = connectBytes(randomOf(4, index), version);
        expect(parseControlFrame(connect, version).cmd, connect.toString('hex')).toBe('connect');
      }
      const types = new Set<number>();
      for (let index = 0; index < 400; index++) {
        const random = randomOf(5, index);
        types.add((packetBytes(random, random.pick(packetTypes), version)[0] ?? 0) >> 4);
      }
      expect(types.size).toBe(15);
    }
  });

  test('a mutation leaves its input alone and mostly changes it, with a right and with a wrong length [broker]', () => {
    const start = putTogether(0x30, Buffer.from('000161' + '00'.repeat(40), 'hex'));
    const before = start.toString('hex');
    let changed = 0;
    let wrong = 0;
    for (let index = 0; index < 1000; index++) {
      const mutated = mutate(start, randomOf(6, index));
      if (mutated.toString('hex') !== before) changed++;
      const { first, body } = takeApart(mutated);
      if (!putTogether(first, body).equals(mutated)) wrong++;
    }
    expect(start.toString('hex')).toBe(before);
    expect(changed).toBeGreaterThan(900);
    expect(wrong).toBeGreaterThan(100);
    expect(wrong).toBeLessThan(500);
  });

  test('bytes are cut into packets by their lengths, and a broken end stays [broker]', () => {
    const packets = [
      Buffer.from('c000', 'hex'),
      putTogether(0x30, Buffer.alloc(200)),
      Buffer.from('3005', 'hex'),
    ];
    expect(packetsOf(Buffer.concat(packets))).toEqual(packets);
    expect(packetsOf(Buffer.alloc(0))).toEqual([]);
    expect(packetsOf(Buffer.from('30ffffffff7f', 'hex'))).toHaveLength(1);
  });

  test('a variable byte integer can be made longer than it should be [broker]', () => {
    expect(varint(0).toString('hex')).toBe('00');
    expect(varint(128).toString('hex')).toBe('8001');
    expect(varint(1, 2).toString('hex')).toBe('818000');
    expect(varint(268_435_455).toString('hex')).toBe('ffffff7f');
  });
});

describe('what the fuzzer makes of a run', () => {
  const mb = 1024 * 1024;

  test('memory that stays is good, memory that grows is not, a short run is not judged [broker]', () => {
    const flat = Array.from({ length: 100 }, (_, i) => (i < 20 ? 50 + i : 100 + (i % 7)) * mb);
    const growing = Array.from({ length: 100 }, (_, i) => (100 + i * 2) * mb);
    expect(judgeMemory(flat).trouble).toBeUndefined();
    expect(judgeMemory(growing).trouble).toMatch(/^memory grew from \d+ to \d+ MB/);
    expect(judgeMemory(growing.slice(0, 20)).trouble).toBeUndefined();
  });

  test('what stays alive per connection is a leak when it neither is small nor levels off [broker]', () => {
    const points = (bytesAt: (at: number) => number) =>
      Array.from({ length: 60 }, (_, at) => ({
        connections: at * 1000,
        bytes: 50 * mb + bytesAt(at) + (at % 5) * 100_000,
      }));
    expect(judgeLive(points(() => 0)).trouble).toBeUndefined();
    expect(judgeLive(points((at) => at * 1000 * 200)).trouble).toMatch(
      /^20\d bytes stay alive per connection: \d+ MB since/,
    );
    // A set that fills up to its bound.
    expect(judgeLive(points((at) => Math.min(at, 35) * 1000 * 400)).trouble).toBeUndefined();
    expect(judgeLive(points((at) => at * 1000 * 20)).trouble).toBeUndefined();
    expect(judgeLive(points((at) => at * 1000 * 200).slice(0, 10)).trouble).toBeUndefined();
  });

  test('healthy clients must have exchanged messages in time [broker]', () => {
    const delays = Array.from({ length: 1000 }, (_, at) => (at < 985 ? 5 : 900));
    expect(judgeDelays(delays, 1000)).toBeUndefined();
    expect(judgeDelays(delays, 500)).toMatch(/took longer than 900 ms/);
    expect(judgeDelays([], 1000)).toMatch(/exchanged nothing/);
  });

  test('median and quantile [broker]', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(quantile([4, 1, 3, 2], 1)).toBe(4);
    expect(quantile([4, 1, 3, 2], 0)).toBe(1);
    expect(median([])).toBeNaN();
  });

  test('a failing input is made small: one connection, the bytes that matter [broker]', async () => {
    const noise = (length: number): Buffer => Buffer.alloc(length, 0x20);
    const cases = Array.from({ length: 40 }, (_, at) => ({
      target: 'mqtt',
      end: 'wait',
      writes:
        at === 23
          ? [noise(30), Buffer.concat([noise(5), Buffer.from('bad')]), noise(9)]
          : [noise(10), noise(3)],
    }));
    let tries = 0;
    const smallest = await minimise(
      cases,
      (some: typeof cases) => {
        tries++;
        return Promise.resolve(some.some(({ writes }) => Buffer.concat(writes).includes('bad')));
      },
      (bytes: Buffer) => [bytes.subarray(0, 9), bytes.subarray(9)],
      500,
    );
    expect(smallest).toHaveLength(1);
    expect(Buffer.concat(smallest[0]?.writes ?? []).toString()).toBe('bad');
    expect(tries).toBeLessThanOrEqual(500);
  });
});
