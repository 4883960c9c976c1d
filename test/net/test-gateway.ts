/**
 * A gateway on a free loopback port over `FakeShards`, and queues for it. Test thread.
 *
 * Always true: it is the real listener, connection, codec, session and router; only the shards are a fake.
 */
import type { IConnectPacket, IPublishPacket } from 'mqtt-packet';

import { loadConfig } from '../../src/config/config.js';
import { createGateway, type Gateway, type GatewayOptions } from '../../src/net/gateway.js';
import type { BoundListener } from '../../src/net/listener.js';
import type { QueueDefinition } from '../../src/queue/definition.js';
import { QueueCatalogue } from '../../src/router/queue-catalogue.js';
import { Router } from '../../src/router/router.js';
import type { Session } from '../../src/session/session.js';
import { CounterReader, Counters, createCounterMemory, MAIN_BLOCK } from '../../src/telemetry/counter.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { definitionWith } from '../queue/fake-host.js';
import { FakeShards } from '../session/fake-shards.js';

/** A running gateway and what is behind it. */
export interface TestGateway {
  readonly gateway: Gateway;
  readonly shards: FakeShards;
  readonly catalogue: QueueCatalogue;
  readonly router: Router<Session>;
  readonly counters: CounterReader;
  readonly scope: Scope;
  readonly listeners: readonly BoundListener[];
  /** The plain TCP listener. */
  readonly mqttHost: string;
  readonly mqttPort: number;
  /** Adds a queue as the broker would once a shard has committed it. */
  addQueue(topicFilter: string, name?: string): QueueDefinition;
}

/** What a test may want to differ. */
export interface TestGatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly shards?: FakeShards;
  readonly hooks?: GatewayOptions['hooks'];
  readonly clock?: GatewayOptions['clock'];
  readonly sharesReadBuffer?: boolean;
  /** Durable sessions get their messages through queues of their own, as from a broker. */
  readonly hasSessionQueues?: boolean;
  readonly loadUws?: GatewayOptions['loadUws'];
}

/** Starts a gateway that ends with the running test. Call it inside a test. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const config = loadConfig({ SLUICE_MQTT_PORT: '0', ...options.env });
  const shards = options.shards ?? new FakeShards();
  const catalogue = new QueueCatalogue();
  const router = new Router<Session>(
    options.hasSessionQueues === true ? { queueOf: (session) => session.durable?.target } : {},
  );
  catalogue.watch((change, { id, topicFilter }) => {
    if (change === 'added')
      router.addQueue(topicFilter, { queueId: id, shardId: shards.shardOf(topicFilter) });
    if (change === 'removed') router.removeQueue(topicFilter, id);
  });
  const memory = createCounterMemory(0);
  const gateway = createGateway({
    config,
    shards,
    catalogue,
    router,
    counters: new Counters(memory, MAIN_BLOCK),
    logger: createLogger({ level: process.env['SLUICE_LOG_LEVEL'] ?? 'silent', format: 'text' }),
    ...(options.hooks === undefined ? {} : { hooks: options.hooks }),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.loadUws === undefined ? {} : { loadUws: options.loadUws }),
    ...(options.sharesReadBuffer === undefined ? {} : { sharesReadBuffer: options.sharesReadBuffer }),
  });
  const scope = testScope();
  const listeners = await gateway.listen();
  scope.add(() => gateway.close());
  const plain = listeners.find(({ kind }) => kind === 'tcp')?.address;
  let nextId = 1;
  return {
    gateway,
    shards,
    catalogue,
    router,
    counters: new CounterReader(memory),
    scope,
    listeners,
    mqttHost: plain?.address ?? '',
    mqttPort: plain?.port ?? 0,
    addQueue(topicFilter, name = `/${topicFilter}`) {
      const definition = queueDefinition(nextId++, name, topicFilter);
      catalogue.add(definition);
      return definition;
    },
  };
}

/** A connected client; MQTT 5 with a clean start unless `options` say otherwise. */
export function connect(
  target: TestGateway,
  clientId: string,
  options: Partial<IConnectPacket> = {},
): Promise<RawClient> {
  return RawClient.connect(target.scope, target, { clientId, protocolVersion: 5, ...options });
}

/** A CONNECT of MQTT 5 with a clean start and no keep alive, unless `options` say otherwise. */
export function connectPacket(options: Partial<IConnectPacket> & { clientId: string }): IConnectPacket {
  return { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, keepalive: 0, ...options };
}

/** A connection that has sent nothing. */
export function open(target: TestGateway, version: 3 | 4 | 5 = 5): Promise<RawClient> {
  return RawClient.open(target.scope, target, version);
}

/** A PUBLISH; QoS 1 with packet id 1 unless `options` say otherwise. */
export function publishPacket(
  topic: string,
  payload: string,
  options: Partial<IPublishPacket> = {},
): IPublishPacket {
  return { cmd: 'publish', topic, payload, qos: 1, messageId: 1, dup: false, retain: false, ...options };
}

/** Publishes with QoS 1 and expects the PUBACK; returns its reason code. */
export async function publish(
  client: RawClient,
  topic: string,
  payload: string,
  options: Partial<IPublishPacket> = {},
): Promise<number> {
  client.send(publishPacket(topic, payload, options));
  const puback = await client.expect('puback');
  return puback.reasonCode ?? 0;
}

/** Proves that nothing is on its way to `client`: the answer to a ping would come after it. */
export async function expectNothing(client: RawClient): Promise<void> {
  // A turn for the fake shards, whose work is done by setImmediate.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  client.send({ cmd: 'pingreq' });
  await client.expect('pingresp');
}

/** A regular queue with default settings. */
export function queueDefinition(id: number, name: string, topicFilter: string): QueueDefinition {
  return definitionWith({ id, name, topicFilter, dispatchStrategy: 'round_robin' });
}
