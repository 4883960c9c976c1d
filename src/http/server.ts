/**
 * The HTTP server: REST API under `/api/v5`, its OpenAPI document, and the life of the listener. Main thread.
 *
 * Always true: every answer but the metrics and the dashboard is JSON and every failure `{"code","message"}`; no route exists that the
 * OpenAPI document does not show, except the dashboard and the answers 404 and 405; bodies, headers, request time and open connections are bounded; `close` is done
 * within the drain time whatever clients keep open. No state beyond the one server that it returns.
 * Source: REF 7; Fastify 5 with TypeBox schemas.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';

import { assert, OperationalError } from '../base/error.js';
import type { Admin } from '../broker/admin.js';
import type { Logging } from '../telemetry/logger.js';
import { type HttpAccess, mayWriteWith } from './access.js';
import { documentPage, documentRoutes, openApi } from './api-docs.js';
import { apiKeys } from './api-keys.js';
import type { App } from './app.js';
import { audit } from './audit.js';
import { banned } from './banned.js';
import { answerError, rawErrorAnswer, sendError } from './error.js';
import { dashboardFiles } from './dashboard-files.js';
import { backups } from './backup.js';
import { checks } from './checks.js';
import { clients } from './clients.js';
import { configs } from './configs.js';
import { events } from './events.js';
import { logLevels } from './log-levels.js';
import { logs } from './logs.js';
import { health } from './health.js';
import { metrics, type Monitoring } from './metrics.js';
import { login } from './login.js';
import { mqConfig } from './mq-config.js';
import { listenForUpgrades, type UpgradeTaker, upgradeOptions } from './mqtt-upgrade.js';
import { operations } from './operation.js';
import { publish } from './publish.js';
import { boundConnections, markAnswer, protect, requestIdOf } from './protection.js';
import { queueCollection } from './queue-collection.js';
import { queueItem } from './queue-item.js';
import { queuesOverview } from './queues-overview.js';
import { retained } from './retained.js';
import { stats } from './stats.js';
import { subscriptions } from './subscriptions.js';
import { users } from './users.js';
import { createValidatorCompiler } from './validation.js';

/** What the server is started with. */
export interface HttpServerOptions {
  readonly admin: Admin;
  readonly access: HttpAccess;
  /** Takes WebSockets of the dashboard's MQTT client; without it there are none. */
  readonly takeUpgrade?: UpgradeTaker;
  /** Shared counters of all threads, for the metrics. */
  readonly counterMemory: SharedArrayBuffer;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Longest time that `close` waits for requests under way. */
  readonly drainTimeoutMs: number;
  readonly version: string;
  /** Longest time for a request to arrive; 30 s when left out. */
  readonly requestTimeoutMs?: number;
  /** What was logged, and the levels. */
  readonly logging: Pick<Logging, 'recent' | 'levels'>;
  /** What the metrics show; left out: 1,000 queues, and nothing about the disk. */
  readonly monitoring?: Monitoring;
  /** Faults are logged here; requests are not. */
  readonly logger: FastifyBaseLogger;
}

/** A listening server. */
export interface HttpServer {
  /** What it is bound to. */
  readonly address: AddressInfo;
  /** Takes no more requests, lets those under way end, and closes every connection within the drain time. */
  close(): Promise<void>;
}

const bodyBytesMax = 1024 * 1024;
const headerBytesMax = 16 * 1024;
const requestTimeoutMs = 30_000;
const keepAliveTimeoutMs = 10_000;
const root = '/api/v5';
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Every path of the queue API: what is served there, and whether it is the first of its kind. */
const groups = [
  { path: '/message_queues/queues', routes: [queueCollection, queueItem], tag: 'Queues', isCanonical: true },
  { path: '/message_queues/config', routes: [mqConfig], tag: 'Queue configuration', isCanonical: true },
  { path: '/queues', routes: [queueCollection, queueItem], tag: 'Queues (short paths)', isCanonical: false },
  { path: '/queue', routes: [queueItem], tag: 'Queues (short paths)', isCanonical: false },
  { path: '/queues/config', routes: [mqConfig], tag: 'Queue configuration', isCanonical: false },
  { path: '', routes: [queuesOverview, checks], tag: 'Queues', isCanonical: true },
  { path: '', routes: [clients, subscriptions], tag: 'Clients', isCanonical: true },
  { path: '', routes: [publish, retained], tag: 'Messages', isCanonical: true },
  { path: '', routes: [events, stats, configs], tag: 'Operation', isCanonical: true },
  { path: '', routes: [login], tag: 'Access', isCanonical: true },
  { path: '/users', routes: [users], tag: 'Access', isCanonical: true },
  { path: '/api_key', routes: [apiKeys], tag: 'Access', isCanonical: true },
  { path: '/banned', routes: [banned], tag: 'Access', isCanonical: true },
  { path: '/audit', routes: [audit], tag: 'Access', isCanonical: true },
  { path: '', routes: [operations, backups, logs, logLevels], tag: 'Operation', isCanonical: true },
] as const;

/** Builds the server and listens. Throws `OperationalError` ERR_LISTEN when the address cannot be used. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app = await buildApp(options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    const reason = error instanceof Error ? error.message : String(error);
    throw new OperationalError(
      'ERR_LISTEN',
      `the REST API cannot listen on ${options.host} port ${options.port}: ${reason}`,
      error,
    );
  }
  const [address] = app.addresses();
  assert(typeof address === 'object', 'a TCP listener has an address and a port');
  return { address, close: () => closeWithin(app, options.drainTimeoutMs) };
}

/** The server without a listener; ready for requests given to `inject`. */
export async function buildApp(
  options: Omit<HttpServerOptions, 'host' | 'port' | 'drainTimeoutMs'>,
): Promise<App> {
  const timeoutMs = options.requestTimeoutMs ?? requestTimeoutMs;
  const app: App = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestIdOf,
    requestIdHeader: false,
    bodyLimit: bodyBytesMax,
    routerOptions: { maxParamLength: headerBytesMax },
    frameworkErrors: (error, request, reply) =>
      void answerError(error, markAnswer(request, reply), request.log),
    // Fastify's own listener for broken requests stays unused: it must know our body.
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
      else socket.end(rawErrorAnswer(error.code));
    },
    serverFactory: (handler) => {
      const server = createServer(
        {
          ...upgradeOptions,
          maxHeaderSize: headerBytesMax,
          requestTimeout: timeoutMs,
          headersTimeout: timeoutMs,
          // Node looks every 30 s, which would double the time.
          connectionsCheckingInterval: Math.ceil(timeoutMs / 6),
          keepAliveTimeout: keepAliveTimeoutMs,
        },
        handler,
      );
      boundConnections(server, options.access);
      if (options.takeUpgrade !== undefined) {
        const mayUse = (token: string): boolean => mayWriteWith(options.access, token);
        listenForUpgrades(server, { take: options.takeUpgrade, mayUse });
      }
      return server;
    },
  });
  app.setValidatorCompiler(createValidatorCompiler());
  // Answers are built by typed functions; filtering them again would cost and could hide fields.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  acceptJsonOnly(app);
  protect(app, options.access);
  app.setErrorHandler((error, request, reply) => answerError(error, reply, request.log));
  app.setNotFoundHandler((_request, reply) => sendError(reply, 'NOT_FOUND', 'No such route'));

  const known = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const entry = known.get(url) ?? new Set<string>();
    for (const one of [method].flat()) entry.add(one);
    known.set(url, entry);
  });
  await openApi(app, options.version);
  for (const { path, routes, tag, isCanonical } of groups) {
    const { admin, access, counterMemory, logging } = options;
    const group = { prefix: `${root}${path}`, admin, access, counterMemory, logging, tag, isCanonical };
    for (const add of routes) await app.register(add, group);
  }
  await app.register(dashboardFiles);
  const atRoot = { ...options, prefix: '', tag: 'Operation', isCanonical: true };
  await app.register(health, atRoot);
  await app.register(metrics, { ...atRoot, monitoring: options.monitoring ?? { queuesMax: 1000 } });
  await app.register(documentRoutes, { url: `${root}/openapi.json` });
  refuseOtherMethods(app, known);
  await app.register(documentPage);
  await app.ready();
  return app;
}

/** One body format; an empty body is no body, whatever its header says. */
function acceptJsonOnly(app: App): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null);
    else void parse(request, String(body), done);
  });
}

/** A known path with a method that it does not have is 405, not 404. */
function refuseOtherMethods(app: App, known: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, present] of [...known]) {
    const allow = [...present].join(', ');
    app.route({
      url,
      method: methods.filter((method) => !present.has(method)),
      schema: { hide: true },
      // Before the body is read: nothing about it matters any more.
      onRequest: async (request, reply) =>
        await sendError(reply.header('allow', allow), 'METHOD_NOT_ALLOWED', `No ${request.method} here`),
      handler: async () => undefined,
    });
  }
}

async function closeWithin(app: App, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), timeoutMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}
