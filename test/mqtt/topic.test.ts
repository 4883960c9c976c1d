/** Topic names, filters and shares as strings and as bytes. Quick tier. */
import { expect, test } from 'vitest';
import { ProtocolError } from '../../src/base/error.js';
import {
  filterLevelsMax,
  hasWildcard,
  isShare,
  isTopicNameBytes,
  parseShare,
  parseTopicFilter,
  parseTopicName,
  topicFilterFault,
  topicNameBytesFault,
  topicNameFault,
} from '../../src/mqtt/topic.js';

function expectProtocolError(run: () => unknown, reasonCode: number, clause: string): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    expect([error.reasonCode, error.clause]).toEqual([reasonCode, clause]);
    return;
  }
  expect('no error').toBe(clause);
}

/** The judgement of strings and the judgement of bytes must be the same. */
function nameClause(topicName: string): string | undefined {
  const bytes = Buffer.from(topicName);
  const fault = topicNameFault(topicName);
  expect([topicName, isTopicNameBytes(bytes, 0, bytes.length)]).toEqual([topicName, fault === undefined]);
  return fault?.clause;
}

test('a topic name without wildcards is accepted, whatever its levels [MQTT-4.7.3-1]', () => {
  for (const name of ['a', '/', '//', ' ', 'a/b', '/a', 'a/', '$SYS/a', 'ü/溫/🚀', 'a/\u{feff}']) {
    expect([name, nameClause(name)]).toEqual([name, undefined]);
    expect(parseTopicName(name)).toBe(name);
  }
});

test('an empty topic name or filter is refused [MQTT-4.7.3-1]', () => {
  expect(nameClause('')).toBe('MQTT-4.7.3-1');
  expect(topicFilterFault('')?.clause).toBe('MQTT-4.7.3-1');
  expect(topicNameBytesFault(Buffer.alloc(0), 0, 0).clause).toBe('MQTT-4.7.3-1');
});

test('U+0000 is refused in names and filters [MQTT-4.7.3-2]', () => {
  expect(nameClause('a\0b')).toBe('MQTT-4.7.3-2');
  expect(topicFilterFault('a/\0')?.clause).toBe('MQTT-4.7.3-2');
  expect(topicNameBytesFault(Buffer.from('a\0'), 0, 2).clause).toBe('MQTT-4.7.3-2');
});

test('a topic of 65535 bytes is accepted, a longer one is not [MQTT-4.7.3-3]', () => {
  expect(topicNameFault('a'.repeat(65_535))).toBeUndefined();
  expect(topicNameFault('a'.repeat(65_536))?.clause).toBe('MQTT-4.7.3-3');
  expect(topicNameFault('溫'.repeat(21_845))).toBeUndefined();
  expect(topicFilterFault('溫'.repeat(21_846))?.clause).toBe('MQTT-4.7.3-3');
});

test('a topic name with a wildcard is refused with Topic Name invalid [MQTT-3.3.2-2]', () => {
  for (const name of ['#', '+', 'a/#', 'a/+/b', 'a+', '#a']) {
    expect([name, nameClause(name)]).toEqual([name, 'MQTT-3.3.2-2']);
    expectProtocolError(() => parseTopicName(name), 0x90, 'MQTT-3.3.2-2');
    const bytes = Buffer.from(name);
    expect(topicNameBytesFault(bytes, 0, bytes.length).clause).toBe('MQTT-3.3.2-2');
  }
});

test('half a surrogate pair is refused [MQTT-1.5.4-1]', () => {
  expect(topicNameFault('a\ud83d')?.clause).toBe('MQTT-1.5.4-1');
  expect(topicFilterFault('\ude80/#')?.clause).toBe('MQTT-1.5.4-1');
  expect(isTopicNameBytes(Buffer.from([0x61, 0xed, 0xa0, 0x80]), 0, 4)).toBe(false);
  expect(topicNameBytesFault(Buffer.from([0x61, 0xed, 0xa0, 0x80]), 0, 4).clause).toBe('MQTT-1.5.4-1');
});

test('wildcards in their places make a valid filter [MQTT-4.7.1-1]', () => {
  for (const filter of ['#', '+', '/#', '+/#', 'a/+/b', '+/+', '/+', 'a/#', '$SYS/#', 'a', '+/a/+']) {
    expect([filter, topicFilterFault(filter)]).toEqual([filter, undefined]);
    expect(parseTopicFilter(filter)).toBe(filter);
    expect(hasWildcard(filter)).toBe(filter !== 'a');
  }
});

test('"#" anywhere but alone in the last level is refused [MQTT-4.7.1-1]', () => {
  for (const filter of ['a#', '#a', '#/', '#/a', 'a/#/b', '##', 'a/b#']) {
    expect([filter, topicFilterFault(filter)?.clause]).toEqual([filter, 'MQTT-4.7.1-1']);
    expectProtocolError(() => parseTopicFilter(filter), 0x8f, 'MQTT-4.7.1-1');
  }
});

test('"+" that does not fill its level is refused [MQTT-4.7.1-2]', () => {
  for (const filter of ['a+', '+a', 'a/+b', '++', 'a/b+/c', '+#']) {
    expect([filter, topicFilterFault(filter)?.clause]).toEqual([filter, 'MQTT-4.7.1-2']);
  }
});

test('a filter has at most 1024 levels [broker]', () => {
  expect(topicFilterFault('/'.repeat(filterLevelsMax - 1))).toBeUndefined();
  expect(topicFilterFault('/'.repeat(filterLevelsMax))?.message).toContain('1024 levels');
  expect(topicNameFault('/'.repeat(filterLevelsMax))).toBeUndefined();
});

test('a shared subscription is taken apart into share name and filter [MQTT-4.8.2-2]', () => {
  expect(parseShare('$share/group/a/+/#')).toEqual({ shareName: 'group', topicFilter: 'a/+/#' });
  expect(parseShare('$share/g//a')).toEqual({ shareName: 'g', topicFilter: '/a' });
  expect(parseShare('$shared/g/a')).toBeUndefined();
  expect(parseShare('$share')).toBeUndefined();
  expect(isShare('$share/x')).toBe(true);
  expectProtocolError(() => parseShare('$share/group'), 0x82, 'MQTT-4.8.2-2');
  expectProtocolError(() => parseShare('$share/g+/a'), 0x82, 'MQTT-4.8.2-2');
  expectProtocolError(() => parseShare('$share/#/a'), 0x82, 'MQTT-4.8.2-2');
});

test('a share name has at least one character, and its filter must be one [MQTT-4.8.2-1]', () => {
  expectProtocolError(() => parseShare('$share//a'), 0x82, 'MQTT-4.8.2-1');
  expectProtocolError(() => parseShare('$share/'), 0x82, 'MQTT-4.8.2-1');
  expectProtocolError(() => parseShare('$share/g/'), 0x82, 'MQTT-4.8.2-2');
  expectProtocolError(() => parseShare('$share/g/a#'), 0x8f, 'MQTT-4.7.1-1');
});
