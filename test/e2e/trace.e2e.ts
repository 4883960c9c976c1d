/**
 * Traces of a running broker, as a collector gets them. Process tier.
 */
import { createServer } from 'node:http';

import { expect, test } from 'vitest';

import { startBroker, type BrokerOptions } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope, type Scope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const producerSpanId = '00f067aa0ba902b7';
const traceparent = `00-${traceId}-${producerSpanId}-01`;

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { stringValue?: string; intValue?: number };
  }[];
}

/** Listens where spans are sent; keeps all. */
async function startCollector(scope: Scope) {
  const spans: Span[] = [];
  const services: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { resource: { attributes: unknown }; scopeSpans: { spans: Span[] }[] }[];
      };
      for (const { resource, scopeSpans } of resourceSpans) {
        services.push(JSON.stringify(resource.attributes));
        for (const scoped of scopeSpans) spans.push(...scoped.spans);
      }
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.add(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { spans, services, url: `http://127.0.0.1:${port}/v1/traces` };
}

async function startTraced(scope: Scope, env: BrokerOptions['env'] = {}) {
  const collector = await startCollector(scope);
  const broker = await startBroker(scope, { env: { SLUICE_TRACE_URL: collector.url, ...env } });
  const { status } = await broker.rest.post('/queues', {
    name: 'jobs',
    topic_filter: 'jobs/#',
    is_lastvalue: false,
  });
  expect(status).toBe(200);
  return { broker, ...collector };
}

function attribute({ attributes }: Span, name: string): string | number | undefined {
  const value = attributes.find(({ key }) => key === name)?.value;
  return value?.stringValue ?? value?.intValue;
}

test('a message that carries a trace has its spans from publish to acknowledgement, and reaches the consumer unchanged [MQTT-3.3.2-17]', async () => {
  const scope = testScope();
  const { broker, spans, services } = await startTraced(scope);
  const publisher = await connectClient(scope, broker, { protocolVersion: 5, clientId: 'producer' });
  const properties = (value: string) => ({ properties: { userProperties: { traceparent: value } } });
  await publisher.client.publishAsync('jobs/1', 'traced', { qos: 1, ...properties(traceparent) });
  await publisher.client.publishAsync('jobs/1', 'not traced', {
    qos: 1,
    ...properties(traceparent.replace(/01$/, '00')),
  });
  await publisher.client.publishAsync('jobs/1', 'silent', { qos: 1 });
  // Later: what a message needs to go on with its trace is stored with it.
  const consumer = await connectClient(scope, broker, { protocolVersion: 5, clientId: 'consumer' });
  await consumer.client.subscribeAsync('$queue/jobs', { qos: 1 });
  const received = await consumer.waitFor(3);
  expect({ ...received[0]?.packet.properties?.userProperties }).toEqual({ traceparent });

  await until(
    () => spans.length >= 4,
    () => `four spans: ${spans.map(({ name }) => name).join()}`,
  );
  const named = new Map(spans.map((span) => [span.name, span]));
  expect(spans.map(({ name }) => name).toSorted()).toEqual(['acknowledge', 'deliver', 'publish', 'store']);
  const [publish, store, deliver, acknowledge] = ['publish', 'store', 'deliver', 'acknowledge'].map((name) =>
    named.get(name)!,
  );
  for (const span of spans) {
    expect(span.traceId).toBe(traceId);
    expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
  }
  expect([publish, store, deliver, acknowledge].map((span) => span?.parentSpanId)).toEqual([
    producerSpanId,
    publish?.spanId,
    producerSpanId,
    deliver?.spanId,
  ]);
  expect(BigInt(deliver!.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(store!.endTimeUnixNano));
  expect(attribute(publish!, 'messaging.client.id')).toBe('producer');
  expect(attribute(publish!, 'messaging.destination.name')).toBe('jobs/1');
  expect(attribute(publish!, 'sluice.queues')).toBe(1);
  expect(attribute(deliver!, 'messaging.client.id')).toBe('consumer');
  expect(attribute(deliver!, 'sluice.delivery_attempt')).toBe(1);
  expect(attribute(acknowledge!, 'mqtt.reason_code')).toBe(0);
  expect(services[0]).toContain('sluice');
});

test('of messages that carry none the ratio is traced, and what is not acknowledged is told when the client leaves [broker]', async () => {
  const scope = testScope();
  const { broker, spans } = await startTraced(scope, { SLUICE_TRACE_RATIO: '1' });
  const publisher = await connectClient(scope, broker, { clientId: 'producer' });
  const consumer = await RawClient.connect(scope, broker, { clientId: 'consumer', protocolVersion: 5 });
  const subscriptions = [{ topic: '$queue/jobs', qos: 1 as const }];
  consumer.send({ cmd: 'subscribe', messageId: 1, subscriptions });
  await consumer.expect('suback');
  await publisher.client.publishAsync('jobs/1', 'x', { qos: 1 });
  await publisher.client.publishAsync('nobody/1', 'x', { qos: 0 });
  await consumer.expect('publish');
  consumer.socket.destroy();
  await until(
    () => spans.some(({ name }) => name === 'acknowledge') && spans.length >= 5,
    () => `the spans: ${spans.map(({ name }) => name).join()}`,
  );
  expect(spans.map(({ name }) => name).toSorted()).toEqual([
    'acknowledge',
    'deliver',
    'publish',
    'publish',
    'store',
  ]);
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined || parentSpanId === '');
  expect(roots.map(({ name }) => name).toSorted()).toEqual(['deliver', 'publish', 'publish']);
  expect(new Set(roots.map((span) => span.traceId)).size).toBe(3);
  const metrics = await fetch(`http://127.0.0.1:${broker.httpPort}/metrics`);
  expect(await metrics.text()).toMatch(/^sluice_trace_spans_total\{outcome="exported"\} [1-9]/m);
});
