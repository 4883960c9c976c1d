/**
 * The type of the Fastify instance that all routes are added to. Main thread; types only, plus shared answers.
 *
 * Always true: the schema of a route is TypeBox, so that the handler's types, the check of the request and the
 * OpenAPI document are one thing. Handlers say their answer's type; errors are documented alike for all routes.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import Type, { type TSchema } from 'typebox';

import type { Admin } from '../broker/admin.js';
import type { Logging } from '../telemetry/logger.js';
import type { HttpAccess } from './access.js';
import { ErrorBody } from './error.js';

/** Fastify with TypeBox types. */
export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What a group of routes is added with. The same group is added once per path that it answers under. */
export interface RouteGroup {
  readonly admin: Admin;
  /** Accounts, keys, bans and who may do what. */
  readonly access: HttpAccess;
  /** Shared counters of all threads. */
  readonly counterMemory: SharedArrayBuffer;
  /** What was logged, and the levels. */
  readonly logging: Pick<Logging, 'recent' | 'levels'>;
  /** Group in the OpenAPI document. */
  readonly tag: string;
  /** Operation ids must be unique: only the group of the canonical path has them. */
  readonly isCanonical: boolean;
}

/** What answers in EMQX's form name as the node; there is one. */
export const nodeName = 'sluice';

/** Schema of an answer without body. */
export const NoContent = Type.Null({ description: 'Done; no body.' });

/** Answers of a route: its own, and an error body for each of `failures` and for what any route may meet. */
export function answers<S extends Readonly<Record<number, TSchema>>>(own: S, ...failures: number[]) {
  const errors = [400, 401, 403, 429, 500, ...failures].map((status) => [status, ErrorBody] as const);
  return { ...own, ...Object.fromEntries(errors) } as S;
}

/** Operation id for the canonical path, nothing for an alias. */
export function operation(group: RouteGroup, operationId: string): { operationId?: string; tags: string[] } {
  return group.isCanonical ? { operationId, tags: [group.tag] } : { tags: [group.tag] };
}
