import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';

import { parseControlFrame } from '../../src/mqtt/control-frame.js';
import { WillCalendar } from '../../src/session/will-calendar.js';
import { storedWillProperties, type Will, type WillWithBytes } from '../../src/session/will-properties.js';
import { decodeWill, encodeWill, type WillRecord } from '../../src/session/will-record.js';
import { randomFrom, seed } from '../harness/environment.js';
import { localMessage } from './will-fixture.js';

function record(options: Partial<WillRecord> = {}): WillRecord {
  return {
    ...localMessage('will/ü', 'gone'),
    username: 'üser',
    properties: Buffer.from('0101', 'hex'),
    delayS: 4_294_967_295,
    sessionExpiryS: Number.POSITIVE_INFINITY,
    dueUnixMs: 1_700_000_000_123,
    ...options,
  };
}

describe('the row of a will', () => {
  test.each<Partial<WillRecord>>([
    {},
    { username: undefined, qos: 0, retain: true, dueUnixMs: 0, delayS: 0, sessionExpiryS: 0 },
    { username: '', qos: 2, payload: Buffer.alloc(0), properties: Buffer.alloc(0), protocolVersion: 4 },
    { payload: Buffer.alloc(65_535, 7), messageExpiryInterval: 4_294_967_295, clientId: '' },
  ])('holds every field of %o [broker]', (options) => {
    const will = record(options);
    expect(decodeWill(encodeWill(will))).toEqual(will);
  });

  test('a user name that is longer than any packet allows is cut, and the rest is whole [broker]', () => {
    const will = record({ username: 'u'.repeat(70_000) });
    expect(decodeWill(encodeWill(will))).toEqual({ ...will, username: 'u'.repeat(65_535) });
  });

  test('bytes that are no row answer undefined and never throw [broker]', () => {
    const row = encodeWill(record());
    for (let length = 0; length < row.length - 'gone'.length; length++) {
      expect(decodeWill(row.subarray(0, length))).toBeUndefined();
    }
    const random = randomFrom(seed);
    for (let i = 0; i < 2000; i++) {
      const bent = Buffer.from(row);
      bent[Math.floor(random() * bent.length)] = Math.floor(random() * 256);
      const decoded = decodeWill(bent);
      if (decoded !== undefined) expect(decoded.payload.length).toBeLessThanOrEqual(row.length);
    }
    expect(decodeWill(Buffer.concat([Buffer.from([2]), row.subarray(1)]))).toBeUndefined();
  });

  test('a row that begins anywhere in its memory is read [broker]', () => {
    const row = encodeWill(record());
    const shifted = new Uint8Array(row.length + 3);
    shifted.set(row, 3);
    expect(decodeWill(shifted.subarray(3))).toEqual(record());
  });
});

/** The will that the decoder makes of a CONNECT with these properties. */
function decodedWill(properties: NonNullable<Will['properties']>): WillWithBytes {
  const frame = mqttPacket.generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: 'a',
    clean: true,
    keepalive: 0,
    will: { topic: 't', payload: Buffer.from('x'), qos: 1, retain: false, properties },
  });
  const packet = parseControlFrame(frame, 5);
  if (packet.cmd !== 'connect' || packet.will === undefined) throw new Error('not a CONNECT with a will');
  return packet.will;
}

describe('will properties', () => {
  const properties = {
    willDelayInterval: 5,
    payloadFormatIndicator: true,
    messageExpiryInterval: 60,
    contentType: 'text',
    responseTopic: 'r',
    correlationData: Buffer.from([1, 2]),
    userProperties: { a: ['1', '2'], b: '3' },
  };
  const stored = [
    '0101',
    '03000474657874',
    '08000172',
    '0900020102',
    '26000161000131',
    '26000161000132',
    '26000162000133',
  ].join('');

  test('all but the two intervals go with the message [MQTT-3.1.2-9]', () => {
    const { propertyBytes: _, ...will } = decodedWill(properties);
    expect(storedWillProperties(will).toString('hex')).toBe(stored);
  });

  test('the bytes of CONNECT win over the decoded object, so that user properties keep their order [MQTT-3.1.3-10]', () => {
    const user1 = '26000161000131';
    const user2 = '26000162000133';
    const bytes = `1800000005${user1}0200000060${user2}0101${user1}`;
    const will = { topic: 't', payload: Buffer.alloc(0), qos: 0 as const, retain: false };
    expect(storedWillProperties({ ...will, propertyBytes: Buffer.from(bytes, 'hex') }).toString('hex')).toBe(
      `${user1}${user2}0101${user1}`,
    );
  });

  test('a will without properties has none [broker]', () => {
    expect(
      storedWillProperties({ topic: 't', payload: Buffer.alloc(0), qos: 0, retain: false }),
    ).toHaveLength(0);
  });
});

describe('the calendar', () => {
  test('hands out at or after the time, never before, in order [broker]', () => {
    const calendar = new WillCalendar<string>();
    calendar.add('late', 1550);
    calendar.add('soon', 1001);
    calendar.add('gone', 1001);
    calendar.add('moved', 1001);
    calendar.add('moved', 9000);
    calendar.remove('gone');
    expect(calendar.takeDue(1000, 10)).toEqual([]);
    expect(calendar.takeDue(1100, 10)).toEqual(['soon']);
    expect(calendar.takeDue(1549, 10)).toEqual([]);
    expect(calendar.takeDue(100_000, 10)).toEqual(['late', 'moved']);
    expect(calendar.size).toBe(0);
  });

  test('hands out at most so many and the rest the next time [broker]', () => {
    const calendar = new WillCalendar<number>();
    for (let i = 0; i < 10; i++) calendar.add(i, i < 5 ? 100 : 200);
    const taken: number[] = [];
    for (let i = 0; i < 4; i++) {
      const due = calendar.takeDue(1000, 3);
      expect(due.length).toBe(i < 3 ? 3 : 1);
      taken.push(...due);
    }
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('equals a naive list under random operations [broker]', () => {
    const random = randomFrom(seed);
    const calendar = new WillCalendar<number>();
    const naive = new Map<number, number>();
    let nowMs = 0;
    for (let i = 0; i < 3000; i++) {
      const item = Math.floor(random() * 50);
      if (random() < 0.5) {
        const atMs = nowMs + Math.floor(random() * 2000);
        calendar.add(item, atMs);
        naive.set(item, atMs);
      } else if (random() < 0.3) {
        calendar.remove(item);
        naive.delete(item);
      } else {
        nowMs += Math.floor(random() * 300);
        const due = [...naive].filter(([, atMs]) => Math.ceil(atMs / 100) <= Math.floor(nowMs / 100));
        expect(new Set(calendar.takeDue(nowMs, 100))).toEqual(new Set(due.map(([one]) => one)));
        for (const [one] of due) naive.delete(one);
      }
      expect(calendar.size).toBe(naive.size);
    }
  });
});
