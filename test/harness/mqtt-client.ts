/**
 * A client of the mqtt.js library, as an application would use it. Runs in the test process.
 *
 * Always true: it is connected when the promise resolves and ends with the scope. Messages are kept in the
 * order of arrival; the library acknowledges each by itself.
 */
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import type { Scope } from './scope.js';
import { until } from './wait.js';

/** One received message. */
export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly packet: IPublishPacket;
  readonly atMs: number;
}

/** A connected client and what it received. */
export interface TestClient {
  readonly client: MqttClient;
  readonly received: Received[];
  /** Resolves when `count` messages are there. */
  readonly waitFor: (count: number, timeoutMs?: number) => Promise<readonly Received[]>;
}

/** Connects; without `options` a 3.1.1 client with a clean session that does not reconnect. */
export async function connectClient(
  scope: Scope,
  target: { mqttHost: string; mqttPort: number },
  options: IClientOptions = {},
): Promise<TestClient> {
  const client = connect({
    host: target.mqttHost,
    port: target.mqttPort,
    protocol: 'mqtt',
    reconnectPeriod: 0,
    ...options,
  });
  scope.add(() => client.endAsync(true));
  const received: Received[] = [];
  // Before CONNACK: what waited for a session comes right behind it.
  client.on('message', (topic, payload, packet) => {
    received.push({ topic, payload: payload.toString(), packet, atMs: performance.now() });
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error('the connection was closed before CONNACK')));
  });
  client.removeAllListeners('error');
  client.on('error', () => undefined);
  const waitFor = async (count: number, timeoutMs?: number): Promise<readonly Received[]> => {
    await until(
      () => received.length >= count,
      () => `${count} messages, ${received.length} came`,
      timeoutMs,
    );
    return received;
  };
  return { client, received, waitFor };
}
