import { describe, expect, test } from 'vitest';

import { Awaiting, InFlight } from '../../src/session/in-flight.js';
import { randomFrom, seed } from '../harness/environment.js';

describe('packet ids towards a client', () => {
  test('an id is never in use twice and never 0, through growth and wrap, whatever order they are freed in [MQTT-2.2.1-4]', () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const table = new InFlight<string, string>();
    const used = new Map<number, string>();
    for (let step = 0; step < 150_000; step++) {
      const grows = used.size < 10 || (used.size < 3000 && random() < 0.5);
      if (grows) {
        const at = table.take(Awaiting.puback);
        const id = table.idOf(at);
        if (id < 1 || id > 65_535 || used.has(id)) expect.fail(`id ${id} at step ${step}`);
        table.messages[at] = `m${step}`;
        table.tags[at] = step;
        used.set(id, `m${step}`);
      } else {
        let skip = Math.floor(random() * Math.min(used.size, 20));
        for (const [id, message] of used) {
          if (skip-- > 0) continue;
          const at = table.find(id);
          if (table.messages[at] !== message || table.idOf(at) !== id)
            expect.fail(`id ${id} at step ${step}`);
          table.free(at);
          used.delete(id);
          if (table.find(id) !== -1) expect.fail(`id ${id} is still there at step ${step}`);
          break;
        }
      }
      if (step % 1000 === 0) expect(table.count).toBe(used.size);
    }
  });

  test('all 65535 ids can be in use at once [broker]', () => {
    const table = new InFlight<string, string>();
    const ids = new Set<number>();
    for (let i = 0; i < 65_535; i++) ids.add(table.idOf(table.take(Awaiting.puback)));
    expect(ids.size).toBe(65_535);
    expect(() => table.take(Awaiting.puback)).toThrow('exhausted');
    table.free(table.find(40_000));
    expect(table.idOf(table.take(Awaiting.puback))).toBe(40_000);
  });

  test('the order of first sending survives growth [MQTT-4.6.0-1]', () => {
    const table = new InFlight<string, string>();
    const ids: number[] = [];
    for (let i = 0; i < 100; i++) {
      const id = table.idOf(table.take(Awaiting.pubrec));
      if (i % 3 === 0) table.free(table.find(id));
      else ids.push(id);
    }
    expect(table.inOrder().map((at) => table.idOf(at))).toEqual(ids);
  });

  test('an id that was never given out is not found [broker]', () => {
    const table = new InFlight<string, string>();
    expect([table.find(0), table.find(1), table.find(65_535)]).toEqual([-1, -1, -1]);
    const at = table.take(Awaiting.puback);
    expect([table.find(0), table.find(table.idOf(at) + 32)]).toEqual([-1, -1]);
  });
});
