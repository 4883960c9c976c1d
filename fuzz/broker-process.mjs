/**
 * The broker under test: a process of its own with the memory store and small bounds. Runs in the fuzzer.
 *
 * Always true: only the own child is ever signalled, and it is gone after `stop`. Its log is read line by line:
 * lines of level error and fatal are kept, because nothing that a peer sends may lead to one.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { writeTlsFiles } from './tls-files.mjs';

const entry = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const heapProbe = new URL('./heap-probe.mjs', import.meta.url).href;
const uwsModule = new URL('./uws-module.mjs', import.meta.url).href;
/** A PROXY header keeps a WebSocket listener on the library `ws` when the other engine is there. */
const proxyPreface = Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
const startMsMax = 30_000;
const stopMsMax = 20_000;
const keptLines = 40;
/** Names of kinds in the ready line, where they differ. */
const kindKeys = { tcp: 'mqtt', tls: 'mqtts' };
const heapMsMax = 5000;

/**
 * Bounds that make state small and short-lived, so that what still grows is a leak. Only variables that the
 * broker knows are passed on.
 */
const settings = {
  SLUICE_STORE: 'memory',
  SLUICE_SHARDS: '1',
  SLUICE_MQ_LIMIT_SHARDS: '1',
  SLUICE_QUEUE_CACHE_BYTES: '1MB',
  SLUICE_QUEUES_CACHE_BYTES: '4MB',
  SLUICE_LOG_FORMAT: 'json',
  SLUICE_LOG_LEVEL: 'info',
  SLUICE_CONNECT_TIMEOUT_MS: '1000',
  SLUICE_SESSION_EXPIRY_MAX: '2s',
  SLUICE_SESSIONS_MAX: '2000',
  SLUICE_SESSION_QUEUE_MAX: '100',
  SLUICE_SUBSCRIPTIONS_MAX: '50',
  SLUICE_MAX_CONNECTIONS: '2000',
  SLUICE_OUTBOX_BYTES: '256KB',
  SLUICE_RETAINED_MAX: '500',
  SLUICE_RETAINED_MAX_BYTES: '4MB',
  SLUICE_SESSION_MESSAGES_MAX: '100',
  SLUICE_AUTH_FAILURES_MAX: '0',
  SLUICE_CONNECTION_RATE: '0',
  SLUICE_CONNECTION_RATE_PER_ADDRESS: '0',
};

/** A queue that takes some of what is published, with bounds. */
const queue = { name: 'jobs', topic_filter: 'fuzz/#', limits: { max_shard_message_count: 200 } };

/** Starts a broker that listens for `targets`. */
export async function startBroker(targets) {
  const broker = new BrokerProcess();
  await broker.start(targets);
  return broker;
}

/** See the file header. */
export class BrokerProcess {
  /** Listener by target: port on loopback. */
  ports = {};
  /** Lines of level error or fatal, and whatever came on standard error. */
  complaints = [];
  #httpPort = 0;
  #listeners = [{ kind: 'tcp', name: 'mqtt' }];
  #child;
  #exit;
  #folder = '';
  /** Signal or code, once the process has ended. */
  #end;
  #isStopping = false;
  #answerHeap;

  /** Resolves when the broker is ready; throws with what it said when it is not. */
  async start(targets) {
    const known = await knownVariables();
    this.#folder = await mkdtemp(join(tmpdir(), 'sluice-fuzz-'));
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(?:SLUICE|EMQX)_|^NODE_OPTIONS$/.test(name)),
    );
    for (const [name, value] of Object.entries(settings)) if (known.has(name)) env[name] = value;
    env.SLUICE_DATA_DIR = this.#folder;
    env.SLUICE_HTTP_PORT = '0';
    env.SLUICE_MQTT_PORT = '0';
    if (known.has('SLUICE_LISTENERS')) {
      this.#listeners = await this.#listenersFor(targets);
      env.SLUICE_LISTENERS = JSON.stringify(this.#listeners);
    }
    if (targets.includes('uws')) {
      env.SLUICE_WS_ENGINE = 'uws';
      env.FUZZ_UWS = uwsModule;
    }
    const flags = ['--max-old-space-size=512', '--expose-gc', '--import', heapProbe];
    const child = spawn(process.execPath, [...flags, entry, 'start'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child.on('message', ({ liveBytes }) => this.#answerHeap?.(liveBytes));
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#end = signal ?? `code ${code}`;
        resolve();
      });
    });
    const ready = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.includes('"Sluice is ready"')) {
          this.#learn(JSON.parse(line));
          resolve();
        }
        if (/"level":"(error|fatal)"|unhandledRejection|uncaughtException|AssertionError/.test(line)) {
          this.#complain(line);
        }
      });
    });
    createInterface({ input: child.stderr }).on('line', (line) => this.#complain(line));
    await Promise.race([ready, this.#exit, pause(startMsMax)]);
    if (this.trouble !== undefined) throw new Error(this.trouble);
    if (this.ports.mqtt === undefined) throw new Error('the broker does not become ready');
    await fetch(`http://127.0.0.1:${this.#httpPort}/api/v5/message_queues/queues`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(queue),
    }).then((answer) => answer.text());
  }

  /** Entries of SLUICE_LISTENERS. */
  async #listenersFor(targets) {
    const place = { host: '127.0.0.1', port: 0 };
    const entries = {
      ws: { kind: 'ws', proxyProtocol: true },
      uws: { kind: 'ws' },
      proxy: { kind: 'tcp', proxyProtocol: true },
      tls: { kind: 'tls' },
      wss: { kind: 'wss' },
      handshake: { kind: 'tls' },
    };
    const files = await writeTlsFiles(this.#folder);
    const listeners = [{ kind: 'tcp', name: 'mqtt', ...place }];
    for (const name of targets) {
      const entry = entries[name];
      if (entry === undefined) continue;
      listeners.push({ name, ...place, ...entry, ...(/^(?:tls|wss)$/.test(entry.kind) && files) });
    }
    return listeners;
  }

  /** Where and how the cases of a target are played. */
  placeOf(target) {
    return {
      port: this.ports[target],
      preface: target === 'ws' ? proxyPreface : undefined,
      isSecure: target === 'tls' || target === 'wss',
    };
  }

  /** The ready line names the first listener of a kind by its kind, further ones by their names. */
  #learn(ready) {
    const portOf = (key) => Number(/:(\d+)$/.exec(ready[key] ?? '')?.[1]);
    const seen = new Set();
    for (const { kind, name } of this.#listeners) {
      this.ports[name] = portOf(seen.has(kind) ? name : (kindKeys[kind] ?? kind));
      seen.add(kind);
    }
    this.#httpPort = portOf('http');
    this.ports.http = this.#httpPort;
  }

  /** What is alive in the main thread after a collection, in bytes; undefined when the broker does not answer. */
  async liveBytes() {
    if (this.#end !== undefined || !this.#child.connected) return undefined;
    const answer = new Promise((resolve) => {
      this.#answerHeap = resolve;
    });
    this.#child.send('heap', () => {});
    return Promise.race([answer, pause(heapMsMax)]);
  }

  get pid() {
    return this.#child.pid;
  }

  #complain(line) {
    if (this.complaints.length < keptLines) this.complaints.push(line.slice(0, 4000));
  }

  /** What is wrong with the broker by now, or undefined. */
  get trouble() {
    const isWrongEnd = this.#end !== undefined && !(this.#isStopping && this.#end === 'code 0');
    const lines = isWrongEnd ? [`the broker ended with ${this.#end}`, ...this.complaints] : this.complaints;
    return lines.length > 0 ? lines.join('\n') : undefined;
  }

  /** Resident memory in bytes; undefined where there is no /proc. */
  async rssBytes() {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  }

  /** Counters of the broker by name, with all label values added up. */
  async counters() {
    const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/api/v5/prometheus/stats`);
    const sums = new Map();
    for (const [, name, value] of (await answer.text()).matchAll(/^(\w+)(?:\{[^}]*\})? ([\d.e+-]+)$/gm)) {
      sums.set(name, (sums.get(name) ?? 0) + Number(value));
    }
    return sums;
  }

  /** Asks the process to end, then insists; removes its folder. */
  async stop() {
    if (this.#end === undefined) {
      this.#isStopping = true;
      this.#child.kill('SIGTERM');
      await Promise.race([this.#exit, pause(stopMsMax)]);
      if (this.#end === undefined) {
        this.#complain('the broker did not end after SIGTERM');
        this.#child.kill('SIGKILL');
        await this.#exit;
      }
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Names of the variables that the compiled broker knows. */
async function knownVariables() {
  const { sections } = await import(new URL('../dist/config/schema.js', import.meta.url).href);
  return new Set(sections.flatMap(({ fields }) => Object.values(fields).map(({ name }) => name)));
}

/** Those of `names` that the compiled broker can listen for here. */
export async function availableTargets(names) {
  const hasListeners = (await knownVariables()).has('SLUICE_LISTENERS');
  // Looked for, not loaded: its binaries are for some versions of Node only, and a process that has one may hang at its end.
  const binary = `@rjweb/uws/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const hasUws = existsSync(new URL(`../node_modules/${binary}`, import.meta.url));
  return names.filter(
    (name) => name === 'mqtt' || name === 'http' || (hasListeners && (name !== 'uws' || hasUws)),
  );
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
