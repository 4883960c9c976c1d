/**
 * The REST API as the pages call it. In the browser.
 *
 * Always true: every request carries the bearer token; every failure is an `ApiError` whose message can be shown as it is; a
 * token that is no longer good leads to the login page. Answers are trusted to have the shape of the API's document. A
 * request that takes longer than 30 s is given up, unless it was said to be long. The API is found beside the
 * dashboard, below whatever path a proxy adds. Nothing is asked of what is called `.` or `..`: in an address these are steps.
 */
import { endSession, session } from './session.js';

/** A request that did not do what it should. */
export class ApiError extends Error {
  /** Of the answer; 0 when there was none. */
  readonly status: number;
  /** The API's code, as `ALREADY_EXISTS`; `UNREACHABLE` without an answer. */
  readonly code: string;
  /** The field of the body that is wrong, as `topic_filter`, when the API says so; else empty. */
  readonly field: string;

  constructor(status: number, code: string, message: string, field = '') {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

/** Values of a query; undefined and '' are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

const apiBase = new URL('../api/v5/', document.baseURI);
const timeoutMs = 30_000;
/** For work on all messages of a queue. */
export const longTimeoutMs = 3_600_000;

/**
 * Full address of an API path: `apiUrl('/queues', { limit: 10 })`. Segments of `path` are already encoded; throws for one that is a
 * step to another path, which no encoding prevents.
 */
export function apiUrl(path: string, query: Query = {}): URL {
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) {
    const text = 'What is called . or .. cannot be asked for: in a web address these names are steps.';
    throw new ApiError(0, 'NO_ADDRESS', text);
  }
  const url = new URL(`.${path}`, apiBase);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  return url;
}

/** Headers that say who asks. */
export function authorization(): Record<string, string> {
  const token = session.value?.token;
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Reads. */
export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return call<T>('GET', path, query, undefined, signal);
}

/** Creates or does; what may take long says so with `mostMs`. */
export function post<T>(path: string, body?: unknown, signal?: AbortSignal, mostMs = timeoutMs): Promise<T> {
  return call<T>('POST', path, {}, body, signal, mostMs);
}

/** Replaces. */
export function put<T>(path: string, body?: unknown): Promise<T> {
  return call<T>('PUT', path, {}, body);
}

/** Changes some fields. */
export function patch<T>(path: string, body?: unknown): Promise<T> {
  return call<T>('PATCH', path, {}, body);
}

/** Deletes. */
export function remove(path: string): Promise<void> {
  return call<void>('DELETE', path);
}

/** What to tell a person about anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** True for the error of a request that its caller gave up. */
function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

async function call<T>(
  method: string,
  path: string,
  query: Query = {},
  body?: unknown,
  signal?: AbortSignal,
  mostMs = timeoutMs,
): Promise<T> {
  const url = apiUrl(path, query);
  const timeout = AbortSignal.timeout(mostMs);
  const headers = authorization();
  if (body !== undefined) headers['content-type'] = 'application/json';
  const sent = session.value?.token;
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers,
      credentials: 'omit',
      cache: 'no-store',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ApiError(0, 'UNREACHABLE', 'The broker does not answer. Is it running?');
  }
  const text = await response.text();
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  throw failure(response, text, sent);
}

/** The error of an answer; a refused token ends the session that it belonged to. */
export function failure(response: Response, text: string, sentToken: string | undefined): ApiError {
  const body = parse(text);
  const code = typeof body['code'] === 'string' ? body['code'] : `HTTP_${response.status}`;
  if (response.status === 401 && sentToken !== undefined && sentToken === session.value?.token) {
    endSession('Your session has ended. Log in again to go on.');
  }
  const { message } = body;
  if (typeof message === 'string') return new ApiError(response.status, code, message);
  if (typeof message === 'object' && message !== null) {
    const { path = '', reason = '' } = message as { path?: string; reason?: string };
    return new ApiError(response.status, code, `${path}: ${reason}`, path);
  }
  return new ApiError(response.status, code, `The broker answered ${response.status}.`);
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
