import { expect, test } from 'vitest';

import { Admin, type AdminOptions } from '../../src/broker/admin.js';
import { QueueCatalogue } from '../../src/router/queue-catalogue.js';
import { queueDefinition } from '../net/test-gateway.js';

test('a question about a queue that is deleted while a shard is asked is answered with NOT_FOUND [broker]', async () => {
  const catalogue = new QueueCatalogue();
  const queue = queueDefinition(1, 'gone', 'a/#');
  let isDeleted = true;
  const fail = (): Promise<never> => {
    if (isDeleted) catalogue.remove(queue);
    return Promise.reject(new Error('queue gone is not on this shard'));
  };
  const options = {
    catalogue,
    queues: { enabled: true, get: () => queue },
    now: () => 0,
    state: () => 'running',
    shards: { queueStats: fail, consumerStats: fail, peek: fail },
  } as unknown as AdminOptions;
  const admin = new Admin(options);
  const questions = [
    () => admin.queueStats('gone'),
    () => admin.queueConsumers('gone'),
    () => admin.peekMessages('gone', -1, 10),
  ];
  for (const ask of questions) {
    catalogue.add(queue);
    isDeleted = true;
    await expect(ask()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    catalogue.add(queue);
    isDeleted = false;
    await expect(ask()).rejects.toThrow('is not on this shard');
    catalogue.remove(queue);
  }
});
