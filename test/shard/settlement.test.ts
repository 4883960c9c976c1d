import { describe, expect, test } from 'vitest';
import { RingReader, RingWriter, createRingMemory } from '../../src/base/ring.js';
import type { Publisher, PublishStatus } from '../../src/shard/link.js';
import { Outstanding, type SettleTarget } from '../../src/shard/outstanding.js';
import { FrameType } from '../../src/shard/protocol.js';
import { Settlement } from '../../src/shard/settlement.js';
import { Random, testSeed } from '../mqtt/random.js';

/** A publisher that keeps what it is told, as [token, count, status]. */
function recorder(): { target: SettleTarget; told: [number, number, PublishStatus][] } {
  const told: [number, number, PublishStatus][] = [];
  const publisher: Publisher = {
    context: { clientId: 'p', username: undefined, peername: '', protocolVersion: 5 },
    onSettled: (token, count, status) => told.push([token, count, status]),
  };
  return { target: { publisher }, told };
}

/** Reads settlement frames into `outstanding` as the main thread does. */
function receive(reader: RingReader, outstanding: Outstanding): void {
  for (let at = reader.next(); at >= 0; at = reader.next()) {
    const word = at >> 2;
    if (reader.words[word + 1] === FrameType.settled) {
      for (let count = reader.words[word + 2] as number; count > 0; count--) outstanding.settle(0);
    } else {
      expect(reader.words[word + 1]).toBe(FrameType.settledPartly);
      outstanding.settlePartly(reader.words, word + 3, reader.words[word + 2] as number);
    }
  }
  reader.release();
}

describe('settlement', () => {
  test('every publish is settled once, in order, with its own status, however full the ring is [broker]', () => {
    const seed = testSeed();
    const random = new Random(seed);
    const memory = createRingMemory(4096);
    const writer = new RingWriter(memory);
    const reader = new RingReader(memory);
    const outstanding = new Outstanding();
    const { target, told } = recorder();
    const settled = new Settlement();
    const expected: [number, PublishStatus][] = [];
    let token = 2 ** 32 - 3000;
    for (let turn = 0; turn < 600; turn++) {
      const ofTurn = new Settlement();
      for (let frame = random.below(6); frame > 0; frame--) {
        const count = 1 + random.below(40);
        outstanding.push(target, token, 1);
        for (let i = 1; i < count; i++) outstanding.extendLast();
        const statuses = new Uint8Array(count);
        const isWhole = random.chance(0.6);
        if (!isWhole) for (let i = 0; i < count; i++) statuses[i] = random.below(4);
        if (isWhole) ofTurn.addStored();
        else ofTurn.addPartly(statuses);
        for (const status of statuses) {
          expected.push([token, status as PublishStatus]);
          token = (token + 1) >>> 0;
        }
      }
      settled.take(ofTurn);
      expect(ofTurn.isEmpty).toBe(true);
      expect(settled.send(writer)).toBe(settled.isEmpty);
      writer.publish();
      if (random.chance(0.4)) receive(reader, outstanding);
    }
    while (!settled.isEmpty || outstanding.size > 0) {
      settled.send(writer);
      writer.publish();
      receive(reader, outstanding);
    }
    const got = told.flatMap(([first, count, status]) =>
      Array.from({ length: count }, (_, i): [number, PublishStatus] => [(first + i) >>> 0, status]),
    );
    expect(got, `seed ${seed}`).toEqual(expected);
  });

  test('a publisher that has left is told nothing, and later ones keep their places [broker]', () => {
    const outstanding = new Outstanding();
    const gone = recorder();
    const here = recorder();
    outstanding.push(gone.target, 1, 1);
    outstanding.push(here.target, 5, 1);
    outstanding.extendLast();
    gone.target.publisher = null;
    outstanding.settlePartly(new Uint32Array([1, 2]), 0, 1);
    outstanding.settle(0);
    expect(gone.told).toEqual([]);
    expect(here.told).toEqual([[5, 2, 0]]);
    expect(outstanding.size).toBe(0);
    expect(() => outstanding.settle(0)).toThrow(/belongs to a frame/);
  });

  test('ten thousand frames wait in order while the array grows round its end [broker]', () => {
    const outstanding = new Outstanding();
    const { target, told } = recorder();
    let pushed = 0;
    for (let i = 0; i < 200; i++) outstanding.push(target, pushed++, 1);
    for (let i = 0; i < 150; i++) outstanding.settle(0);
    for (let i = 0; i < 10_000; i++) outstanding.push(target, pushed++, 1);
    while (outstanding.size > 0) outstanding.settle(4);
    expect(told.map(([token]) => token)).toEqual(Array.from({ length: pushed }, (_, i) => i));
  });
});
