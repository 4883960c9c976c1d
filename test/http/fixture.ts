/**
 * The REST API over in-memory shards. Every answer that a test gets is checked against the OpenAPI document, so
 * the document cannot drift from what the server says.
 */
import { join } from 'node:path';

import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import { buildApp } from '../../src/http/server.js';
import { createLogging } from '../../src/telemetry/logger.js';
import { type AuditLine, openTestAccess, seedAccounts, type TestAccessOptions } from './access-fixture.js';
import { createFixture, type FixtureOptions } from '../broker/fixture.js';

export interface ApiFixtureOptions extends FixtureOptions {
  readonly apiKeys?: ApiKeys;
  /** Whatever else differs in who may do what. There are the accounts of `seedAccounts`. */
  readonly access?: TestAccessOptions;
}

interface Operation {
  readonly responses: Readonly<
    Record<string, { content?: { 'application/json'?: { schema: TSchema } } } | undefined>
  >;
}
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | undefined>>>>;
}

/** Status and decoded body of an answer. */
export interface Answer {
  readonly status: number;
  // Bodies are what tests look into.
  readonly body: any; // oxlint-disable-line typescript/no-explicit-any
  readonly headers: LightMyRequestResponse['headers'];
}

/** The same for every server, and the slowest part of making one. */
let document: OpenApiDocument | undefined;

export async function createApi({
  apiKeys = ApiKeys.none(),
  access: accessOptions = {},
  ...options
}: ApiFixtureOptions = {}) {
  const fixture = await createFixture(options);
  const accessFolder = await seedAccounts(join(fixture.folder, 'access'));
  const logged: string[] = [];
  const audited: AuditLine[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => logged.push(line) });
  const { counterMemory } = fixture;
  const access = openTestAccess(accessFolder, {
    apiKeys,
    counterMemory,
    audit: (line) => audited.push(line),
    ...accessOptions,
  });
  const logging = createLogging({ level: 'info', format: 'json', stream: { write: () => undefined } });
  const app = await buildApp({
    admin: fixture.admin,
    access,
    counterMemory,
    logging,
    version: '0.0.0-test',
    logger,
  });
  document ??= app.swagger() as unknown as OpenApiDocument;
  const described = document;

  async function send(request: InjectOptions): Promise<Answer> {
    const response = await app.inject(request);
    const text = response.payload;
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    if (text !== '') expect(response.headers['content-type']).toMatch(/^application\/json/);
    if (response.statusCode >= 400) expectErrorBody(body);
    conform(described, request, response.statusCode, body);
    return { status: response.statusCode, body, headers: response.headers };
  }

  /** Sends to a path below `/api/v5`; an object is sent as JSON. */
  function call(
    method: NonNullable<InjectOptions['method']>,
    path: string,
    payload?: object,
  ): Promise<Answer> {
    return send({ method, url: `/api/v5${path}`, ...(payload === undefined ? {} : { payload }) });
  }

  return {
    ...fixture,
    app,
    logging,
    document: described,
    logged,
    access,
    accessFolder,
    audited,
    send,
    call,
    close: async () => {
      await app.close();
      await fixture.remove();
    },
  };
}
export type Api = Awaited<ReturnType<typeof createApi>>;

function expectErrorBody(body: unknown): void {
  expect(body).toMatchObject({
    code: expect.stringMatching(/^[A-Z_]+$/) as string,
    message: expect.anything() as unknown,
  });
}

/** Checks an answer against the document; statuses that routes share (404 and 405 of unknown routes) are not in it. */
function conform(document: OpenApiDocument, request: InjectOptions, status: number, body: unknown): void {
  const path = (typeof request.url === 'string' ? request.url : '').split('?')[0] ?? '';
  const method = (request.method ?? 'GET').toLowerCase();
  const found = Object.entries(document.paths)
    .filter(([template]) => pattern(template).test(path))
    .toSorted(([a], [b]) => a.split('{').length - b.split('{').length)[0];
  const operation = found?.[1][method];
  if (operation === undefined) {
    expect(path.startsWith('/api/v5') && status < 400 && !path.endsWith('openapi.json')).toBe(false);
    return;
  }
  const answer = operation.responses[String(status)];
  expect(answer, `${method} ${path} documents ${status}`).toBeDefined();
  const schema = answer?.content?.['application/json']?.schema;
  if (schema === undefined || body === undefined) return;
  expect(Compile(schema).Errors(body), `${method} ${path} ${status}`).toEqual([]);
}

function pattern(template: string): RegExp {
  return new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`);
}
