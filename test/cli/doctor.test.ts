/** What the doctor finds, and what it says to do about it. */
import * as fs from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  checkAddon,
  checkCertificate,
  checkClock,
  checkCores,
  checkData,
  checkFile,
  checkFiles,
  checkKernel,
  checkMemory,
  checkNode,
  checkPort,
  type DataFacts,
  type Finding,
  type ShardFacts,
} from '../../src/cli/doctor-check.js';
import { readDataFacts } from '../../src/cli/doctor-data.js';
import { holderOf, listenerOf, memoryLimit, openFilesLimit } from '../../src/cli/doctor-process.js';
import { runDoctor } from '../../src/cli/doctor.js';
import { loadConfig } from '../../src/config/config.js';
import { openSegmentLog } from '../../src/log/segment-driver.js';

const MIB = 2 ** 20;
const config = loadConfig({ SLUICE_SHARDS: '2' });
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Level and first words, and whether it says what to do exactly when it should. */
function told(finding: Finding | readonly Finding[]): string[] {
  return [finding].flat().map(({ level, what, next }) => {
    expect(next !== undefined, what).toBe(level !== 'ok');
    return `${level}: ${what}`;
  });
}

describe('a check', () => {
  test('of Node.js and the native add-on knows what is needed [broker]', () => {
    expect(
      ['20.18.9', '18.20.0', '20.19.0', '22.1.0', '26.0.0'].map((version) => checkNode(version).level),
    ).toEqual(['fail', 'fail', 'ok', 'ok', 'ok']);
    expect(told(checkAddon('rocksdb', undefined))).toEqual(['ok: rocksdb loads']);
    expect(told(checkAddon('rocksdb', 'no binary'))).toEqual(['fail: rocksdb does not load: no binary']);
    expect(checkAddon('rocksdb', 'no binary').next).toContain('SLUICE_STORE=segment');
    expect(checkAddon('segment', undefined).level).toBe('ok');
  });

  const shard: ShardFacts = {
    id: 0,
    format: { version: 1, driver: 'rocksdb' },
    lock: 'free',
    holder: undefined,
    faults: [],
  };
  const data: DataFacts = {
    path: 'data',
    state: 'writable',
    canBeMade: true,
    owner: 1000,
    user: 1000,
    freeBytes: 50_000 * MIB,
    isRestoring: false,
    layout: 2,
    shards: [shard],
  };
  const dataLevels = (changes: Partial<DataFacts>): string[] =>
    checkData({ ...data, ...changes }, config, 1).flatMap((finding) => {
      told(finding);
      return finding.level === 'ok' ? [] : [`${finding.level} ${finding.what}`];
    });

  test('of the data directory tells what a start would trip over [broker]', () => {
    expect(dataLevels({})).toEqual([]);
    expect(dataLevels({ state: 'missing' })).toEqual([]);
    expect(dataLevels({ state: 'missing', canBeMade: false })).toEqual([
      'fail data is missing and cannot be made',
    ]);
    expect(dataLevels({ state: 'no-directory' })).toEqual(['fail data is no directory']);
    expect(dataLevels({ state: 'read-only' })).toEqual(['fail data is not writable']);
    expect(dataLevels({ state: 'unreadable' })).toEqual(['fail data is not readable']);
    expect(dataLevels({ owner: 0 })).toEqual(['warn belongs to user 0, not to 1000']);
    expect(dataLevels({ owner: 7, user: 0 })).toEqual([]);
    expect(dataLevels({ freeBytes: 500 * MIB })).toEqual(['warn 500MB free']);
    expect(dataLevels({ freeBytes: 100 * MIB })).toEqual(['fail 100MB free']);
    expect(dataLevels({ isRestoring: true })).toEqual(['fail a restore into it was cut off']);
    expect(dataLevels({ layout: 'is not JSON' })).toEqual(['fail layout.json: is not JSON']);
    expect(told(checkData({ ...data, layout: 5 }, config, 1))).toContain(
      'ok: 5 shards become 2 at the next start; that copies messages',
    );
  });

  test('of a shard tells of newer formats, other stores, damage and owners [broker]', () => {
    const levels = (changes: Partial<ShardFacts>): string[] =>
      dataLevels({ shards: [{ ...shard, ...changes }] });
    expect(levels({ format: undefined })).toEqual(['fail has no readable FORMAT file']);
    expect(levels({ format: { version: 2, driver: 'rocksdb' } })).toEqual([
      'fail was written in format 2, this version reads 1',
    ]);
    expect(levels({ format: { version: 1, driver: 'segment' } })).toEqual([
      'fail holds a segment store, SLUICE_STORE is rocksdb',
    ]);
    expect(levels({ faults: ['torn'] })).toEqual(['fail torn']);
    expect(levels({ lock: 'held', holder: 42 })).toEqual(['warn in use by process 42']);
    expect(levels({ lock: 'held' })).toEqual(['warn in use by another process']);
    expect(levels({ lock: 'unknown' })).toEqual([]);
  });

  test('of limits compares them with what the settings ask for [broker]', () => {
    const files = { connectionsMax: 10_000, shards: 2 };
    expect(checkFiles(20_000, files).level).toBe('ok');
    expect(told(checkFiles(4096, files))).toEqual([
      'warn: limit 4096: room for about 2968 of 10000 connections',
    ]);
    expect(told(checkFiles(100, files))).toEqual(['warn: limit 100: room for about 0 of 10000 connections']);
    expect(checkFiles(undefined, files).level).toBe('ok');
    expect(checkFiles(Number.POSITIVE_INFINITY, files).level).toBe('ok');
    expect(checkMemory(16 * 1024 * MIB, config).level).toBe('ok');
    expect(checkMemory(512 * MIB, config).level).toBe('warn');
    expect(checkCores(4, 3).level).toBe('ok');
    expect(checkCores(1, 1).level).toBe('ok');
    expect(checkCores(1.5, 4).level).toBe('warn');
    const memoryBytes = 8192 * MIB;
    expect(
      checkKernel({ somaxconn: 128, tcpMemoryBytes: 10 * MIB, memoryBytes }).map(({ level }) => level),
    ).toEqual(['warn', 'warn']);
    expect(
      checkKernel({ somaxconn: 4096, tcpMemoryBytes: 600 * MIB, memoryBytes }).map(({ level }) => level),
    ).toEqual(['ok']);
    expect(checkKernel({ somaxconn: undefined, tcpMemoryBytes: undefined, memoryBytes })).toEqual([]);
  });

  test('of a port knows our own broker, programs of others and listeners that give way [broker]', () => {
    const port = {
      name: 'tcp',
      address: '127.0.0.1:1883',
      state: 'taken',
      holder: 'mosquitto (7)',
      givesWay: false,
    } as const;
    expect(told(checkPort({ ...port, state: 'free' }, false))).toEqual(['ok: 127.0.0.1:1883 is free']);
    expect(told(checkPort(port, false))).toEqual(['fail: 127.0.0.1:1883 is in use by mosquitto (7)']);
    expect(checkPort(port, true).level).toBe('ok');
    expect(checkPort({ ...port, givesWay: true }, false).level).toBe('warn');
    expect(checkPort({ ...port, state: 'forbidden' }, false).level).toBe('fail');
    expect(checkPort({ ...port, state: 'no-address', holder: undefined }, false).level).toBe('fail');
  });

  test('of clock, files and certificates knows what expires and who may read [broker]', () => {
    expect(checkClock(Date.UTC(1970, 1), 0).level).toBe('fail');
    expect(checkClock(Date.UTC(2030, 1), 5).level).toBe('ok');
    expect(checkClock(Date.UTC(2030, 1), -5000).level).toBe('warn');
    const file = {
      variable: 'SLUICE_PASSWORD_FILE',
      path: 'p',
      holdsSecrets: true,
      mode: 0o100_600,
      fault: undefined,
    };
    expect(checkFile(file).level).toBe('ok');
    expect(told(checkFile({ ...file, mode: 0o100_644 }))).toEqual(['warn: p may be read by everybody (644)']);
    expect(checkFile({ ...file, mode: 0o100_644, holdsSecrets: false }).level).toBe('ok');
    expect(checkFile({ ...file, mode: undefined, fault: 'ENOENT' }).level).toBe('fail');
    const now = Date.UTC(2030, 0, 1);
    const day = 86_400_000;
    const certificate = {
      listener: 'tls',
      path: 'c',
      fault: undefined,
      validFromMs: now - day,
      validToMs: now + 90 * day,
    };
    const level = (changes: object): string => checkCertificate({ ...certificate, ...changes }, now).level;
    expect(
      [
        {},
        { validToMs: now + 5 * day },
        { validToMs: now - 1 },
        { validFromMs: now + 1 },
        { fault: 'x' },
      ].map(level),
    ).toEqual(['ok', 'warn', 'fail', 'fail', 'fail']);
  });
});

describe('what is read from the machine', () => {
  test('is the state of a data directory, of its shards and their owners [broker]', async () => {
    const dataDir = join(folder, 'data');
    expect(await readDataFacts(dataDir)).toMatchObject({ state: 'missing', canBeMade: true });
    fs.writeFileSync(join(folder, 'file'), '');
    expect(await readDataFacts(join(folder, 'file'))).toMatchObject({ state: 'no-directory' });
    const log = await openSegmentLog({
      driver: 'segment',
      directory: join(dataDir, 'shard-0'),
      memoryBytesMax: 0,
    });
    const open = await readDataFacts(dataDir);
    expect(open).toMatchObject({ state: 'writable', layout: undefined, isRestoring: false });
    expect(open.freeBytes).toBeGreaterThan(0);
    expect(open.shards).toMatchObject([
      { id: 0, format: { version: 1, driver: 'segment' }, lock: 'held', faults: [] },
    ]);
    if (process.platform === 'linux') expect(open.shards[0]?.holder).toBe(process.pid);
    await log.close();
    fs.writeFileSync(join(dataDir, 'shard-0', '0000000009.seg'), '');
    const first = fs.openSync(join(dataDir, 'shard-0', '0000000001.seg'), 'r+');
    fs.writeSync(first, 'XXXX', 0);
    fs.closeSync(first);
    fs.mkdirSync(join(dataDir, 'shard-1'));
    fs.writeFileSync(join(dataDir, 'shard-1', '000001.sst'), '');
    fs.writeFileSync(join(dataDir, 'RESTORING'), '');
    fs.writeFileSync(join(dataDir, 'layout.json'), '{');
    const closed = await readDataFacts(dataDir);
    expect(closed.isRestoring).toBe(true);
    expect(closed.layout).toMatch(/is not JSON/);
    expect(closed.shards).toMatchObject([
      { lock: 'free', faults: ['0000000001.seg does not begin like a segment'] },
      { lock: 'free', format: undefined, faults: ['holds 000001.sst but no CURRENT file'] },
    ]);
  });

  test('is who has a port or a file, and what is granted [broker]', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    if (process.platform === 'linux') {
      expect(listenerOf(port)).toMatch(new RegExp(`\\(${process.pid}\\)$`));
      expect(openFilesLimit()).toBeGreaterThan(0);
    }
    expect(memoryLimit()).toBeGreaterThan(0);
    expect(holderOf(join(folder, 'none'))).toBeUndefined();
    await new Promise((resolve) => void server.close(resolve));
    expect(listenerOf(port)).toBeUndefined();
  });
});

describe('the report', () => {
  async function run(env: Record<string, string>, json = false): Promise<{ code: number; out: string }> {
    let out = '';
    const io = { env, out: (text: string) => void (out += text), err: () => undefined };
    const code = await runDoctor(io, json ? { json } : {});
    return { code, out };
  }
  const env = {
    SLUICE_STORE: 'segment',
    SLUICE_SHARDS: '1',
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
  };

  test('is one line for each check and one for what to do, and 0 when nothing fails [broker]', async () => {
    const { code, out } = await run({ ...env, SLUICE_DATA_DIR: folder });
    expect(out).toMatch(/^ok {4}Node\.js +\d+\.\d+/m);
    expect(out).toMatch(/^ok {4}settings +without a fault$/m);
    expect(out).toMatch(/\n\d+ ok, \d+ to look at, 0 to mend\n$/);
    expect(code).toBe(0);
  });

  test('names the bad line of a file of API keys and nothing that is in it [broker]', async () => {
    const file = join(folder, 'keys');
    const look = (text: string) => {
      fs.writeFileSync(file, text, { mode: 0o600 });
      return run({ ...env, SLUICE_DATA_DIR: join(folder, 'data'), SLUICE_API_KEYS_FILE: file });
    };
    expect((await look('key:hunter2')).out).toMatch(/^ok {4}SLUICE_API_KEYS_FILE/m);
    const bad = await look('key:hunter2\nother:hunter2:king\n');
    expect(bad.code).toBe(1);
    expect(bad.out).toMatch(/^fail {2}SLUICE_API_KEYS_FILE .*line 2: the role/m);
    expect(bad.out).not.toContain('hunter2');
    expect((await look('\n')).out).toMatch(/^fail {2}SLUICE_API_KEYS_FILE .*no key/m);
  });

  test('names each faulty setting and file, says 1, and is the same as JSON [broker]', async () => {
    const faulty = await run({ ...env, SLUICE_SHARDS: '0', SLUICE_STOER: 'x' });
    expect(faulty.code).toBe(1);
    expect(faulty.out).toMatch(/^fail {2}SLUICE_SHARDS /m);
    expect(faulty.out).toMatch(/^fail {2}SLUICE_STOER .*did you mean SLUICE_STORE/m);

    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const passwords = join(folder, 'passwords');
    fs.writeFileSync(passwords, 'no hash here\n', { mode: 0o600 });
    const settings = {
      ...env,
      SLUICE_DATA_DIR: folder,
      SLUICE_MQTT_PORT: String(port),
      SLUICE_PASSWORD_FILE: passwords,
    };
    const { code, out } = await run(settings, true);
    await new Promise((resolve) => void server.close(resolve));
    expect(code).toBe(1);
    const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Finding[] };
    expect(ok).toBe(false);
    const failed = checks.filter(({ level }) => level === 'fail').map(({ subject }) => subject);
    expect(failed).toEqual(['SLUICE_PASSWORD_FILE', 'port tcp']);
  });
});
