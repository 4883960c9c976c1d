/**
 * A real broker process on free loopback ports with a data directory of its own. Runs in the test process.
 *
 * Always true: the process and the directory are gone when the scope ends; only the own child is ever
 * signalled. A restart keeps directory and ports, so that clients find the broker where it was. What the
 * process wrote to stderr is part of the message when it does not start.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiledUrl } from './compiled.js';
import { brokerEnvironment, nodeFlags } from './environment.js';
import { Rest } from './rest.js';
import type { Scope } from './scope.js';
import { within } from './wait.js';

const ENTRY = fileURLToPath(compiledUrl('main.js'));
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
const OUTPUT_KEPT = 20_000;

/** How to start a broker. */
export interface BrokerOptions {
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Use this directory instead of a fresh one; it is not removed. */
  readonly dataDir?: string;
  /** Arguments after `start`. */
  readonly args?: readonly string[];
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
}

/** Starts a broker that ends with `scope`. */
export async function startBroker(scope: Scope, options: BrokerOptions = {}): Promise<Broker> {
  const dataDir = options.dataDir ?? (await temporaryDirectory(scope));
  const broker = new Broker(dataDir, options);
  scope.add(() => broker.kill());
  await broker.start();
  return broker;
}

/** A fresh directory that is removed when `scope` ends. */
export async function temporaryDirectory(scope: Scope): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-test-'));
  scope.add(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** See the file header. Made by `startBroker`. */
export class Broker {
  readonly dataDir: string;
  mqttHost = '';
  mqttPort = 0;
  httpPort = 0;
  /** The `key=value` pairs of the ready line. */
  facts: Readonly<Record<string, string>> = {};
  readonly #options: BrokerOptions;
  #child: ChildProcess | undefined;
  #exit: Promise<Exit> | undefined;
  #output = '';

  constructor(dataDir: string, options: BrokerOptions) {
    this.dataDir = dataDir;
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** The last part of what the process wrote to stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  get rest(): Rest {
    return new Rest(`http://127.0.0.1:${this.httpPort}/api/v5`);
  }

  /** Resolves when the process ends. */
  get exited(): Promise<Exit> {
    return this.#exit ?? Promise.reject(new Error('the broker was never started'));
  }

  /** Starts the process; resolves when it says that it is ready. `env` is added to that of the options for this start. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (!existsSync(ENTRY)) throw new Error(`${ENTRY} is missing: run \`npm run build\` first`);
    const child = spawn(process.execPath, [...nodeFlags, ENTRY, 'start', ...(this.#options.args ?? [])], {
      env: brokerEnvironment({
        SLUICE_MQTT_PORT: String(this.mqttPort),
        SLUICE_HTTP_PORT: String(this.httpPort),
        SLUICE_DATA_DIR: this.dataDir,
        ...this.#options.env,
        ...env,
      }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#output = '';
    const startedMs = performance.now();
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal, tookMs: performance.now() - startedMs }));
    });
    const ready = new Promise<string>((resolve) => {
      const take = (chunk: Buffer): void => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT);
        const line = /^.*\bmqtt=\S+.*\n/m.exec(this.#output)?.[0];
        if (line !== undefined) resolve(line);
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
    });
    const early = this.#exit.then(({ code, signal }) => {
      throw new Error(`the broker ended before it was ready (${signal ?? code}):\n${this.#output}`);
    });
    early.catch(() => undefined);
    const line = await within(Promise.race([ready, early]), 'the ready line of the broker', START_TIMEOUT_MS);
    this.#learn(line);
  }

  #learn(line: string): void {
    const facts: Record<string, string> = {};
    for (const [, key, value] of line.matchAll(/\b(\w+)=([^\s",]+)/g)) {
      if (key !== undefined && value !== undefined) facts[key] = value;
    }
    this.facts = facts;
    const mqtt = /^(.+):(\d+)$/.exec(facts['mqtt'] ?? '');
    const http = /^(.+):(\d+)$/.exec(facts['http'] ?? '');
    this.mqttHost = mqtt?.[1] ?? '';
    this.mqttPort = Number(mqtt?.[2]);
    this.httpPort = Number(http?.[2]);
  }

  /** Asks the process to drain and end; resolves to how it ended. */
  async stop(): Promise<Exit> {
    return this.#end('SIGTERM');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (this.#child !== undefined) await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<Exit> {
    const child = this.#child;
    if (child === undefined) throw new Error('the broker is not running');
    const startedMs = performance.now();
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const exit = await within(this.exited, `the broker to end after ${signal}`, STOP_TIMEOUT_MS);
    this.#child = undefined;
    return { ...exit, tookMs: performance.now() - startedMs };
  }

  /** Starts again on the same data directory and the same ports; the process must have ended. */
  async restart(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#child !== undefined) await this.kill();
    await this.start(env);
  }

  /** Resident memory of the process, bytes; undefined where there is no /proc. */
  async rssBytes(): Promise<number | undefined> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  }

  /** Size of all files in the data directory, bytes. */
  async dataBytes(): Promise<number> {
    let bytes = 0;
    for (const entry of await readdir(this.dataDir, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const found = await stat(path.join(entry.parentPath, entry.name)).catch(() => undefined);
      bytes += found === undefined ? 0 : found.blocks * 512;
    }
    return bytes;
  }
}
