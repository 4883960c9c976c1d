/**
 * The REST API as the tests call it. Runs in the test process.
 *
 * Always true: a call answers status and parsed body and never throws for an HTTP error; the helpers that
 * set a test up throw for anything but success.
 */
import { assert } from 'vitest';

/** A parsed JSON object. */
export type Json = Record<string, unknown>;

/** What a call answered. `body` is `{}` when there was none. */
export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

/** Calls below one base URL. */
export class Rest {
  readonly #baseUrl: string;
  readonly #credentials: string | undefined;

  /** `credentials`: `key:secret` for HTTP Basic. */
  constructor(baseUrl: string, credentials?: string) {
    this.#baseUrl = baseUrl;
    this.#credentials = credentials;
  }

  /** The same API with an API key. */
  as(credentials: string): Rest {
    return new Rest(this.#baseUrl, credentials);
  }

  async call(method: string, route: string, body?: unknown): Promise<RestAnswer> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (this.#credentials !== undefined) {
      headers['authorization'] = `Basic ${Buffer.from(this.#credentials).toString('base64')}`;
    }
    const response = await fetch(`${this.#baseUrl}${route}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const parsed = text === '' ? {} : (JSON.parse(text) as Json);
    return { status: response.status, headers: response.headers, body: parsed };
  }

  get(route: string): Promise<RestAnswer> {
    return this.call('GET', route);
  }

  post(route: string, body?: unknown): Promise<RestAnswer> {
    return this.call('POST', route, body);
  }

  put(route: string, body: unknown): Promise<RestAnswer> {
    return this.call('PUT', route, body);
  }

  delete(route: string): Promise<RestAnswer> {
    return this.call('DELETE', route);
  }

  /** Creates a regular queue of `topicFilter`, or what `fields` say; answers its object. */
  async createQueue(topicFilter: string, fields: Json = {}): Promise<Json> {
    const answer = await this.post('/message_queues/queues', {
      topic_filter: topicFilter,
      is_lastvalue: false,
      ...fields,
    });
    assert.equal(answer.status, 200, `creating the queue ${topicFilter}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Statistics of the queue that was created without a name for `topicFilter`. */
  async stats(topicFilter: string): Promise<Json> {
    const answer = await this.get(`/message_queues/queues/${encodeURIComponent(`/${topicFilter}`)}/stats`);
    assert.equal(answer.status, 200, `statistics of ${topicFilter}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}
