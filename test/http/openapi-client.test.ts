/**
 * A client that is made of the OpenAPI document alone: one function per operation, which puts its arguments where the document
 * says. What it cannot call is not documented well enough.
 */
import { describe, expect, it } from 'vitest';

import { message } from '../broker/fake-shards.js';
import { startApi, type StartedApi } from './gateway.js';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
}
interface Described {
  readonly operationId?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> };
  readonly responses: Readonly<Record<string, object>>;
}
type Arguments = Readonly<Record<string, unknown>>;
type Generated = Readonly<Record<string, (given?: Arguments, body?: unknown) => Promise<unknown>>>;

/** Calls by operation id; each throws for an answer that is not documented or is a failure. */
function generate(api: StartedApi): Generated {
  const { paths } = api.document as unknown as { paths: Record<string, Record<string, Described>> };
  const calls: Record<string, (given?: Arguments, body?: unknown) => Promise<unknown>> = {};
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, described] of Object.entries(methods)) {
      const { operationId, parameters = [], requestBody } = described;
      if (operationId === undefined) continue;
      calls[operationId] = async (given = {}, body) => {
        const query = new URLSearchParams();
        let url = path;
        for (const [name, value] of Object.entries(given)) {
          const parameter = parameters.find((each) => each.name === name);
          if (parameter === undefined) throw new Error(`${operationId} has no parameter ${name}`);
          if (parameter.in === 'path') url = url.replace(`{${name}}`, encodeURIComponent(String(value)));
          else query.append(name, String(value));
        }
        if (url.includes('{')) throw new Error(`${operationId}: a path parameter is missing`);
        if (body !== undefined && requestBody?.content['application/json'] === undefined) {
          throw new Error(`${operationId} takes no body`);
        }
        const response = await api.app.inject({
          method: method.toUpperCase() as 'GET',
          url: `${url}?${query.toString()}`,
          ...(body === undefined ? {} : { payload: body as object }),
        });
        if (described.responses[response.statusCode] === undefined || response.statusCode >= 400) {
          throw new Error(`${operationId}: ${response.statusCode} ${response.payload}`);
        }
        return response.payload === '' ? undefined : (JSON.parse(response.payload) as unknown);
      };
    }
  }
  return calls;
}

describe('a client made of the OpenAPI document', () => {
  it('creates, fills, looks into, changes, moves, empties and deletes queues [broker]', async () => {
    const api = await startApi();
    const call = generate(api);
    const queue = { topic_filter: 'jobs/#', is_lastvalue: false };
    await call['createQueue']!({}, { ...queue, name: 'jobs' });
    await call['createQueue']!({}, { ...queue, name: 'other' });
    expect(await call['publish']!({}, { topic: 'jobs/1', payload: 'x', qos: 1 })).toHaveProperty('id');
    api.shards.messages.set(1, [message(0), message(1)]);
    expect(await call['peekQueueMessages']!({ name: 'jobs', limit: 1, payload: 'text' })).toMatchObject({
      data: [{ payload: 'payload-0' }],
      meta: { hasnext: true },
    });
    expect(await call['getQueueStats']!({ name: 'jobs' })).toMatchObject({ messages: 2 });
    expect(await call['patchQueue']!({ name: 'jobs' }, { max_messages: 10 })).toMatchObject({
      max_messages: 10,
    });
    expect(await call['moveMessages']!({ name: 'jobs' }, { to: 'other', count: 1 })).toEqual({ moved: 1 });
    expect(await call['purgeQueue']!({ name: 'jobs' })).toEqual({ purged: 1 });
    expect(await call['getQueuesOverview']!({ search: 'o', sort: 'ready', order: 'desc' })).toMatchObject({
      meta: { count: 2 },
    });
    await call['deleteQueue']!({ name: 'jobs' });
    await expect(call['getQueue']!({ name: 'jobs' })).rejects.toThrow('404');
  });

  it('finds, subscribes and disconnects clients, and clears what is retained [broker]', async () => {
    const api = await startApi();
    const call = generate(api);
    await api.connect('c/1');
    expect(await call['listClients']!({ like_clientid: 'c', limit: 5 })).toMatchObject({
      meta: { count: 1 },
    });
    await call['subscribeClient']!({ clientid: 'c/1' }, { topic: 'kept/#', qos: 1 });
    expect(await call['listClientSubscriptions']!({ clientid: 'c/1' })).toMatchObject([{ topic: 'kept/#' }]);
    await call['publish']!({}, { topic: 'kept/1', payload: 'x', retain: true });
    expect(await call['getRetained']!({ topic: 'kept/1' })).toMatchObject({ payload: 'eA==' });
    await call['deleteRetained']!({ topic: 'kept/1' });
    await call['disconnectClient']!({ clientid: 'c/1' });
    expect(await call['listSubscriptions']!({ clientid: 'c/1' })).toMatchObject({ meta: { count: 0 } });
  });

  it('reads everything that needs no argument [broker]', async () => {
    const api = await startApi();
    const call = generate(api);
    const { paths } = api.document as unknown as { paths: Record<string, Record<string, Described>> };
    // Text, a stream that does not end, and one that waits for a second.
    const others = new Set(['getMetrics', 'streamEvents', 'getMonitorCurrent', 'scrapeMetrics']);
    let read = 0;
    for (const [path, { get }] of Object.entries(paths)) {
      const id = get?.operationId;
      const isText = JSON.stringify(get?.responses['200'] ?? {}).includes('text/plain');
      if (id === undefined || path.includes('{') || others.has(id) || isText) continue;
      expect(await call[id]!(), id).toBeDefined();
      read += 1;
    }
    expect(read).toBeGreaterThan(15);
  });
});
