/** The route of backups: who gets one, and what is answered when there is none. */
import { afterEach, expect, test } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import { FrameType, parseJson, readFrames } from '../../src/broker/backup-format.js';
import { createApi } from './fixture.js';

const url = '/api/v5/data/backup';
let remove: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of remove) await one();
  remove = [];
});

async function api(options: Parameters<typeof createApi>[0] = {}) {
  const made = await createApi(options);
  remove.push(made.close);
  return made;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

test('a POST answers a whole backup as a file to be kept, one after the other [broker]', async () => {
  const { app } = await api();
  for (let round = 0; round < 2; round += 1) {
    const answer = await app.inject({ method: 'POST', url });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="sluice-\w+\.backup"$/);
    expect(answer.headers['cache-control']).toBe('no-store');
    const types: number[] = [];
    for await (const { type, content } of readFrames(once(answer.rawPayload))) {
      types.push(type);
      if (type === FrameType.head) expect(parseJson(content)).toMatchObject({ shards: 1, store: 'segment' });
    }
    expect(types).toEqual([FrameType.head, FrameType.shard, FrameType.end]);
  }
});

test('the memory store answers 409 with a code, and reading is no way to a backup [broker]', async () => {
  const { send } = await api({ env: { SLUICE_STORE: 'memory' } });
  expect(await send({ method: 'POST', url })).toMatchObject({
    status: 409,
    body: { code: 'BACKUP_REFUSED' },
  });
  expect((await send({ method: 'GET', url })).status).toBe(405);
});

test('a key of the role viewer or publisher gets no backup [broker]', async () => {
  const { send } = await api({
    apiKeys: ApiKeys.parse('admin:one\nlooks:two:viewer\nsends:three:publisher\n', {
      warn: () => undefined,
      error: () => undefined,
    }),
  });
  const as = (key: string): Record<string, string> => ({ authorization: `Basic ${btoa(key)}` });
  expect((await send({ method: 'POST', url })).status).toBe(401);
  for (const key of ['looks:two', 'sends:three']) {
    expect((await send({ method: 'POST', url, headers: as(key) })).status).toBe(403);
  }
});
