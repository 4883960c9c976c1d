/** Probes of containers and load balancers. Quick tier. */
import { afterEach, beforeEach, expect, it } from 'vitest';

import { type Api, createApi } from './fixture.js';

let api: Api;
beforeEach(async () => {
  api = await createApi();
});
afterEach(() => api.close());

const probe = (what: 'live' | 'ready') => api.send({ method: 'GET', url: `/health/${what}` });

it('the broker is live and ready while all is up, and says no more than that [broker]', async () => {
  expect(await probe('live')).toMatchObject({ status: 200, body: { status: 'live' } });
  const ready = await probe('ready');
  expect([ready.status, ready.body]).toEqual([200, { status: 'ready' }]);
  expect((await api.app.inject({ method: 'HEAD', url: '/health/ready' })).statusCode).toBe(200);
});

it('a shard that is down is told by 503 and its number, and the process is still live [broker]', async () => {
  api.shards.killShard(0);
  expect(await probe('ready')).toMatchObject({
    status: 503,
    body: { code: 'SERVICE_UNAVAILABLE', message: 'Not up: shard 0' },
  });
  expect(await probe('live')).toMatchObject({ status: 200 });
});

it.each([
  ['starting', 'The broker starts: not all listeners are up'],
  ['draining', 'The broker stops'],
] as const)('a broker that is %s is live and not ready [broker]', async (state, message) => {
  api.broker.state = state;
  expect(await probe('ready')).toMatchObject({ status: 503, body: { message } });
  expect(await probe('live')).toMatchObject({ status: 200 });
});
