import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { QueueChange } from '../../src/router/queue-catalogue.js';
import { createFixture, type Fixture } from './fixture.js';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await createFixture();
});
afterEach(() => fixture.remove());

const regular = { name: 'jobs', topic_filter: 'jobs/#', is_lastvalue: false } as const;

/** Lets everything that is under way go as far as it can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

describe('creating', () => {
  it('asks the shard first and shows the queue only when it has said yes [broker]', async () => {
    let open = () => {};
    fixture.shards.gate = new Promise((resolve) => {
      open = resolve;
    });
    const created = fixture.queues.create(regular);
    await settle();
    expect(fixture.shards.calls).toEqual(['create jobs']);
    expect(fixture.catalogue.get('jobs')).toBeUndefined();
    open();
    const queue = await created;
    expect(fixture.catalogue.get('jobs')).toBe(queue);
    expect(fixture.shards.stored.get(queue.id)).toEqual(queue);
  });

  it('gives ids that grow and that no deleted queue gives back [broker]', async () => {
    const a = await fixture.queues.create({ topic_filter: 'a' });
    const b = await fixture.queues.create({ topic_filter: 'b' });
    await fixture.queues.delete('b');
    const c = await fixture.queues.create({ topic_filter: 'c' });
    expect([a.id, b.id, c.id]).toEqual([1, 2, 3]);
  });

  it('goes on after the highest id that the shards brought along [broker]', async () => {
    const a = await fixture.queues.create({ topic_filter: 'a' });
    fixture.catalogue.add({ ...a, name: 'old', topicFilter: 'old', id: 700 });
    expect((await fixture.queues.create({ topic_filter: 'b' })).id).toBe(701);
  });

  it('calls a queue without a name "/" and its filter [queue-55]', async () => {
    const queue = await fixture.queues.create({ topic_filter: 'a/b/c' });
    expect(queue.name).toBe('/a/b/c');
    expect(fixture.queues.get('/a/b/c')).toBe(queue);
    expect(fixture.queues.get('a/b/c')).toBe(queue);
  });

  it('prefers the queue called so to the nameless queue of that filter [broker]', async () => {
    await fixture.queues.create({ topic_filter: 'jobs' });
    const named = await fixture.queues.create({ name: 'jobs', topic_filter: 'other' });
    expect(fixture.queues.get('jobs')).toBe(named);
  });

  it('takes the name mq-1 and refuses mq-1/2 and every other name with a foreign character [queue-52]', async () => {
    await expect(fixture.queues.create({ ...regular, name: 'mq-1' })).resolves.toMatchObject({
      name: 'mq-1',
    });
    for (const name of ['mq-1/2', '', '/a', '-a', '.a', '_a', 'a b', 'a+', 'ä', 'a\n']) {
      await expect(fixture.queues.create({ ...regular, name }), name).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        detail: { path: 'name' },
      });
    }
  });

  it.each([
    '',
    'a/#/b',
    'a+',
    'a#',
    '#/a',
    'a\0b',
    '\ud800',
    '$share/g/a',
    '$share',
    '$q/a',
    '$queue/a',
    '$SYS/a',
    '$SYS',
    'a/'.repeat(128),
    'x'.repeat(4097),
  ])('refuses the topic filter %j [queue-40]', async (topicFilter) => {
    await expect(fixture.queues.create({ topic_filter: topicFilter })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      detail: { path: 'topic_filter' },
    });
    expect(fixture.shards.calls).toEqual([]);
  });

  it.each(['#', '+', 'a/+/b/#', '/', '/a', 'a//b', '$other/a', '$sharex/a', 'x'.repeat(4096)])(
    'takes the topic filter %j [broker]',
    async (topicFilter) => {
      const queue = await fixture.queues.create({ topic_filter: topicFilter });
      expect(queue.topicFilter).toBe(topicFilter);
    },
  );

  it('refuses a second queue of that name, and allows a second name with that filter [queue-40]', async () => {
    await fixture.queues.create(regular);
    await expect(fixture.queues.create(regular)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      detail: 'Message queue already exists',
    });
    await expect(fixture.queues.create({ ...regular, name: 'more' })).resolves.toMatchObject({
      name: 'more',
    });
  });

  it('lets exactly one of two simultaneous creates of one name win [broker]', async () => {
    const outcomes = await Promise.allSettled([
      fixture.queues.create(regular),
      fixture.queues.create(regular),
      fixture.queues.create(regular),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(fixture.shards.stored.size).toBe(1);
  });

  it('counts creates under way against max_queue_count [queue-48]', async () => {
    await fixture.mqConfig.update({ max_queue_count: 2 });
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((filter) => fixture.queues.create({ topic_filter: filter })),
    );
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused).toEqual([
      expect.objectContaining({ code: 'MAX_QUEUE_COUNT_REACHED', detail: 'Max queue count reached' }),
      expect.objectContaining({ code: 'MAX_QUEUE_COUNT_REACHED', detail: 'Max queue count reached' }),
    ]);
    expect(fixture.catalogue.size).toBe(2);
    await fixture.mqConfig.update({ max_queue_count: 1 });
    expect(fixture.catalogue.size).toBe(2);
  });

  it('leaves no trace when the shard says no [queue-53]', async () => {
    const changes: QueueChange[] = [];
    fixture.catalogue.watch((change) => changes.push(change));
    fixture.shards.fail('create');
    await expect(fixture.queues.create(regular)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await settle();
    expect([fixture.catalogue.size, fixture.shards.stored.size, fixture.queues.count]).toEqual([0, 0, 0]);
    expect(changes).toEqual([]);
    await expect(fixture.queues.create(regular)).resolves.toMatchObject({ name: 'jobs' });
  });

  it('leaves no trace when something throws in the middle, even after the queue was shown [queue-54]', async () => {
    const stop = fixture.catalogue.watch((change) => {
      if (change === 'added') throw new Error('a watcher broke');
    });
    await expect(fixture.queues.create(regular)).rejects.toThrow('a watcher broke');
    await settle();
    expect([fixture.catalogue.size, fixture.shards.stored.size, fixture.queues.count]).toEqual([0, 0, 0]);
    stop();
    await expect(fixture.queues.create(regular)).resolves.toMatchObject({ name: 'jobs' });
  });

  it('clears a queue that the shard committed without saying so, without touching its successor [queue-54]', async () => {
    fixture.shards.lostAnswer = 'create';
    fixture.shards.fail('create');
    fixture.shards.fail('delete');
    await expect(fixture.queues.create(regular)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    const successor = await fixture.queues.create(regular);
    await settle();
    expect([...fixture.shards.stored.keys()]).toEqual([successor.id]);
    expect(fixture.log.lines).toHaveLength(1);
  });
});

it('stops clearing when the shard never had the queue [queue-54]', async () => {
  fixture.shards.fail('create');
  for (let i = 0; i < 5; i += 1) fixture.shards.fail('delete', new Error('queue jobs is not on this shard'));
  await expect(fixture.queues.create(regular)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  await settle();
  expect(fixture.shards.calls).toEqual(['create jobs', 'delete jobs']);
});

describe('changing', () => {
  it('asks the shard first and shows the change only when it has said yes [broker]', async () => {
    await fixture.queues.create(regular);
    fixture.shards.fail('update');
    await expect(fixture.queues.patch('jobs', { ping_interval: 5 })).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
    });
    expect(fixture.queues.get('jobs').pingIntervalMs).toBe(10_000);
    await fixture.queues.patch('jobs', { ping_interval: 5 });
    expect(fixture.queues.get('jobs').pingIntervalMs).toBe(5);
    expect([...fixture.shards.stored.values()][0]?.pingIntervalMs).toBe(5);
  });

  it('keeps id, name, filter, kind and time of creation [broker]', async () => {
    const before = await fixture.queues.create(regular);
    const after = await fixture.queues.replace('jobs', { dispatch_strategy: 'round_robin' });
    expect(after).toEqual({ ...before, dispatchStrategy: 'round_robin' });
  });

  it('runs patches of one queue one after the other, so that none is lost [broker]', async () => {
    await fixture.queues.create(regular);
    await Promise.all([
      fixture.queues.patch('jobs', { ping_interval: 77 }),
      fixture.queues.patch('jobs', { max_messages: 88 }),
      fixture.queues.patch('jobs', { local_max_inflight: 99 }),
    ]);
    expect(fixture.queues.get('jobs')).toMatchObject({
      pingIntervalMs: 77,
      messagesMax: 88,
      localMaxInflight: 99,
    });
  });

  it('waits for a create under way and then changes the new queue [broker]', async () => {
    const created = fixture.queues.create({ topic_filter: 'a/b' });
    const changed = fixture.queues.patch('a/b', { max_messages: 5 });
    await created;
    await expect(changed).resolves.toMatchObject({ name: '/a/b', messagesMax: 5 });
  });

  it('does not hold up other queues [broker]', async () => {
    let open = () => {};
    fixture.shards.gate = new Promise((resolve) => {
      open = resolve;
    });
    const slow = fixture.queues.create(regular);
    await settle();
    fixture.shards.gate = undefined;
    await fixture.queues.create({ ...regular, name: 'other' });
    expect(fixture.catalogue.get('jobs')).toBeUndefined();
    open();
    await slow;
  });

  it('takes limits of the queue total in both directions, also for regular queues [broker]', async () => {
    await fixture.queues.create(regular);
    await fixture.queues.patch('jobs', { max_messages: 5, max_bytes: '1KB' });
    expect(fixture.queues.get('jobs')).toMatchObject({ messagesMax: 5, bytesMax: 1024 });
    await fixture.queues.patch('jobs', { max_messages: 'infinity', max_bytes: 'infinity' });
    expect(fixture.queues.get('jobs')).toMatchObject({ messagesMax: Infinity, bytesMax: Infinity });
  });
});

describe('deleting', () => {
  it('takes the queue out of the catalogue before it asks the shard [broker]', async () => {
    await fixture.queues.create(regular);
    let open = () => {};
    fixture.shards.gate = new Promise((resolve) => {
      open = resolve;
    });
    const deleted = fixture.queues.delete('jobs');
    await settle();
    expect(fixture.catalogue.get('jobs')).toBeUndefined();
    expect(fixture.shards.stored.size).toBe(1);
    open();
    await deleted;
    expect(fixture.shards.stored.size).toBe(0);
  });

  it('shows the queue again when the shard says no, so that it can be repeated [broker]', async () => {
    const queue = await fixture.queues.create(regular);
    fixture.shards.fail('delete');
    await expect(fixture.queues.delete('jobs')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(fixture.queues.get('jobs')).toBe(queue);
    await fixture.queues.delete('jobs');
    expect(() => fixture.queues.get('jobs')).toThrow('Message queue not found');
  });

  it('never interleaves with a create of the same name: the new queue survives the old one [broker]', async () => {
    const first = await fixture.queues.create(regular);
    const deleted = fixture.queues.delete('jobs');
    const again = fixture.queues.create(regular);
    await deleted;
    const second = await again;
    expect(second.id).toBeGreaterThan(first.id);
    expect([...fixture.shards.stored.keys()]).toEqual([second.id]);
    expect(fixture.shards.calls).toEqual(['create jobs', 'delete jobs', 'create jobs']);
  });

  it('frees a place under max_queue_count [queue-48]', async () => {
    await fixture.mqConfig.update({ max_queue_count: 1 });
    await fixture.queues.create(regular);
    await fixture.queues.delete('jobs');
    await expect(fixture.queues.create({ topic_filter: 'x' })).resolves.toBeDefined();
  });
});

describe('a shard that has started again', () => {
  it('counts with what it holds: a delete or change that it had committed before it died is in force [broker]', async () => {
    const kept = await fixture.queues.create(regular);
    const gone = await fixture.queues.create({ ...regular, name: 'gone' });
    const changed = await fixture.queues.create({ ...regular, name: 'changed' });
    fixture.shards.fail('delete');
    await expect(fixture.queues.delete('gone')).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    const told: string[] = [];
    fixture.catalogue.watch((change, { name }) => told.push(`${change} ${name}`));
    // As they are read back from the log.
    fixture.queues.adopt(0, [{ ...kept }, { ...changed, messagesMax: 7 }]);
    expect(told.toSorted()).toEqual(['removed gone', 'replaced changed']);
    expect(() => fixture.queues.get(gone.name)).toThrow('Message queue not found');
    expect(fixture.queues.get('changed').messagesMax).toBe(7);
    expect(fixture.queues.get('jobs')).toBe(kept);
  });

  it('says nothing about queues of other shards, and shows none that was not made here [broker]', async () => {
    const queue = await fixture.queues.create(regular);
    fixture.queues.adopt(1, []);
    expect(fixture.queues.get('jobs')).toBe(queue);
    // Its creation has failed, and is being undone.
    fixture.queues.adopt(0, [queue, { ...queue, id: 99, name: 'half' }]);
    expect(() => fixture.queues.get('half')).toThrow('Message queue not found');
  });
});

describe('auto-creation', () => {
  it('makes nothing unless it is configured [queue-29]', async () => {
    await expect(fixture.queues.autoCreate('q', 'a/#')).resolves.toBeUndefined();
    expect(fixture.shards.calls).toEqual([]);
  });

  it('makes a regular queue with the configured settings [queue-28]', async () => {
    await fixture.mqConfig.update({
      auto_create: { regular: { dispatch_strategy: 'least_inflight', ping_interval: '7s' } },
    });
    await expect(fixture.queues.autoCreate('auto_create', 'non-existent/#')).resolves.toMatchObject({
      name: 'auto_create',
      topicFilter: 'non-existent/#',
      isLastvalue: false,
      dispatchStrategy: 'least_inflight',
      pingIntervalMs: 7000,
      localMaxInflight: 10,
    });
  });

  it('makes a last-value queue with its key expression [broker]', async () => {
    await fixture.mqConfig.update({ auto_create: { lastvalue: { key_expression: 'message.topic' } } });
    await expect(fixture.queues.autoCreate('q', 'a')).resolves.toMatchObject({
      isLastvalue: true,
      keyExpression: 'message.topic',
    });
  });

  it('gives the queue that is there, whatever its filter [queue-30]', async () => {
    await fixture.mqConfig.update({ auto_create: { regular: {} } });
    const first = fixture.queues.autoCreate('cq', 't1/#');
    const second = fixture.queues.autoCreate('cq', 't2/#');
    expect(await second).toBe(await first);
    expect((await second)?.topicFilter).toBe('t1/#');
    expect(fixture.shards.calls).toEqual(['create cq']);
  });

  it('makes the nameless queue of a filter, and no other name that begins with "/" [broker]', async () => {
    await fixture.mqConfig.update({ auto_create: { regular: {} } });
    await expect(fixture.queues.autoCreate('/a/b', 'a/b')).resolves.toMatchObject({ name: '/a/b' });
    await expect(fixture.queues.autoCreate('/x', 'a/b')).resolves.toBeUndefined();
  });

  it('only logs a failure: bad filter, too many queues, shard down [queue-29]', async () => {
    await fixture.mqConfig.update({ auto_create: { regular: {} }, max_queue_count: 1 });
    await expect(fixture.queues.autoCreate('a', '$share/g/a')).resolves.toBeUndefined();
    fixture.shards.fail('create');
    await expect(fixture.queues.autoCreate('b', 'b')).resolves.toBeUndefined();
    await expect(fixture.queues.autoCreate('c', 'c')).resolves.toBeDefined();
    await expect(fixture.queues.autoCreate('d', 'd')).resolves.toBeUndefined();
    expect(fixture.log.lines.map(({ message }) => message)).toEqual([
      'a queue could not be auto-created',
      'a queue could not be auto-created',
      'a queue could not be auto-created',
    ]);
  });

  it('makes nothing while queues are switched off [queue-62]', async () => {
    await fixture.mqConfig.update({ auto_create: { regular: {} }, enable: false });
    await expect(fixture.queues.autoCreate('a', 'a')).resolves.toBeUndefined();
  });
});
