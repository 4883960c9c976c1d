import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { sections } from '../../src/config/schema.js';
import { testScope } from '../harness/scope.js';
import { run, serve } from './harness.js';

describe('config check', () => {
  test('lists all faults at once, with the nearest name, exit code 1 [broker]', async () => {
    const env = { SLUICE_SHARD: '2', SLUICE_STORE: 'disk', SLUICE_MAX_INFLIGHT: '0', EMQX_NODE__NAME: 'x' };
    const { code, out, err } = await run(['config', 'check'], { env });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^3 faults:\n/);
    expect(err).toContain('SLUICE_SHARD: is not a setting of Sluice; did you mean SLUICE_SHARDS?');
    expect(err).toContain('SLUICE_STORE: "disk" is not one of rocksdb');
    expect(err).toContain('SLUICE_MAX_INFLIGHT: "0" is out of range');
    const json = await run(['config', 'check', '--json'], { env });
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, ignored: ['EMQX_NODE__NAME'] });
  });

  test('reads a file of settings below the environment; the variables of commands are none [broker]', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
    testScope().add(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'sluice.env');
    writeFileSync(file, '# a comment\nSLUICE_SHARDS=999\nSLUICE_LOG_FORMAT="json"\n');
    const faulty = await run(['config', 'check', '--env-file', file]);
    expect(faulty).toMatchObject({ code: 1, err: expect.stringContaining('SLUICE_SHARDS') as string });
    const env = { SLUICE_SHARDS: '2', SLUICE_API_URL: 'http://broker.example' };
    expect(await run(['config', 'check', '--env-file', file], { env })).toEqual({
      code: 0,
      out: 'no faults in 2 settings\n',
      err: '',
    });
    writeFileSync(file, 'SLUICE_SHARDS 4\n');
    const unreadable = await run(['config', 'check', '--env-file', file]);
    expect(unreadable).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not NAME=value') as string,
    });
    const missing = await run(['config', 'check', '--env-file', join(folder, 'none')]);
    expect(missing).toMatchObject({ code: 2, err: expect.stringContaining('ENOENT') as string });
  });
});

describe('config explain', () => {
  const names = sections.flatMap(({ fields }) => Object.values(fields).map(({ name }) => name));

  test('every setting is found by its name, with and without SLUICE_, in small letters, and by its alias [broker]', async () => {
    for (const name of names) {
      const { code, out } = await run(['config', 'explain', name, '--json']);
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject([{ name }]);
    }
    for (const given of ['max-queue-count', 'mq_max_queue_count', 'EMQX_MQ__MAX_QUEUE_COUNT']) {
      const { out } = await run(['config', 'explain', given]);
      expect(out).toContain('SLUICE_MQ_MAX_QUEUE_COUNT\n  Queues that may exist');
      expect(out).toContain('integer: 1 to 65535');
      expect(out).toContain('default  100');
    }
  });

  test('a part of a name shows all that have it, an unknown one the nearest [broker]', async () => {
    const { out } = await run(['config', 'explain', 'tls', '--json']);
    const found = (JSON.parse(out) as { name: string }[]).map(({ name }) => name);
    expect(found).toEqual(names.filter((name) => name.includes('TLS')));
    const wrong = await run(['config', 'explain', 'SLUICE_DURABILTY']);
    expect(wrong).toMatchObject({
      code: 2,
      err: expect.stringContaining('mean SLUICE_DURABILITY?') as string,
    });
    const unknown = await run(['config', 'explain', 'zzzzzzzz']);
    expect(unknown).toMatchObject({
      code: 2,
      err: expect.stringContaining('docs/configuration.md') as string,
    });
  });
});

describe('config effective', () => {
  test('shows value, source and whether it changes live, all or what is not the default [broker]', async () => {
    const data = [
      { name: 'SLUICE_SHARDS', value: 3, default: 1, source: 'environment', help: '', unit: '', live: false },
      {
        name: 'SLUICE_LOG_LEVEL',
        value: 'info',
        default: 'info',
        source: 'default',
        help: '',
        unit: '',
        live: true,
      },
    ];
    const broker = await serve(testScope(), () => [200, { data }]);
    const all = await run(['config', 'effective'], { env: broker.env });
    expect(all.out.split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^SLUICE_SHARDS +3 +environment +restart$/) as string,
      expect.stringMatching(/^SLUICE_LOG_LEVEL +info +default +live$/) as string,
    ]);
    const changed = await run(['config', 'effective', '--changed', '--json'], { env: broker.env });
    expect(JSON.parse(changed.out)).toEqual([data[0]]);
    const some = await run(['config', 'effective', 'log_l', '--json'], { env: broker.env });
    expect(JSON.parse(some.out)).toEqual([data[1]]);
  });
});
