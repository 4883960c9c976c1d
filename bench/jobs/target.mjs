/**
 * The broker under load: a fresh Sluice from dist/, a fresh mosquitto, or one that runs already. Runs in the
 * bench's main process; the broker is always a process of its own.
 *
 * Always true: what was started here is ended by its own process id, and its data directory is removed.
 * CPU and memory come from /proc and are undefined where there is none.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { OptionError } from './options.mjs';

const SLUICE_ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
/** USER_HZ of Linux, which is fixed at 100 in the interface of /proc on every architecture Node supports. */
const TICKS_PER_SECOND = 100;

/** A broker to measure. `pid` 0: unknown. `apiUrl` '': none. */
export class Target {
  #child;
  #directory;

  constructor({ name, host, port, apiUrl = '', apiKey = '', pid = 0, facts = {}, child, directory }) {
    Object.assign(this, { name, host, port, apiUrl, apiKey, pid, facts });
    this.#child = child;
    this.#directory = directory;
  }

  /** CPU seconds used so far (user and system, all threads), or undefined. */
  async cpuSeconds() {
    const line = await readProc(this.pid, 'stat');
    if (line === undefined) return undefined;
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Resident memory now and at its highest, bytes, or undefined. */
  async memory() {
    const status = await readProc(this.pid, 'status');
    const kilobytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
    return status === undefined
      ? undefined
      : { rssBytes: kilobytes('VmRSS'), rssPeakBytes: kilobytes('VmHWM') };
  }

  /** Bytes of all files in the data directory of a broker that was started here. */
  async dataBytes() {
    if (this.#directory === undefined) return undefined;
    return directoryBytes(this.#directory);
  }

  /** Calls the REST API; answers status and parsed body. */
  async request(method, route, body) {
    const headers = {};
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (this.apiKey !== '') headers.authorization = `Basic ${Buffer.from(this.apiKey).toString('base64')}`;
    const request = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await fetch(`${this.apiUrl}/api/v5${route}`, request);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** Ends what was started and removes its files. */
  async stop() {
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const hardStop = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(hardStop);
    }
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}

async function readProc(pid, file) {
  if (pid === 0) return undefined;
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => undefined);
}

/** Disk blocks of all files below `directory`, bytes; files that vanish meanwhile count as nothing. */
export async function directoryBytes(directory) {
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const found = await stat(path.join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += found === undefined ? 0 : found.blocks * 512;
  }
  return bytes;
}

/** Starts or finds the broker that `options` ask for. */
export async function openTarget(options) {
  if (options.broker === 'spawn') return spawnSluice(options);
  if (options.broker === 'mosquitto') return spawnMosquitto();
  const [, host, port] = /^(?:mqtt:\/\/)?(.+):(\d+)$/.exec(options.broker) ?? [];
  if (host === undefined)
    throw new OptionError(`--broker takes spawn, mosquitto or HOST:PORT, not '${options.broker}'`);
  const apiUrl = options.api.replace(/\/+$/, '');
  return new Target({
    name: options.broker,
    host,
    port: Number(port),
    apiUrl,
    apiKey: options.apiKey,
    pid: options.brokerPid,
  });
}

/** A fresh Sluice on free ports with an empty data directory. */
async function spawnSluice(options) {
  if (!existsSync(SLUICE_ENTRY)) throw new OptionError('dist/main.js is missing: run `npm run build` first');
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
  const env = { ...process.env };
  for (const name of Object.keys(env)) if (/^(SLUICE|EMQX)_/.test(name)) delete env[name];
  Object.assign(env, { SLUICE_MQTT_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_DATA_DIR: directory });
  if (options.durability !== '') env.SLUICE_DURABILITY = options.durability;
  if (options.store !== '') env.SLUICE_STORE = options.store;
  if (options.shards > 0) env.SLUICE_SHARDS = String(options.shards);
  const flags = options.nodeFlags.split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...flags, SLUICE_ENTRY, 'start'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const facts = await readyLine(child);
    const [, host, port] = /^(.+):(\d+)$/.exec(facts.mqtt);
    return new Target({
      name: 'sluice',
      host,
      port: Number(port),
      apiUrl: `http://${facts.http}`,
      pid: child.pid,
      facts,
      child,
      directory,
    });
  } catch (error) {
    child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Waits for `mqtt=HOST:PORT http=HOST:PORT …` on stdout; later output is read and dropped. */
function readyLine(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(
      () => reject(new Error(`the broker printed no ready line within ${START_TIMEOUT_MS} ms`)),
      START_TIMEOUT_MS,
    );
    child.once('exit', (code, signal) =>
      reject(new Error(`the broker ended before it was ready (${signal ?? code})`)),
    );
    child.stdout.on('data', (chunk) => {
      if (text === undefined) return;
      text += chunk;
      const line = /^.*\bmqtt=\S+.*\n/m.exec(text)?.[0];
      if (line === undefined) return;
      text = undefined;
      clearTimeout(timer);
      resolve(
        Object.fromEntries([...line.matchAll(/\b(\w+)=([^\s",]+)/g)].map(([, key, value]) => [key, value])),
      );
    });
  });
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A fresh mosquitto without persistence, on a free loopback port, which never drops for want of queue length. */
export async function spawnMosquitto() {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
  const port = await freePort();
  const config = path.join(directory, 'mosquitto.conf');
  await writeFile(
    config,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence false',
      'max_queued_messages 0',
      'log_type error',
      '',
    ].join('\n'),
  );
  const binary =
    ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'].find((file) =>
      existsSync(file),
    ) ?? 'mosquitto';
  const child = spawn(binary, ['-c', config], { stdio: 'ignore' });
  const failure = once(child, 'error').then(([error]) => error);
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const found = await Promise.race([probe(port), failure]);
    if (found instanceof Error) {
      await rm(directory, { recursive: true, force: true });
      throw new OptionError(`mosquitto cannot be started: ${found.message}`);
    }
    if (found)
      return new Target({ name: 'mosquitto', host: '127.0.0.1', port, pid: child.pid, child, directory });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
  throw new Error('mosquitto did not open its port');
}

function probe(port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(socket.destroy() && true));
    socket.once('error', () => resolve(false));
  });
}
