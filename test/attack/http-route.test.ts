import { describe, expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { within } from '../harness/wait.js';
import { basic, bearer } from '../http/access-fixture.js';
import { type HttpTarget, startHttpTarget } from './http-target.js';

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly isPublic: boolean;
}

const values: Readonly<Record<string, string>> = {
  name: 'jobs',
  id: '0',
  username: 'root',
  as: 'clientid',
  who: 'x',
};

/** Every operation of the OpenAPI document, with something in the place of its parameters. */
async function operationsOf(target: HttpTarget): Promise<Operation[]> {
  const answer = await fetch(`${target.origin}/api/v5/openapi.json`);
  const { paths } = (await answer.json()) as {
    paths: Record<string, Record<string, { security?: object[] }>>;
  };
  return Object.entries(paths).flatMap(([template, operations]) =>
    Object.entries(operations).map(([method, { security }]) => ({
      method: method.toUpperCase(),
      path: template.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? 'x'),
      isPublic: security?.length === 0,
    })),
  );
}

async function call(
  { origin }: HttpTarget,
  { method, path }: Operation,
  headers: Record<string, string>,
): Promise<{ status: number; code: string; challenge: string | null }> {
  const response = await fetch(`${origin}${path}`, { method, headers });
  const text = method === 'HEAD' ? '' : await within(response.text(), `the answer of ${method} ${path}`);
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? '';
  return { status: response.status, code, challenge: response.headers.get('www-authenticate') };
}

describe('every route of the OpenAPI document', () => {
  test('but the public ones asks for a key or a token, refuses wrong ones, and does nothing [broker]', async () => {
    const target = await startHttpTarget();
    const operations = await operationsOf(target);
    expect(operations.length).toBeGreaterThan(60);
    const open = operations.filter(({ isPublic, method }) => isPublic && method !== 'HEAD');
    expect(open.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual([
      'GET /api/v5/status',
      'GET /health/live',
      'GET /health/ready',
      'POST /api/v5/login',
    ]);
    const guarded = operations.filter(({ isPublic }) => !isPublic);
    for (const [headers, code] of [
      [{}, 'AUTHORIZATION_HEADER_ERROR'],
      [{ authorization: 'Digest x' }, 'AUTHORIZATION_HEADER_ERROR'],
      [{ authorization: 'Bearer x' }, 'BAD_TOKEN'],
      [basic('admin:2'), 'BAD_API_KEY_OR_SECRET'],
      [{ cookie: 'token=admin', 'x-forwarded-for': '127.0.0.1' }, 'AUTHORIZATION_HEADER_ERROR'],
    ] as [Record<string, string>, string][]) {
      for (const operation of guarded) {
        const answer = await call(target, operation, headers);
        const expected = { status: 401, code: operation.method === 'HEAD' ? '' : code };
        expect(answer, `${operation.method} ${operation.path}`).toMatchObject(expected);
        expect(answer.challenge).toMatch(/^(Basic|Bearer) /);
      }
    }
    expect(target.calls).toEqual([]);
    expect(target.counters.total(slotOf('restRefused', 'credentials'))).toBe(5 * guarded.length);
  });

  test('that changes something is refused to a viewer, by token and by key, before it does anything [broker]', async () => {
    const target = await startHttpTarget();
    const writes = (await operationsOf(target)).filter(
      ({ method, isPublic }) => !isPublic && method !== 'GET' && method !== 'HEAD',
    );
    expect(writes.length).toBeGreaterThan(25);
    for (const operation of writes.filter(({ path }) => path !== '/api/v5/logout')) {
      for (const headers of [bearer(target.access, 'watcher'), basic('viewer:1')]) {
        const answer = await call(target, operation, headers);
        expect(answer, `${operation.method} ${operation.path}`).toMatchObject({
          status: 403,
          code: 'UNAUTHORIZED_ROLE',
        });
      }
    }
    expect(target.calls).toEqual([]);
    expect(target.access.accounts.size).toBe(2);
  });

  test('but those of publishing is refused to a publisher [broker]', async () => {
    const target = await startHttpTarget();
    const operations = (await operationsOf(target)).filter(({ isPublic }) => !isPublic);
    const letIn: string[] = [];
    for (const operation of operations) {
      const { status } = await call(target, operation, basic('publisher:1'));
      if (status !== 403) letIn.push(`${operation.method} ${operation.path}`);
    }
    expect(letIn.filter((one) => !one.startsWith('HEAD')).toSorted()).toEqual([
      'GET /api/v5/current_user',
      'POST /api/v5/logout',
      'POST /api/v5/publish',
      'POST /api/v5/publish/bulk',
    ]);
    expect(target.calls).toEqual([]);
  });

  test('answers each hostile value of a parameter with a code, and nothing of it becomes a header or a file [broker]', async () => {
    const target = await startHttpTarget();
    const answer = await fetch(`${target.origin}/api/v5/openapi.json`);
    const { paths } = (await answer.json()) as { paths: Record<string, Record<string, object>> };
    const hostile = [
      '..%2f..%2f..%2fetc%2fpasswd',
      '%2e%2e%2f%2e%2e',
      '..%5c..%5cx',
      '%00',
      'x%00y',
      'x%0d%0aSet-Cookie:%20a=b',
      '%c0%ae%c0%ae',
      '%ff',
      '%252e%252e%252f',
      '__proto__',
      'constructor',
      '%F0%9F%92%A5',
      "'%22%3Cscript%3E",
      'x'.repeat(8000),
    ];
    for (const [template, operations] of Object.entries(paths)) {
      if (!template.includes('{')) continue;
      for (const method of Object.keys(operations).filter((one) => one !== 'head')) {
        for (const value of hostile) {
          const path = template.replaceAll(/\{\w+\}/g, () => value);
          const response = await fetch(`${target.origin}${path}`, {
            method: method.toUpperCase(),
            headers: { ...basic('admin:1'), 'content-type': 'application/json' },
          });
          const text = await response.text();
          const where = `${method} ${template} ${value.slice(0, 30)}: ${response.status} ${text.slice(0, 200)}`;
          expect([200, 204, 400, 404], where).toContain(response.status);
          expect(response.headers.get('set-cookie'), where).toBeNull();
          expect(response.headers.get('x-content-type-options'), where).toBe('nosniff');
          expect(text, where).not.toMatch(/root:.*:0:0:/);
        }
      }
    }
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    expect(target.logged.filter((line) => line.includes('a request failed'))).toEqual([]);
  });
});

describe('a token', () => {
  test('opens nothing after signing out, after its time, and after the password was changed, and its open streams end [broker]', async () => {
    let nowMs = Date.now();
    const target = await startHttpTarget({ now: () => nowMs, idleMs: 60_000 });
    const ask = (headers: Record<string, string>) =>
      call(target, { method: 'GET', path: '/api/v5/queues', isPublic: false }, headers);
    const post = (path: string, headers: Record<string, string>, body: object) =>
      fetch(`${target.origin}/api/v5${path}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });

    const out = bearer(target.access, 'watcher');
    const opened = await fetch(`${target.origin}/api/v5/events`, { headers: out });
    expect(opened.status).toBe(200);
    const stream = opened.text().then(
      () => 'ended',
      () => 'ended',
    );
    expect(await ask(out)).toMatchObject({ status: 200 });
    expect((await post('/logout', out, {})).status).toBe(204);
    expect(await ask(out)).toMatchObject({ status: 401, code: 'BAD_TOKEN' });
    expect(await within(stream, 'the end of the stream')).toBe('ended');

    const idle = bearer(target.access, 'watcher');
    nowMs += 60_000;
    expect(await ask(idle)).toMatchObject({ status: 401, code: 'TOKEN_TIME_OUT' });

    const [changer, other] = [bearer(target.access, 'watcher'), bearer(target.access, 'watcher')];
    const body = { old_pwd: 'correct horse', new_pwd: 'battery staple' };
    expect((await post('/users/watcher/change_pwd', changer, body)).status).toBe(204);
    for (const headers of [changer, other]) {
      expect(await ask(headers)).toMatchObject({ status: 401, code: 'BAD_TOKEN' });
    }
    expect(target.access.tokens.size).toBe(0);
  });
});
