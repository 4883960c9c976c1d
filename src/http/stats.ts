/**
 * Figures of the broker in the form of EMQX: `/stats`, `/metrics`, `/monitor_current`, `/nodes`. Main thread.
 *
 * Always true: there is one node, so lists have one entry and `aggregate=true` gives that alone. For monitoring there is the
 * text for Prometheus, for live charts the event stream; these are for tools that know EMQX's API.
 */
import { freemem, loadavg, totalmem } from 'node:os';

import Type from 'typebox';

import { OperatorError } from '../broker/operator-error.js';
import { answers, type App, nodeName, operation, type RouteGroup } from './app.js';

const count = Type.Integer({ minimum: 0 });
const rate = Type.Number({ minimum: 0, description: 'Per second.' });

const NodeTotals = Type.Object(
  { node: Type.Optional(Type.String()) },
  { additionalProperties: Type.Union([Type.Number(), Type.String()]), description: 'Numbers by name.' },
);
const AggregateQuery = Type.Object({ aggregate: Type.Optional(Type.Enum(['true', 'false'])) });
const TotalsAnswer = Type.Union([Type.Array(NodeTotals), NodeTotals], {
  description: 'A list with one entry, or that entry with `aggregate=true`.',
});

const MonitorObject = Type.Object({
  connections: count,
  live_connections: count,
  sessions: count,
  subscriptions: count,
  shared_subscriptions: count,
  retained_msg_count: count,
  queues: count,
  received_msg_rate: rate,
  sent_msg_rate: rate,
  dropped_msg_rate: rate,
  received_bytes_rate: rate,
  sent_bytes_rate: rate,
  node_uptime: Type.Integer({ description: 'Seconds.' }),
});

const NodeObject = Type.Object({
  node: Type.String(),
  node_status: Type.Enum(['running', 'stopped']),
  role: Type.Literal('core'),
  version: Type.String(),
  uptime: Type.Integer({ description: 'Milliseconds.' }),
  connections: count,
  live_connections: count,
  memory_used: Type.Integer({ description: 'Bytes, of the machine.' }),
  memory_total: Type.Integer({ description: 'Bytes, of the machine.' }),
  process_memory: Type.Integer({ description: 'Bytes, of the broker.' }),
  load1: Type.Number(),
  load5: Type.Number(),
  load15: Type.Number(),
});

/** Adds the routes. */
export async function stats(app: App, group: RouteGroup): Promise<void> {
  const { admin } = group;

  for (const [name, operationId, summary] of [
    ['stats', 'getStats', 'What there is now: connections, sessions, subscriptions, messages'],
    ['metrics', 'getTotals', 'What has happened since the start, as JSON'],
  ] as const) {
    app.route({
      method: 'GET',
      url: `/${name}`,
      schema: {
        ...operation(group, operationId),
        summary,
        querystring: AggregateQuery,
        response: answers({ 200: TotalsAnswer }),
      },
      handler: async ({ query }) => {
        const totals = name === 'stats' ? admin.totals.stats() : admin.totals.metrics();
        return query.aggregate === 'true' ? totals : [{ node: nodeName, ...totals }];
      },
    });
  }

  app.route({
    method: 'GET',
    url: '/monitor_current',
    schema: {
      ...operation(group, 'getMonitorCurrent'),
      summary: 'Counts and rates of this moment',
      description: 'Takes a second when nobody has asked in the last ten.',
      response: answers({ 200: MonitorObject }),
    },
    handler: async () => {
      const rates = await admin.load.now();
      const now = admin.totals.stats();
      const number = (name: string): number => now[name] ?? 0;
      return {
        connections: number('connections.count'),
        live_connections: number('live_connections.count'),
        sessions: number('sessions.count'),
        subscriptions: number('subscriptions.count'),
        shared_subscriptions: number('subscriptions.shared.count'),
        retained_msg_count: number('retained.count'),
        queues: number('queues.count'),
        received_msg_rate: rounded(rates.messagesIn),
        sent_msg_rate: rounded(rates.messagesOut),
        dropped_msg_rate: rounded(rates.messagesDropped),
        received_bytes_rate: rounded(rates.bytesIn),
        sent_bytes_rate: rounded(rates.bytesOut),
        node_uptime: Math.floor(admin.status().uptimeMs / 1000),
      };
    },
  });

  app.route({
    method: 'GET',
    url: '/nodes',
    schema: {
      ...operation(group, 'listNodes'),
      summary: 'The nodes of the broker: one',
      response: answers({ 200: Type.Array(NodeObject) }),
    },
    handler: async () => [nodeObject(group)],
  });

  app.route({
    method: 'GET',
    url: '/nodes/:node',
    schema: {
      ...operation(group, 'getNode'),
      summary: 'Read a node',
      params: Type.Object({ node: Type.String() }),
      response: answers({ 200: NodeObject }, 404),
    },
    handler: async ({ params }) => {
      if (params.node !== nodeName) throw new OperatorError('NOT_FOUND', 'Node not found');
      return nodeObject(group);
    },
  });
}

function nodeObject({ admin }: RouteGroup) {
  const { state, version, uptimeMs } = admin.status();
  const connections = admin.totals.stats()['connections.count'] ?? 0;
  const [load1 = 0, load5 = 0, load15 = 0] = loadavg();
  return {
    node: nodeName,
    node_status: state === 'running' ? ('running' as const) : ('stopped' as const),
    role: 'core' as const,
    version,
    uptime: Math.round(uptimeMs),
    connections,
    live_connections: connections,
    memory_used: totalmem() - freemem(),
    memory_total: totalmem(),
    process_memory: process.memoryUsage.rss(),
    load1: rounded(load1),
    load5: rounded(load5),
    load15: rounded(load15),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
