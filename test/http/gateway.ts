/**
 * The REST API with clients behind it: real sockets, real sessions, shards in memory. Test thread.
 */
import type { IConnectPacket } from 'mqtt-packet';
import { afterAll, beforeAll } from 'vitest';

import { RawClient } from '../harness/raw-client.js';
import { Scope, testScope } from '../harness/scope.js';
import { type ApiFixtureOptions, createApi } from './fixture.js';

/** An API whose gateway listens, until the running test ends. Call it inside a test. */
export function startApi(options: ApiFixtureOptions = {}): Promise<StartedApi> {
  return openApi(testScope(), options);
}
export type StartedApi = Awaited<ReturnType<typeof openApi>>;

/** One for all tests of a suite that leave it as it is, after `prepare`. Call it in a `describe`. */
export function sharedApi(prepare: (api: StartedApi) => Promise<unknown>): () => StartedApi {
  const scope = new Scope();
  let shared: StartedApi | undefined;
  beforeAll(async () => {
    shared = await openApi(scope, {});
    await prepare(shared);
  });
  afterAll(() => scope.release());
  return () => {
    if (shared === undefined) throw new Error('the API has not started');
    return shared;
  };
}

async function openApi(scope: Scope, options: ApiFixtureOptions) {
  const api = await createApi(options);
  scope.add(() => api.close());
  const listeners = await api.gateway.listen();
  const address = listeners.find(({ kind }) => kind === 'tcp')?.address;
  const target = { mqttHost: address?.address ?? '', mqttPort: address?.port ?? 0 };
  return {
    ...api,
    scope,
    /** A connected client of MQTT 5 with a clean start, unless `packet` says otherwise. */
    connect: (clientId: string, packet: Partial<IConnectPacket> = {}) =>
      RawClient.connect(scope, target, { clientId, protocolVersion: 5, ...packet }),
  };
}

/** Subscribes and expects the SUBACK; returns its first reason code. */
export async function subscribe(client: RawClient, topic: string, qos: 0 | 1 | 2 = 0): Promise<number> {
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
  const { granted } = await client.expect('suback');
  return Number(granted[0]);
}
