import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { QueueCreateBody, settingDefaultTexts } from '../../src/broker/queue-schema.js';
import { restErrors } from '../../src/http/error.js';
import { type Api, createApi } from './fixture.js';

const text = readFileSync(new URL('../../docs/rest-api.md', import.meta.url), 'utf8');
const rows = text.split('\n').filter((line) => line.startsWith('|'));
let api: Api;
beforeAll(async () => {
  api = await createApi();
});
afterAll(() => api.close());

describe('docs/rest-api.md', () => {
  it('lists exactly the error codes, with status and meaning [broker]', () => {
    const wanted = Object.entries(restErrors).map(
      ([code, { status, meaning }]) => `| \`${code}\` | ${status} | ${meaning} |`,
    );
    expect(rows.filter((row) => /^\| `[A-Z_]+` \| \d{3} \|/.test(row))).toEqual(wanted);
  });

  it('lists every field of a queue with its default [broker]', () => {
    for (const field of Object.keys(QueueCreateBody.properties)) {
      expect(
        rows.some((row) => row.startsWith(`| \`${field}\` |`)),
        field,
      ).toBe(true);
    }
    for (const [field, value] of Object.entries(settingDefaultTexts)) {
      if (typeof value === 'object') continue;
      const shown =
        value === 'infinity' ? '`"infinity"`' : typeof value === 'number' ? value : `\`${value}\``;
      expect(
        rows.some((row) => row.startsWith(`| \`${field}\` | ${shown} |`)),
        field,
      ).toBe(true);
    }
  });

  it('lists every key of the configuration [broker]', async () => {
    const { body } = await api.call('GET', '/message_queues/config');
    for (const key of Object.keys(body)) {
      expect(
        rows.some((row) => row.startsWith(`| \`${key}\` |`)),
        key,
      ).toBe(true);
    }
  });

  it('lists every canonical path [broker]', () => {
    const paths = Object.keys(api.document.paths).map((path) => path.replace('/api/v5', ''));
    for (const path of paths.filter((one) => !/^\/queues?(?:\/|$)/.test(one))) {
      expect(
        rows.some((row) => row.startsWith(`| \`${path}\` |`)),
        path,
      ).toBe(true);
    }
  });
});
