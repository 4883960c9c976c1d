import { readFileSync } from 'node:fs';

import { Validator } from '@seriousme/openapi-schema-validator';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { restErrors } from '../../src/http/error.js';
import { type Api, createApi } from './fixture.js';

let api: Api;
beforeAll(async () => {
  api = await createApi();
});
afterAll(() => api.close());

interface Described {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly responses: Readonly<Record<string, object>>;
}

function operations(): [string, Described][] {
  const document = api.document as unknown as { paths: Record<string, Record<string, Described>> };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => [`${method} ${path}`, one] as [string, Described]),
  );
}

describe('the OpenAPI document', () => {
  it('is valid [broker]', async () => {
    const result = await new Validator().validate(
      JSON.parse(JSON.stringify(api.document)) as Record<string, unknown>,
    );
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  it('offers keys and tokens, and says which routes need neither [broker]', () => {
    const document = api.document as unknown as {
      components: { securitySchemes: Record<string, { type: string; scheme: string }> };
      security: object[];
    };
    expect(document.components.securitySchemes).toMatchObject({
      apiKey: { type: 'http', scheme: 'basic' },
      token: { type: 'http', scheme: 'bearer' },
    });
    expect(document.security).toEqual([{ apiKey: [] }, { token: [] }]);
    const open = operations().filter(([, { security }]) => security?.length === 0);
    expect(open.map(([name]) => name)).toContain('get /api/v5/status');
  });

  it('has a summary, a known group, a name where it is canonical, and documented answers for every operation [broker]', () => {
    const document = api.document as unknown as { tags: { name: string }[] };
    const groups = new Set(document.tags.map(({ name }) => name));
    const statuses = new Set(Object.values(restErrors).map(({ status }) => String(status)));
    for (const [name, one] of operations()) {
      expect(one.summary, name).not.toBe('');
      expect(groups.has(one.tags?.[0] ?? ''), `${name}: ${one.tags?.[0] ?? 'no group'}`).toBe(true);
      const isAlias = one.tags?.[0] === 'Queues (short paths)' || name.includes('/api/v5/queues/config');
      expect(one.operationId === undefined, name).toBe(isAlias);
      for (const status of Object.keys(one.responses)) {
        expect(status < '400' || statuses.has(status), `${name} ${status}`).toBe(true);
      }
      expect(
        Object.keys(one.responses).some((status) => status < '400'),
        name,
      ).toBe(true);
    }
  });

  it('gives examples that fit their schemas [broker]', () => {
    let seen = 0;
    const look = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return;
      const { examples, ...rest } = value as { examples?: unknown };
      if (Array.isArray(examples)) {
        for (const example of examples) {
          seen++;
          expect(Compile(rest).Errors(example), `${path}: ${JSON.stringify(example)}`).toEqual([]);
        }
      }
      for (const [name, inner] of Object.entries(value)) look(inner, `${path}/${name}`);
    };
    look((api.document as unknown as { paths: object }).paths, '');
    expect(seen).toBeGreaterThan(10);
  });
});

describe('the page to try it', () => {
  it('is answered without a key, with a strict policy, and all that it loads is here [broker]', async () => {
    for (const url of ['/api-docs', '/api-docs/']) {
      const page = await api.app.inject({ method: 'GET', url });
      expect(page.statusCode).toBe(200);
      expect(page.headers['content-type']).toMatch(/^text\/html/);
      const policy = String(page.headers['content-security-policy']);
      expect(policy).toContain("default-src 'self'");
      expect(policy).not.toMatch(/unsafe|https?:/);
      expect(page.headers['x-content-type-options']).toBe('nosniff');
      expect(page.payload).not.toMatch(/https?:\/\//);
      expect(page.payload).not.toMatch(/<script>|<style>| on\w+=| style=/);
      const files = [...page.payload.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file!);
      expect(files.length).toBeGreaterThan(3);
      for (const file of files) {
        const { pathname } = new URL(file, `http://broker${url}`);
        const asset = await api.app.inject({ method: 'GET', url: pathname });
        expect(asset.statusCode, pathname).toBe(200);
      }
    }
  });

  it('gives no file beside its own [broker]', async () => {
    for (const path of [
      '../package.json',
      '..%2fpackage.json',
      '%2e%2e/package.json',
      'none.js',
      '.hidden',
    ]) {
      const { statusCode } = await api.app.inject({ method: 'GET', url: `/api-docs/static/${path}` });
      expect(statusCode, path).toBeGreaterThanOrEqual(400);
    }
    expect(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).toContain('swagger-ui');
  });
});
