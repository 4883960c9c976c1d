/** What the form of a queue makes of what is typed, checked against what the broker itself accepts. */
import { describe, expect, it } from 'vitest';

import { parseBytes, parseDurationMs } from '../../../src/config/unit.js';
import {
  bodyOf,
  emptyForm,
  faultsOf,
  fieldOf,
  formOf,
  type QueueDefinition,
  type QueueForm,
} from '../../../src/dashboard/pages/queues/definition.js';

const queue: QueueDefinition = {
  name: 'jobs',
  topic_filter: 'jobs/#',
  is_lastvalue: false,
  dispatch_strategy: 'least_inflight',
  data_retention_period: 5_400_000,
  max_messages: 'infinity',
  max_bytes: 1024 ** 2,
  overflow: 'reject_publish',
  local_max_inflight: 10,
  fast_max_inflight: 200,
  redispatch_interval: 100,
  paused: false,
};

function accepts(parse: (text: string) => number, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('the form of a queue', () => {
  const form: QueueForm = { ...emptyForm, topicFilter: 'jobs/#' };

  it('is without fault once it has a topic filter, and sends what EMQX names [ref-7.2]', () => {
    expect(faultsOf(form)).toEqual({});
    expect(bodyOf(form)).toEqual({
      topic_filter: 'jobs/#',
      is_lastvalue: false,
      dispatch_strategy: 'random',
      data_retention_period: '7d',
      max_messages: 'infinity',
      max_bytes: 'infinity',
      overflow: 'drop_oldest',
      redispatch_interval: '100ms',
    });
    const lastvalue = bodyOf({ ...form, kind: 'lastvalue', name: 'state' });
    expect(lastvalue).toMatchObject({ name: 'state', is_lastvalue: true, key_expression: 'message.from' });
  });

  it.each([
    ['topicFilter', ''],
    ['name', '1 2'],
    ['name', '-a'],
    ['name', 'ä'],
    ['retention', ''],
    ['retention', 'soon'],
    ['retention', '5 m'],
    ['messagesMax', '0'],
    ['messagesMax', '1.5'],
    ['bytesMax', '10XB'],
    ['inFlightMax', '0'],
    ['inFlightMax', '65536'],
    ['fastInFlightMax', '9'],
    ['fastInFlightMax', '65536'],
    ['redispatchInterval', '-1'],
  ] as const)('says what is wrong with %s %j before it is sent [broker]', (field, value) => {
    expect(Object.keys(faultsOf({ ...form, [field]: value }))).toEqual([field]);
  });

  it('reads durations and sizes as the broker does [broker]', () => {
    const texts = [
      '7d',
      '1h30m',
      '100ms',
      '100',
      '1.5h',
      '',
      'x',
      '5 m',
      '-1',
      '1w',
      '10KB',
      '10 KB',
      '1.5GiB',
      '1KX',
      '5b',
    ];
    for (const text of texts) {
      const hasFault = faultsOf({ ...form, retention: text }).retention !== undefined;
      expect(hasFault, `duration ${text}`).toBe(!accepts(parseDurationMs, text));
      if (text === '') continue;
      const sizeFault = faultsOf({ ...form, bytesMax: text }).bytesMax !== undefined;
      expect(sizeFault, `size ${text}`).toBe(!accepts(parseBytes, text));
    }
  });

  it('sends only what was changed, and nothing when nothing was; windows together [broker]', () => {
    const before = formOf(queue);
    expect(before).toMatchObject({ retention: '90m', bytesMax: '1MB', redispatchInterval: '100ms' });
    expect(faultsOf(before)).toEqual({});
    expect(bodyOf(before, before)).toEqual({});
    expect(bodyOf({ ...before, bytesMax: '', inFlightMax: '20' }, before)).toEqual({
      max_bytes: 'infinity',
      local_max_inflight: 20,
      fast_max_inflight: 200,
    });
    const windows = (inFlightMax: string, fastInFlightMax: string) => {
      const typed = { ...before, inFlightMax, fastInFlightMax };
      return [faultsOf(typed), bodyOf(typed, before)];
    };
    const sends = (local: number, fast: number) => [
      {},
      { local_max_inflight: local, fast_max_inflight: fast },
    ];
    expect(windows('10', '10')).toEqual(sends(10, 10));
    expect(windows('1', ''), 'one window, as for a new queue').toEqual(sends(1, 1));
    expect(windows('', '')).toEqual(sends(10, 200));
    expect(windows('', '50')).toEqual(sends(10, 50));
    expect(bodyOf({ ...form, inFlightMax: '1' })).toMatchObject({ local_max_inflight: 1 });
    expect(bodyOf({ ...form, inFlightMax: '1' })).not.toHaveProperty('fast_max_inflight');
  });

  it('keeps what it read exactly: texts of durations and sizes mean the same number [broker]', () => {
    for (const ms of [0, 1, 999, 1000, 60_000, 90_000, 86_400_000, 604_800_001]) {
      expect(parseDurationMs(formOf({ ...queue, data_retention_period: ms }).retention)).toBe(ms);
    }
    for (const size of [1, 1000, 1024, 1536, 1024 ** 3]) {
      expect(parseBytes(formOf({ ...queue, max_bytes: size }).bytesMax)).toBe(size);
    }
  });

  it('finds the field that the API calls by its own name [broker]', () => {
    expect(fieldOf('data_retention_period')).toBe('retention');
    expect(fieldOf('nothing')).toBeUndefined();
  });
});
