import { describe, expect, test } from 'vitest';

import { AckKind, PendingAcks } from '../../src/session/pending-acks.js';
import { NO_TOKEN } from '../../src/shard/link.js';
import { randomFrom, seed } from '../harness/environment.js';

function recording(firstToken = 0): { acks: PendingAcks; log: [number, number, number][] } {
  const log: [number, number, number][] = [];
  const sink = {
    onAcknowledge: (kind: number, packetId: number, reason: number) => log.push([kind, packetId, reason]),
  };
  return { acks: new PendingAcks(sink, firstToken), log };
}

describe('pending acknowledgements', () => {
  test('an entry that waits for nothing leaves at once when nothing is before it [broker]', () => {
    const { acks, log } = recording();
    expect(acks.add(AckKind.puback, 7, 0x10, 0)).toBe(NO_TOKEN);
    expect(log).toEqual([[AckKind.puback, 7, 0x10]]);
    expect(acks.size).toBe(0);
  });

  test('entries leave in order whatever the order of settling [MQTT-4.6.0-2]', () => {
    const { acks, log } = recording();
    const first = acks.add(AckKind.puback, 1, 0, 2);
    const second = acks.add(AckKind.pubrec, 2, 0, 1);
    acks.add(AckKind.puback, 3, 0, 0);
    acks.settle(second, 1, 0);
    acks.settle(first, 1, 0);
    expect(log).toEqual([]);
    acks.settle(first, 1, 0);
    expect(log.map(([, id]) => id)).toEqual([1, 2, 3]);
  });

  test('the first failure of any shard decides the reason code [broker]', () => {
    const { acks, log } = recording();
    const token = acks.add(AckKind.puback, 1, 0x10, 3);
    acks.settle(token, 1, 0);
    acks.settle(token, 1, 0x97);
    acks.settle(token, 1, 0x80);
    expect(log).toEqual([[AckKind.puback, 1, 0x97]]);
  });

  test('tokens pass the end of u32 and leave out the one that means none [broker]', () => {
    const { acks, log } = recording(0xffff_fffd);
    const tokens = [1, 2, 3, 4].map((id) => acks.add(AckKind.puback, id, 0, 1));
    expect(tokens).toEqual([0xffff_fffd, 0xffff_fffe, 0, 1]);
    acks.settle(0xffff_fffd, 2, 0);
    acks.settle(0, 2, 0);
    expect(log.map(([, id]) => id)).toEqual([1, 2, 3, 4]);
    expect(acks.size).toBe(0);
  });

  test('settling an unknown token is our own fault and says so [broker]', () => {
    const { acks } = recording();
    acks.add(AckKind.puback, 1, 0, 1);
    expect(() => acks.settle(5, 1, 0)).toThrow('unknown publish');
  });

  test('a random run over the wrap equals a plain list [broker]', () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const { acks, log } = recording(0xffff_ff00);
    const expected: number[] = [];
    const open: { token: number; left: number }[] = [];
    for (let step = 0; step < 20_000; step++) {
      if (random() < 0.55 && acks.hasRoom) {
        const shards = Math.floor(random() * 4);
        const id = (step % 65_535) + 1;
        expected.push(id);
        const token = acks.add(AckKind.puback, id, 0, shards);
        if (shards > 0) open.push({ token, left: shards });
      } else if (open.length > 0) {
        const at = Math.floor(random() * Math.min(open.length, 50));
        const entry = open[at]!;
        acks.settle(entry.token, 1, 0);
        if (--entry.left === 0) open.splice(at, 1);
      }
    }
    while (open.length > 0) {
      const entry = open.shift()!;
      for (; entry.left > 0; entry.left--) acks.settle(entry.token, 1, 0);
    }
    expect(log.map(([, id]) => id)).toEqual(expected);
  });
});
