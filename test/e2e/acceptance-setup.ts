/**
 * What the acceptance tests share: the settings of EMQX's own suites, their clients and their words. Test process.
 *
 * "populate" publishes QoS 1 messages with the payloads `payload-<i>` to `<prefix>/<i>`; a "manual" client
 * acknowledges nothing by itself, an "automatic" one everything. Always true: one broker per file, every wait
 * has a bound, and everything ends with its scope. Source: REF 12, setup defaults.
 */
import type { IConnectPacket, IPublishPacket } from 'mqtt-packet';
import { expect } from 'vitest';

import type { Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import type { Json } from '../harness/rest.js';
import type { Scope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

export const strategies = ['random', 'round_robin', 'least_inflight'] as const;

/** Settings of a queue in EMQX's suites. */
export const suiteDefaults = {
  is_lastvalue: false,
  dispatch_strategy: 'random',
  data_retention_period: '1h',
  consumer_max_inactive: '1s',
  ping_interval: '5s',
  redispatch_interval: '100ms',
  local_max_inflight: 4,
  stream_max_buffer_size: 10,
  stream_max_unacked: 5,
  consumer_persistence_interval: '1s',
};

/** What makes a queue of the suites a last-value queue. */
export const lastvalue = {
  is_lastvalue: true,
  key_expression: 'message.headers.properties.User-Property.mq-key',
};

/** Lifts the suites' bounds: everything may be in flight at once. */
export const wideWindow = { local_max_inflight: 1000, stream_max_buffer_size: 2000 };

/** Time in which a message would have come that must not. */
const quietMs = 250;

/** `payload-<from>` to `payload-<from + count - 1>`. */
export function payloads(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `payload-${from + index}`);
}

/** Acknowledges a delivery; a reason code of 0x80 or more, or 0x10, refuses it. */
export function ack(client: RawClient, { messageId = 0 }: IPublishPacket, reasonCode = 0): void {
  client.send({ cmd: 'puback', messageId, reasonCode });
}

/** Takes `count` deliveries and acknowledges none. */
export async function hold(client: RawClient, count: number): Promise<IPublishPacket[]> {
  const held: IPublishPacket[] = [];
  for (let i = 0; i < count; i++) held.push(await client.expect('publish'));
  return held;
}

/** Takes and acknowledges `count` deliveries; answers their payloads in order. */
export async function take(client: RawClient, count: number): Promise<string[]> {
  const taken: string[] = [];
  for (let i = 0; i < count; i++) {
    const message = await client.expect('publish');
    taken.push(textOf(message));
    ack(client, message);
  }
  return taken;
}

/** Payload as text. */
export function textOf({ payload }: IPublishPacket): string {
  return payload.toString();
}

/** Nothing comes for a while. */
export async function expectQuiet(client: RawClient): Promise<void> {
  await expect(client.next(quietMs)).rejects.toThrow('waited');
}

/** Resolves when the broker has read everything that the client sent. No delivery may be on its way. */
export async function settle(client: RawClient): Promise<void> {
  client.send({ cmd: 'pingreq' });
  await client.expect('pingresp');
}

/** DISCONNECT, and wait for the end of the connection. */
export async function leave(client: RawClient): Promise<void> {
  client.send({ cmd: 'disconnect', reasonCode: 0 });
  await until(() => client.closed, 'the broker to close the connection');
}

/** Makes `client` automatic; the payloads appear in the answer as they come. Subscribe before. */
export function automatic(client: RawClient): string[] {
  const taken: string[] = [];
  void (async () => {
    for (;;) {
      const message = await client.expect('publish', 300_000);
      taken.push(textOf(message));
      ack(client, message);
    }
  })().catch(() => undefined);
  return taken;
}

/** Waits until the automatic clients have `count` payloads together. */
export async function waitForAll(shares: readonly string[][], count: number): Promise<void> {
  await until(
    () => shares.flat().length >= count,
    () => `${count} messages, ${shares.flat().length} came`,
  );
}

/** The order in which `suite.populate` sent them. */
export function sorted(list: readonly string[]): string[] {
  return list.toSorted((a, b) => numberOf(a) - numberOf(b));
}

/** The number in `payload-<number>`. */
export function numberOf(payload: string): number {
  return Number(payload.slice(payload.lastIndexOf('-') + 1));
}

/** A running broker with the operations that the items are written in. */
export class Suite {
  readonly broker: Broker;
  #clients = 0;

  constructor(broker: Broker) {
    this.broker = broker;
  }

  /** Creates a queue with the settings of the suites and `fields` over them. */
  async createQueue(name: string, filter: string, fields: Json = {}): Promise<Json> {
    return this.broker.rest.createQueue(filter, { name, ...suiteDefaults, ...fields });
  }

  /** An MQTT 5 client with a clean session. */
  async connect(scope: Scope, options: Partial<IConnectPacket> = {}): Promise<RawClient> {
    return RawClient.connect(scope, this.broker, {
      clientId: `client-${this.#clients++}`,
      protocolVersion: 5,
      ...options,
    });
  }

  /** A new client that is subscribed. */
  async subscriber(
    scope: Scope,
    topicFilter: string,
    options: Partial<IConnectPacket> = {},
  ): Promise<RawClient> {
    const client = await this.connect(scope, options);
    await client.subscribe(topicFilter);
    return client;
  }

  /** Publishes `payload-<from>` … to `<prefix>/<from>` …, one after the other, each acknowledged as stored. */
  async populate(scope: Scope, prefix: string, count: number, from = 0): Promise<void> {
    const client = await this.connect(scope);
    for (let i = from; i < from + count; i++) await publish(client, `${prefix}/${i}`, `payload-${i}`);
    await leave(client);
  }

  /** Publishes `count` messages whose keys are `k0` to `k<keys - 1>` in turn. */
  async populateKeys(scope: Scope, prefix: string, count: number, keys: number, from = 0): Promise<void> {
    const client = await this.connect(scope);
    for (let i = from; i < from + count; i++) {
      await publish(client, `${prefix}/${i}`, `payload-${i}`, { 'mq-key': `k${i % keys}` });
    }
    await leave(client);
  }

  /** Statistics of a queue. */
  async stats(name: string): Promise<Stats> {
    const answer = await this.broker.rest.get(`/message_queues/queues/${encodeURIComponent(name)}/stats`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body as unknown as Stats;
  }

  /** Waits until a number of the statistics has a value. */
  async untilStat(name: string, field: 'messages' | 'in_flight' | 'consumers', value: number): Promise<void> {
    let last: number | undefined;
    await until(
      async () => (last = (await this.stats(name))[field]) === value,
      () => `${field} of ${name} to be ${value}; it is ${last}`,
    );
  }

  async queueExists(name: string): Promise<boolean> {
    const { status } = await this.broker.rest.get(`/message_queues/queues/${encodeURIComponent(name)}`);
    return status === 200;
  }

  async deleteQueue(name: string): Promise<void> {
    const { status } = await this.broker.rest.delete(`/message_queues/queues/${encodeURIComponent(name)}`);
    expect(status).toBe(204);
  }

  /** Changes the configuration of the queue system until the scope ends, when `after` is put back. */
  async configure(scope: Scope, patch: Json, after: Json): Promise<void> {
    expect((await this.broker.rest.put('/message_queues/config', patch)).status).toBe(204);
    scope.add(() => this.broker.rest.put('/message_queues/config', after));
  }

  /** Ends every shard worker as a crash would and waits until all are back. */
  async restartShards(): Promise<void> {
    const before = await this.shards();
    for (const { id } of before) {
      expect((await this.broker.rest.post(`/shards/${id}/restart`)).status).toBe(202);
    }
    await until(async () => {
      const now = await this.shards();
      return now.every((shard, i) => shard.state === 'up' && shard.restarts > (before[i]?.restarts ?? 0));
    }, 'every shard to be back');
  }

  async shards(): Promise<{ id: number; state: string; restarts: number }[]> {
    const { data } = (await this.broker.rest.get('/shards')).body as {
      data: { id: number; state: string; restarts: number }[];
    };
    return data.toSorted((a, b) => a.id - b.id);
  }

  /** Stops the broker as an operator would and starts it again. */
  async restart(): Promise<void> {
    const exit = await this.broker.stop();
    expect(exit.code).toBe(0);
    await this.broker.restart();
  }
}

/** Statistics of a queue as far as the tests look at them. */
export interface Stats {
  readonly ready: number;
  readonly in_flight: number;
  readonly messages: number;
  readonly bytes: number;
  readonly consumers: number;
  readonly in_rate: number;
  readonly out_rate: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** Publishes with QoS 1 and expects success. */
export async function publish(
  client: RawClient,
  topic: string,
  payload: string,
  userProperties?: Record<string, string>,
): Promise<void> {
  client.send({
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    messageId: 1,
    dup: false,
    retain: false,
    ...(userProperties !== undefined && { properties: { userProperties } }),
  });
  const { reasonCode = 0 } = await client.expect('puback');
  expect(reasonCode).toBe(0);
}

/** Publishes with QoS 0. */
export function publishQos0(client: RawClient, topic: string, payload: string): void {
  client.send({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false });
}
