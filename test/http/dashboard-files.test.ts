/** The files of the dashboard as a browser asks for them, from a folder made for the test; requests for them need no key. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';

import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ApiKeys } from '../../src/auth/api-key.js';
import type { App } from '../../src/http/app.js';
import { dashboardFiles } from '../../src/http/dashboard-files.js';
import { createApi } from './fixture.js';

const script = 'export const a = 1;'.repeat(100);
let parent: string;
let app: App;

beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), 'sluice-dashboard-'));
  writeFileSync(join(parent, 'secret.txt'), 'secret');
  mkdirSync(join(parent, 'built/assets'), { recursive: true });
  writeFileSync(join(parent, 'built/index.html'), '<!doctype html><title>Sluice</title>');
  writeFileSync(join(parent, 'built/icon.svg'), '<svg/>');
  writeFileSync(join(parent, 'built/.hidden'), 'hidden');
  writeFileSync(join(parent, 'built/assets/index-abc.js'), script);
  writeFileSync(join(parent, 'built/assets/index-abc.js.br'), brotliCompressSync(script));
  app = Fastify();
  await app.register(dashboardFiles, { folder: join(parent, 'built/') });
  await app.ready();
});

afterAll(async () => {
  await app.close();
  rmSync(parent, { recursive: true });
});

describe('the files of the dashboard', () => {
  it('are found from / and /dashboard by a relative redirect, so that a proxy may move them [broker]', async () => {
    for (const url of ['/', '/dashboard']) {
      const answer = await app.inject({ method: 'GET', url });
      expect(answer.statusCode).toBe(302);
      expect(answer.headers.location).toBe('dashboard/');
    }
  });

  it('forbid scripts, styles and frames of others, and guessing of types [broker]', async () => {
    const answer = await app.inject({
      method: 'GET',
      url: '/dashboard/',
      headers: { host: 'broker.example:18083' },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/html; ?charset=utf-8$/i);
    const policy = String(answer.headers['content-security-policy']);
    expect(policy.split('; ')).toEqual([
      "default-src 'self'",
      "connect-src 'self' ws://broker.example:* wss://broker.example:*",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ]);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'public, max-age=0',
    });
  });

  it('never repeat a host header that is not a host in their policy [broker]', async () => {
    for (const host of ["a; script-src 'unsafe-inline'", 'a b', 'a,b', '[::1]x', 'ä']) {
      const answer = await app.inject({ method: 'GET', url: '/dashboard/', headers: { host } });
      expect(answer.headers['content-security-policy'], host).toContain("connect-src 'self'; ");
    }
    const six = await app.inject({ method: 'GET', url: '/dashboard/', headers: { host: '[::1]:18083' } });
    expect(six.headers['content-security-policy']).toContain('ws://[::1]:*');
  });

  it('come compressed to who can read that, and are kept for ever when their name has a hash [broker]', async () => {
    const url = '/dashboard/assets/index-abc.js';
    const packed = await app.inject({ method: 'GET', url, headers: { 'accept-encoding': 'gzip, br' } });
    expect(packed.headers).toMatchObject({
      'content-encoding': 'br',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: expect.stringMatching(/accept-encoding/i) as string,
    });
    expect(packed.headers['content-type']).toMatch(/^(?:text|application)\/javascript/);
    expect(brotliDecompressSync(packed.rawPayload).toString()).toBe(script);

    const plain = await app.inject({ method: 'GET', url });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.payload).toBe(script);
    const same = await app.inject({
      method: 'GET',
      url,
      headers: { 'if-none-match': String(plain.headers.etag) },
    });
    expect(same.statusCode).toBe(304);
  });

  it('answer HEAD like GET without the bytes [broker]', async () => {
    const answer = await app.inject({ method: 'HEAD', url: '/dashboard/icon.svg' });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^image\/svg\+xml/);
    expect(answer.payload).toBe('');
  });

  it('end at their folder, however the way out is written [broker]', async () => {
    for (const path of [
      '../secret.txt',
      '..%2fsecret.txt',
      '%2e%2e/secret.txt',
      '%2e%2e%2fsecret.txt',
      'assets/../../secret.txt',
      'assets/%2e%2e/%2e%2e/secret.txt',
      '..%5csecret.txt',
      '%00',
      '.hidden',
      'assets',
      'assets/',
      '/etc/passwd',
      '%2fetc%2fpasswd',
    ]) {
      const answer = await app.inject({ method: 'GET', url: `/dashboard/${path}` });
      expect(answer.statusCode, path).toBeGreaterThanOrEqual(400);
      expect(answer.statusCode, path).toBeLessThan(500);
      expect(answer.payload, path).not.toMatch(/secret"?$|hidden"?$|root:/);
    }
  });

  it('that were never built are a 404 that says so, and the API works [broker]', async () => {
    const bare: App = Fastify();
    await bare.register(dashboardFiles, { folder: join(parent, 'missing/') });
    const answer = await bare.inject({ method: 'GET', url: '/dashboard/' });
    await bare.close();
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('npm run build') as string,
    });
  });

  it('ask for no key, and refuse other methods with 405 [broker]', async () => {
    const log = { warn: () => undefined, error: () => undefined };
    const api = await createApi({ apiKeys: ApiKeys.parse('key:secret', log) });
    const home = await api.app.inject({ method: 'GET', url: '/' });
    const page = await api.app.inject({ method: 'GET', url: '/dashboard/nothing.js' });
    const write = await api.app.inject({
      method: 'POST',
      url: '/dashboard/',
      headers: { authorization: `Basic ${Buffer.from('key:secret').toString('base64')}` },
    });
    await api.close();
    expect([home.statusCode, page.statusCode, write.statusCode]).toEqual([302, 404, 405]);
  });
});
