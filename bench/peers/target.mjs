/**
 * A broker under load: its address, its process, its figures. Runs in the bench's main process; the broker is always a
 * process of its own.
 *
 * Always true: what was started here is ended by its own process id, and its data directory is removed. CPU and memory
 * come from /proc, over the process and its descendants, and are undefined where there is none.
 */
import { once } from 'node:events';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';

const STOP_TIMEOUT_MS = 20_000;
/** USER_HZ of Linux, which is fixed at 100 in the interface of /proc on every architecture Node supports. */
const TICKS_PER_SECOND = 100;

/** A broker to measure. `pid` 0: unknown. `apiUrl` '': none. */
export class Target {
  #child;
  #directory;
  /** Processes that the broker needs beside it; they end after it. */
  #companions;

  constructor({
    name,
    host,
    port,
    apiUrl = '',
    apiKey = '',
    pid = 0,
    facts = {},
    child,
    directory,
    companions = [],
  }) {
    Object.assign(this, { name, host, port, apiUrl, apiKey, pid, facts });
    this.#child = child;
    this.#companions = companions;
    this.#directory = directory;
  }

  /** CPU seconds used so far (user and system, all threads), or undefined. */
  async cpuSeconds() {
    let seconds;
    for (const pid of await processTree(this.pid)) {
      const line = await readProc(pid, 'stat');
      if (line === undefined) continue;
      const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
      seconds = (seconds ?? 0) + (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    }
    return seconds;
  }

  /** Resident memory now and at its highest, bytes, or undefined. */
  async memory() {
    let sum;
    for (const pid of await processTree(this.pid)) {
      const status = await readProc(pid, 'status');
      if (status === undefined) continue;
      const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
      sum ??= { rssBytes: 0, rssPeakBytes: 0 };
      sum.rssBytes += bytes('VmRSS');
      sum.rssPeakBytes += bytes('VmHWM');
    }
    return sum;
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
    for (const companion of this.#companions) companion.kill('SIGTERM');
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }
}

/** `pid` and all its descendants; none when it is 0. */
async function processTree(pid) {
  if (pid === 0) return [];
  const tree = [pid];
  for (const parent of tree) {
    for (const thread of await readdir(`/proc/${parent}/task`).catch(() => [])) {
      const children = await readProc(parent, `task/${thread}/children`);
      tree.push(...(children ?? '').split(' ').filter(Boolean).map(Number));
    }
  }
  return tree;
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
