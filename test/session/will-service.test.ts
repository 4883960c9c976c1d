import { describe, expect, test } from 'vitest';

import { loadConfig } from '../../src/config/config.js';
import { reasonCode } from '../../src/mqtt/reason-code.js';
import { RowWriter } from '../../src/session/row-writer.js';
import type { Will } from '../../src/session/will-properties.js';
import { willFault, WillService, type WillServiceDeps } from '../../src/session/will-service.js';
import { decodeWill } from '../../src/session/will-record.js';
import { PublishStatus, RowStore } from '../../src/shard/link.js';
import { slot, slotOf } from '../../src/telemetry/counter-layout.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { FakeShards } from './fake-shards.js';
import { Listener, localFixture, localMessage, type LocalFixture } from './will-fixture.js';

const owner = {
  clientId: 'a',
  username: 'u',
  peername: '10.0.0.1:1000',
  protocolVersion: 5,
  identity: { username: 'u' },
};

function will(topic = 'will', options: Partial<Will> = {}): Will {
  return { topic, payload: Buffer.from('gone'), qos: 1, retain: false, ...options };
}

function delayed(willDelayInterval: number): Partial<Will> {
  return { properties: { willDelayInterval } };
}

interface Fixture extends LocalFixture {
  readonly wills: WillService;
  readonly listener: Listener;
  /** Moves the clock and ticks. */
  readonly advance: (seconds: number) => void;
  readonly rows: () => string[];
  /** Another run of the broker over the same shards. */
  readonly restart: (downS?: number) => Promise<Fixture>;
}

function start(
  options: Partial<WillServiceDeps> = {},
  shards = new FakeShards(),
  clock = { at: 50_000, offset: 1_700_000_000_000 },
): Fixture {
  const local = localFixture(shards);
  const listener = new Listener('listener');
  local.listen('#', listener);
  const deps: WillServiceDeps = {
    publisher: local.publisher,
    shards,
    rows: new RowWriter(shards),
    clock: { nowMs: () => clock.at },
    config: loadConfig({}),
    counters: local.counters,
    logger: createLogger({ level: 'silent', format: 'text' }),
    unixMs: () => clock.at + clock.offset,
    ...options,
  };
  const wills = new WillService(deps);
  return {
    ...local,
    wills,
    listener,
    advance(seconds) {
      clock.at += seconds * 1000;
      wills.tick(clock.at);
    },
    rows() {
      const all = Array.from({ length: shards.shardCount }, (_, shardId) =>
        shards.rowsOf(shardId, RowStore.will),
      );
      return all
        .flatMap((rows) => [...rows.values()])
        .map((value) => decodeWill(value)?.clientId ?? 'damaged');
    },
    async restart(downS = 0) {
      clock.at += downS * 1000;
      // The gateway clock begins anew with the process, the one of the machine goes on.
      const next = { at: 10, offset: clock.at + clock.offset - 10 };
      const fixture = start(options, shards, next);
      await fixture.wills.load();
      return fixture;
    },
  };
}

/** Lets the fake shards settle. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('when a will is published', () => {
  test('the loss of the connection publishes it with all it brings [MQTT-3.1.2-8]', () => {
    const { wills, listener } = start();
    const properties = { contentType: 'c', messageExpiryInterval: 30 };
    wills.arm('a', will('w/a', { qos: 2, properties }), owner, 0);
    expect(listener.seen).toEqual([]);
    wills.connectionLost('a', 0);
    expect(listener.seen).toEqual([
      {
        topic: 'w/a',
        payload: 'gone',
        properties: '03000163',
        qos: 2,
        retain: false,
        identifiers: [],
        expiry: 30,
      },
    ]);
    wills.connectionLost('a', 0);
    wills.sessionEnded('a');
    expect(listener.seen).toHaveLength(1);
  });

  test('DISCONNECT drops it [MQTT-3.14.4-3]', () => {
    const { wills, listener, reader } = start();
    wills.arm('a', will(), owner, 0);
    wills.disarm('a');
    wills.connectionLost('a', 0);
    expect(listener.seen).toEqual([]);
    expect(reader.total(slotOf('willsEnded', 'disconnected'))).toBe(1);
    expect(wills.count).toBe(0);
  });

  test('Will Retain stores it as a retained message [MQTT-3.1.2-15]', () => {
    const { wills, retained } = start();
    wills.arm('a', will('w', { retain: true }), owner, 0);
    wills.connectionLost('a', 0);
    expect(retained).toEqual([['w', 'gone', 0]]);
  });

  test('without Will Retain it is not retained [MQTT-3.1.2-14]', () => {
    const { wills, retained } = start();
    wills.arm('a', will('w'), owner, 0);
    wills.connectionLost('a', 0);
    expect(retained).toEqual([]);
  });

  test('Will Delay Interval puts it off, and it is never early [MQTT-3.1.3-9]', () => {
    const { wills, listener, advance } = start();
    wills.arm('a', will('w', delayed(5)), owner, 100);
    wills.connectionLost('a', 100);
    advance(4.9);
    expect(listener.seen).toEqual([]);
    advance(0.2);
    expect(listener.payloads).toEqual(['gone']);
  });

  test('the end of the session comes before a longer delay [MQTT-3.1.2-8]', () => {
    const { wills, listener, advance } = start();
    wills.arm('a', will('w', delayed(50)), owner, 3);
    wills.connectionLost('a', 3);
    advance(2.9);
    expect(listener.seen).toEqual([]);
    advance(0.2);
    expect(listener.payloads).toEqual(['gone']);

    wills.arm('b', will('w', delayed(50)), owner, 100);
    wills.connectionLost('b', 100);
    wills.sessionEnded('b');
    expect(listener.payloads).toEqual(['gone', 'gone']);

    wills.arm('c', will('w', delayed(50)), owner, 0);
    wills.connectionLost('c', 0);
    expect(listener.payloads).toEqual(['gone', 'gone', 'gone']);
  });

  test('a session that is resumed within the delay cancels it [MQTT-3.1.3-9]', () => {
    const { wills, listener, advance, reader } = start();
    wills.arm('a', will('w', delayed(5)), owner, 100);
    wills.connectionLost('a', 100);
    advance(4);
    wills.reconnected('a', true);
    advance(60);
    expect(listener.seen).toEqual([]);
    expect(reader.total(slotOf('willsEnded', 'cancelled'))).toBe(1);
  });

  test('a Clean Start within the delay ends the session and sends it [MQTT-3.1.2-8]', () => {
    const { wills, listener } = start();
    wills.arm('a', will('w', delayed(5)), owner, 100);
    wills.connectionLost('a', 100);
    wills.reconnected('a', false);
    expect(listener.payloads).toEqual(['gone']);
  });

  test('a connection that comes when it is due already does not cancel it [MQTT-3.1.3-9]', () => {
    const clock = { at: 0, offset: 0 };
    const { wills, listener } = start({}, new FakeShards(), clock);
    wills.arm('a', will('w', delayed(5)), owner, 100);
    wills.connectionLost('a', 100);
    clock.at += 5000;
    wills.reconnected('a', true);
    expect(listener.payloads).toEqual(['gone']);
  });

  test('a takeover sends it when it has no delay and not when it has one [MQTT-3.1.4-3]', () => {
    const { wills, listener, advance } = start();
    wills.arm('a', will('now'), owner, 100);
    wills.connectionLost('a', 100);
    wills.reconnected('a', true);
    wills.arm('a', will('later', delayed(5)), owner, 100);
    wills.connectionLost('a', 100);
    wills.reconnected('a', true);
    wills.arm('a', will('present'), owner, 100);
    advance(10);
    expect(listener.seen.map(({ topic }) => topic)).toEqual(['now']);
    expect(wills.count).toBe(1);
  });

  test('a connection without a will before has nothing to publish [broker]', () => {
    const { wills, listener, advance } = start();
    wills.reconnected('a', false);
    wills.connectionLost('a', 0);
    wills.sessionEnded('a');
    wills.disarm('a');
    advance(1);
    expect(listener.seen).toEqual([]);
  });

  test('a right that is lost meanwhile drops it [broker]', () => {
    const asked: unknown[] = [];
    const { wills, listener, reader, rows, shards } = start({
      mayPublish: ({ clientId, topic }, by) => {
        asked.push([clientId, topic, by]);
        return false;
      },
    });
    wills.arm('a', will(), owner, 0);
    // The deletion of its row waits.
    shards.roomBytes = 0;
    wills.connectionLost('a', 0);
    expect(asked).toEqual([['a', 'will', owner]]);
    expect(listener.seen).toEqual([]);
    expect(reader.total(slotOf('willsEnded', 'not-authorized'))).toBe(1);
    expect(rows()).toEqual(['a']);
    shards.makeRoom();
    expect(rows()).toEqual([]);
  });
});

describe('what survives the process', () => {
  test('the row is there from CONNECT until the will is stored or dropped [broker]', async () => {
    const { wills, rows, shards, router } = start();
    router.addQueue('will', { queueId: 1, shardId: 0 });
    wills.arm('a', will(), owner, 0);
    wills.arm('b', will(), owner, 0);
    await settled();
    expect(rows()).toEqual(['a', 'b']);
    wills.disarm('b');
    await settled();
    expect(rows()).toEqual(['a']);
    shards.mode = 'by-hand';
    wills.connectionLost('a', 0);
    expect(rows()).toEqual(['a']);
    shards.settle();
    expect(shards.queue(1)).toHaveLength(1);
    expect(rows()).toEqual([]);
  });

  test('clients that were connected lose their connection at the restart [MQTT-3.1.2-8]', async () => {
    const before = start();
    before.wills.arm('now', will('now'), owner, 100);
    before.wills.arm('later', will('later', delayed(5)), owner, 100);
    before.wills.arm('short', will('short', delayed(50)), owner, 2);
    before.wills.arm('back', will('back', delayed(5)), owner, 100);
    await settled();
    const after = await before.restart(1000);
    expect(after.wills.count).toBe(4);
    expect(after.listener.seen).toEqual([]);
    after.advance(0.5);
    expect(after.listener.seen.map(({ topic }) => topic)).toEqual(['now']);
    after.wills.reconnected('back', true);
    after.advance(2);
    after.advance(2);
    expect(after.listener.seen.map(({ topic }) => topic)).toEqual(['now', 'short']);
    after.advance(1);
    expect(after.listener.seen.map(({ topic }) => topic)).toEqual(['now', 'short', 'later']);
    await settled();
    expect(after.rows()).toEqual([]);
    expect(after.listener.seen[0]).toMatchObject({ payload: 'gone', qos: 1 });
  });

  test('a delay that was running goes on while the broker is down [MQTT-3.1.3-9]', async () => {
    const before = start();
    before.wills.arm('a', will('w', delayed(100)), owner, 1000);
    before.wills.connectionLost('a', 1000);
    await settled();
    const after = await before.restart(60);
    after.advance(39);
    expect(after.listener.seen).toEqual([]);
    after.advance(1.2);
    expect(after.listener.payloads).toEqual(['gone']);
  });

  test('a delay that ended while the broker was down ends at the start [broker]', async () => {
    const before = start();
    before.wills.arm('a', will('w', delayed(100)), owner, 1000);
    before.wills.connectionLost('a', 1000);
    await settled();
    const after = await before.restart(600);
    after.advance(0.5);
    expect(after.listener.payloads).toEqual(['gone']);
  });

  test('a machine clock that was set back does not make a delay longer than it was [broker]', async () => {
    const before = start();
    before.wills.arm('a', will('w', delayed(100)), owner, 1000);
    before.wills.connectionLost('a', 1000);
    await settled();
    const after = await before.restart(-100_000);
    after.advance(100.2);
    expect(after.listener.payloads).toEqual(['gone']);
  });

  test('a server that stops keeps the wills for its next start [broker]', async () => {
    const before = start();
    before.wills.arm('a', will(), owner, 100);
    await settled();
    before.wills.stop();
    before.wills.connectionLost('a', 0);
    before.wills.sessionEnded('a');
    before.advance(10);
    expect(before.listener.seen).toEqual([]);
    const after = await before.restart();
    after.advance(0.5);
    expect(after.listener.payloads).toEqual(['gone']);
  });

  test('of two rows of one client the older was being published and is published again [broker]', async () => {
    const before = start();
    before.shards.mode = 'by-hand';
    before.router.addQueue('will', { queueId: 1, shardId: 0 });
    before.wills.arm('a', will(), owner, 100);
    before.wills.connectionLost('a', 100);
    before.wills.arm('a', will('other', delayed(7)), owner, 100);
    expect(before.rows()).toEqual(['a', 'a']);
    const after = await before.restart();
    after.wills.reconnected('a', true);
    after.advance(10);
    expect(after.listener.seen.map(({ topic }) => topic)).toEqual(['will']);
    await settled();
    after.shards.settle();
    await settled();
    after.shards.settle();
    expect(after.rows()).toEqual([]);
  });

  test('rows that are no wills are deleted and the others taken up [broker]', async () => {
    const before = start();
    before.wills.arm('a', will(), owner, 0);
    before.shards.rowsOf(0, RowStore.will).set(999, new Uint8Array([1, 2, 3]));
    await settled();
    const after = await before.restart();
    await settled();
    expect(after.rows()).toEqual(['a']);
    expect(after.wills.count).toBe(1);
  });

  test('a row whose shard was down is written when it is back, and never after its deletion [broker]', async () => {
    const { wills, rows, shards } = start();
    shards.status = PublishStatus.shardDown;
    wills.arm('a', will(), owner, 0);
    wills.arm('b', will(), owner, 0);
    await settled();
    expect(rows()).toEqual([]);
    wills.disarm('b');
    shards.status = PublishStatus.stored;
    await expect.poll(rows).toEqual(['a']);
    await expect.poll(() => shards.unsettledCount).toBe(0);
    expect(rows()).toEqual(['a']);
  });
});

describe('a log that takes no rows for long', () => {
  test('a will that is over is deleted once it does [broker]', async () => {
    const shards = new FakeShards();
    const { wills, rows, advance } = start({}, shards);
    wills.arm('a', will(), owner, 0);
    await settled();
    shards.status = PublishStatus.storeError;
    wills.disarm('a');
    advance(1);
    await settled();
    expect(rows()).toEqual(['a']);
    shards.status = PublishStatus.stored;
    await expect.poll(rows).toEqual([]);
  });
});

describe('bounds', () => {
  test('more wills than may be under way are published all, tick by tick [broker]', async () => {
    const { wills, publisher, shards, router, advance, reader } = start();
    router.addQueue('#', { queueId: 1, shardId: 0 });
    shards.mode = 'by-hand';
    while (publisher.publish(localMessage('fill', 'x')));
    wills.arm('a', will(), owner, 0);
    wills.connectionLost('a', 0);
    expect(shards.queue(1).some(({ topic }) => topic === 'will')).toBe(false);
    shards.settle();
    advance(0.5);
    shards.settle();
    expect(shards.queue(1).filter(({ topic }) => topic === 'will')).toHaveLength(1);
    expect(reader.total(slotOf('willsEnded', 'published'))).toBe(1);
  });

  test('the memory of all wills has a bound, told to the CONNECT that would exceed it [broker]', () => {
    const { wills, reader } = start({ config: loadConfig({ SLUICE_WILL_BYTES: '1MB' }) });
    const large = will('w', { payload: Buffer.alloc(60_000) });
    let armed = 0;
    while (wills.fault(large) === 0) wills.arm(`c${armed++}`, large, owner, 0);
    expect(wills.fault(large)).toBe(reasonCode.quotaExceeded);
    expect(armed).toBe(17);
    expect(reader.total(slot.wills)).toBe(17);
    for (let i = 0; i < armed; i++) wills.disarm(`c${i}`);
    expect(wills.fault(large)).toBe(0);
    expect(reader.total(slot.wills)).toBe(0);
  });

  test.each([
    ['a/b', 0],
    ['$SYS/broker/x', reasonCode.notAuthorized],
    ['$q/a', reasonCode.notAuthorized],
    ['$queue/a', reasonCode.notAuthorized],
    ['$share/g/a', reasonCode.topicNameInvalid],
    ['a/'.repeat(200), reasonCode.topicNameInvalid],
    ['$other/a', 0],
  ])('a will on %s is answered with %i in CONNACK [broker]', (topic, code) => {
    expect(willFault(will(topic), loadConfig({}))).toBe(code);
  });
});
