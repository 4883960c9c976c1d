import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { type ApiKey, ApiKeys, readAuthorization } from '../../src/auth/api-key.js';

function memoryLog() {
  const lines: string[] = [];
  const note = (fields: object, message: string) => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { lines, warn: note, error: note };
}

function parse(text: string) {
  const log = memoryLog();
  return { keys: ApiKeys.parse(text, log), log };
}

function basic(key: string, secret: string): string {
  return `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`;
}

function accepted(keys: ApiKeys, key: string, secret: string): ApiKey | undefined {
  const read = readAuthorization(basic(key, secret));
  return read.scheme === 'basic' ? keys.find(read.key, read.secret) : undefined;
}

describe('the bootstrap file', () => {
  it('gives a key without a role the role administrator, with no scope and no namespace [queue-70]', () => {
    const { keys } = parse('key:secret\n');
    expect(keys.fault).toBeUndefined();
    expect(accepted(keys, 'key', 'secret')).toEqual({
      key: 'key',
      role: 'administrator',
      scopes: undefined,
      namespace: undefined,
    });
  });

  it('takes a role, scopes and a namespace, skips blank lines and trims white space around a line [ref-7.5]', () => {
    const { keys, log } = parse(
      '\uFEFF\r\n  a:1:viewer \r\n\n\tb:2:publisher\nc:3:administrator:connections\nd:4:ns:north::viewer:connections\n',
    );
    expect(keys.size).toBe(4);
    expect(accepted(keys, 'a', '1')?.role).toBe('viewer');
    expect(accepted(keys, 'b', '2')?.role).toBe('publisher');
    expect(accepted(keys, 'c', '3')?.scopes).toEqual(['connections']);
    expect(accepted(keys, 'd', '4')).toMatchObject({ namespace: 'north', role: 'viewer' });
    expect(log.lines).toEqual([]);
  });

  it.each([
    'no-colon',
    ':secret',
    'key:',
    'key:secret:',
    'key:secret:king',
    'key:secret:viewer:connections:more',
    'key:secret:ns',
    'key:secret:ns:north',
    'key:secret:ns:north:viewer',
    'key:secret:ns:::viewer',
    'key:sec ret',
    '# comment',
  ])('stops loading at the bad line "%s" and keeps what came before [ref-7.5]', (line) => {
    const { keys, log } = parse(`first:1\n${line}\nlast:2`);
    expect(keys.size).toBe(1);
    expect(accepted(keys, 'first', '1')).toBeDefined();
    expect(accepted(keys, 'last', '2')).toBeUndefined();
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toContain('"line":2');
    expect(keys.fault).toMatch(/^line 2: /);
  });

  it('lets a later line of the same key replace the earlier one [ref-7.5]', () => {
    const { keys } = parse('key:old\nkey:new:viewer');
    expect(keys.size).toBe(1);
    expect(accepted(keys, 'key', 'old')).toBeUndefined();
    expect(accepted(keys, 'key', 'new')?.role).toBe('viewer');
  });

  it('drops unknown scopes with a warning, and a key whose scopes are all unknown is left with none [ref-7.5]', () => {
    const { keys, log } = parse('key:secret:administrator:monitoring,connections\nother:secret:viewer:rules');
    expect(accepted(keys, 'key', 'secret')?.scopes).toEqual(['connections']);
    expect(accepted(keys, 'other', 'secret')?.scopes).toEqual([]);
    expect(log.lines).toHaveLength(2);
  });

  it('keeps no secret in memory and writes none to the log [broker]', () => {
    const { keys, log } = parse('key:hunter2-hunter2\nbad:hunter3-hunter3:king');
    expect(inspect(keys, { depth: 9, showHidden: true })).not.toContain('hunter');
    expect(log.lines.join()).not.toContain('hunter');
  });

  it('requires a key even when it holds none, and says so [broker]', () => {
    const { keys, log } = parse('\n');
    expect(keys.required).toBe(true);
    expect(keys.size).toBe(0);
    expect(keys.fault).toBe('it holds no key');
    expect(log.lines).toHaveLength(1);
  });

  it('is read again on request, and one that has gone or is too large changes nothing [broker]', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    try {
      const file = join(folder, 'keys');
      const log = memoryLog();
      writeFileSync(file, 'old:secret');
      const keys = ApiKeys.load(file, log);
      writeFileSync(file, 'new:secret:viewer');
      keys.reload();
      expect([accepted(keys, 'old', 'secret'), accepted(keys, 'new', 'secret')?.role]).toEqual([
        undefined,
        'viewer',
      ]);
      expect(log.lines).toEqual([]);
      for (const breakIt of [() => writeFileSync(file, 'x'.repeat(1024 * 1024 + 1)), () => rmSync(file)]) {
        breakIt();
        keys.reload();
        expect(accepted(keys, 'new', 'secret')?.role).toBe('viewer');
      }
      expect(log.lines).toHaveLength(2);
      for (const [text, fault] of [
        ['new:stolen', undefined],
        ['first:1\nnew:hunter2:view', 'line 2'],
        ['', 'no key'],
        ['\n \n', 'no key'],
      ] as const) {
        log.lines.length = 0;
        writeFileSync(file, text);
        keys.reload();
        const secret = 'stolen';
        expect(accepted(keys, 'new', secret)?.role, text).toBe('administrator');
        expect([keys.size, log.lines.length]).toEqual([1, fault === undefined ? 0 : 1]);
        expect(log.lines.join()).toContain(fault ?? '');
        expect(log.lines.join()).not.toContain('hunter2');
      }
      const none = ApiKeys.none();
      none.reload();
      expect(none.required).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('ends the start with ERR_API_KEYS when it cannot be read or is too large [broker]', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    try {
      const file = join(folder, 'keys');
      expect(() => ApiKeys.load(file, memoryLog())).toThrow(
        expect.objectContaining({ code: 'ERR_API_KEYS' }),
      );
      writeFileSync(file, 'key:secret');
      expect(ApiKeys.load(file, memoryLog()).size).toBe(1);
      writeFileSync(file, 'x'.repeat(1024 * 1024 + 1));
      expect(() => ApiKeys.load(file, memoryLog())).toThrow(
        expect.objectContaining({ code: 'ERR_API_KEYS' }),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('an Authorization header', () => {
  it.each([
    [undefined, { scheme: 'missing' }],
    ['', { scheme: 'malformed' }],
    ['Basic', { scheme: 'malformed' }],
    ['Digest abc', { scheme: 'malformed' }],
    ['Basic a b', { scheme: 'malformed' }],
    [`Basic ${Buffer.from('nocolon').toString('base64')}`, { scheme: 'malformed' }],
    ['Bearer abc', { scheme: 'bearer', token: 'abc' }],
    [basic('key', 'a:b'), { scheme: 'basic', key: 'key', secret: 'a:b' }],
    [basic('', ''), { scheme: 'basic', key: '', secret: '' }],
    [basic('key', 'secret').replace('Basic', 'bAsIc'), { scheme: 'basic', key: 'key', secret: 'secret' }],
  ])('%j is read as %j [ref-7.5]', (header, expected) => {
    expect(readAuthorization(header)).toEqual(expected);
  });

  it.each([
    ['key', 'wrong'],
    ['nobody', 'secret'],
    ['key', ''],
    ['', ''],
    ['__proto__', 'secret'],
  ])('with the key %j and the secret %j is nobodys [ref-7.5]', (key, secret) => {
    expect(accepted(parse('key:secret').keys, key, secret)).toBeUndefined();
    expect(accepted(ApiKeys.none(), key, secret)).toBeUndefined();
  });
});
