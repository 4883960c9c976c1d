/**
 * One reader of one document: a folder, a broker, and the commands of its blocks, run as they stand there. Runs in the test
 * process.
 *
 * Always true: the default ports of a document become those of the broker of the test and back again in what is printed; the
 * commands see a home of their own, no variable of the test, and `npm` only as far as it starts the broker; everything that
 * was started has ended when the scope ends. A curl that gets an HTTP error fails, though it would not for a person.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { temporaryDirectory } from '../harness/broker.js';
import { brokerEnvironment, nodeFlags } from '../harness/environment.js';
import type { Scope } from '../harness/scope.js';
import { until, within } from '../harness/wait.js';
import { isPrinted, type Block } from './document.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const blockTimeoutMs = 60_000;

/** Default ports by their key in the ready line. */
const defaultPorts = { mqtt: 1883, http: 18_083, ws: 8083, mqtts: 8883, wss: 8084 } as const;

/** See the file header. Made by `openSession`. */
export class Session {
  readonly #scope: Scope;
  readonly #folder: string;
  readonly #shared: SharedBroker;
  #broker: LaunchedBroker | undefined;
  #brokerCount = 0;
  readonly #background: Background[] = [];

  constructor(scope: Scope, folder: string, shared: SharedBroker) {
    this.#scope = scope;
    this.#folder = folder;
    this.#shared = shared;
  }

  /** Carries out one block; throws with what it printed when it fails. */
  async run(block: Block): Promise<void> {
    if (block.mark === 'broker') return this.#startBroker(block.text, block.settings ?? {});
    if (block.settings !== undefined || (this.#broker === undefined && asksBroker.test(block.text))) {
      await this.#startBroker('npm start', block.settings ?? {});
    }
    const before = block.mark === 'background' ? await this.#subscriptions() : 0;
    const running = spawnIn(
      this.#scope,
      this.#folder,
      this.#withPorts(block.text),
      this.#clientEnvironment(),
    );
    if (block.mark === 'background') {
      this.#background.push({ block, running, mayEnd: false });
      // What is published to a queue waits; what is published to nobody is gone.
      if (!/\$q(ueue)?\//.test(block.text)) {
        await until(
          async () => {
            this.#checkBackground();
            return (await this.#subscriptions()) > before;
          },
          () => `line ${block.line} to subscribe:\n${running.output}`,
        );
      }
      return undefined;
    }
    const code = await within(running.ended, `line ${block.line} to end`, blockTimeoutMs);
    if (code !== 0)
      throw new Error(
        `exit code ${code}:\n${block.text}\n${running.output}\n${this.#broker?.running.output}`,
      );
    this.#compare(block, running.printed);
    return undefined;
  }

  /** Waits for what the blocks in the background are to print; throws when one of them has failed. */
  async finish(): Promise<void> {
    for (const { block, running } of this.#background) {
      const { output } = block;
      if (output === undefined) continue;
      await until(
        () => {
          this.#checkBackground();
          return isPrinted(output, this.#withDefaultPorts(running.printed));
        },
        () => `line ${block.line} to print\n${output}\nit printed\n${running.output}`,
      );
    }
    this.#checkBackground();
  }

  #checkBackground(): void {
    for (const { block, running, mayEnd } of this.#background) {
      if (mayEnd || running.code === undefined || running.code === 0) continue;
      throw new Error(
        `line ${block.line}, in the background, ended with ${running.code}:\n${block.text}\n${running.output}`,
      );
    }
  }

  #compare(block: Block, printed: string): void {
    const actual = this.#withDefaultPorts(printed);
    if (block.output !== undefined && !isPrinted(block.output, actual)) {
      throw new Error(`line ${block.line} prints\n${actual}\nand not\n${block.output}`);
    }
  }

  async #startBroker(command: string, settings: Readonly<Record<string, string>>): Promise<void> {
    this.#checkBackground();
    // What runs meets its broker no more.
    for (const one of this.#background) one.mayEnd ||= one.running.code === undefined;
    if (this.#broker?.isShared === false) await this.#broker.running.end();
    if (command.trim() === 'npm start' && Object.keys(settings).length === 0) {
      this.#broker = await this.#shared.take();
    } else {
      this.#broker = await launchBroker(this.#scope, this.#folder, command, {
        SLUICE_DATA_DIR: `data-${++this.#brokerCount}`,
        ...settings,
      });
    }
    // What clients without a port on their command line take.
    const mqtt = this.#broker.ports.get(defaultPorts.mqtt);
    for (const name of ['mosquitto_pub', 'mosquitto_sub', 'mosquitto_rr']) {
      await writeFile(path.join(this.#folder, '.config', name), `-p ${mqtt}\n`);
    }
  }

  /** Ordinary subscriptions that the broker has. */
  async #subscriptions(): Promise<number> {
    const text = await (await fetch(`${apiOf(this.#broker)}/prometheus/stats`)).text();
    const [, count] = /^sluice_subscriptions (\d+)$/m.exec(text) ?? [];
    if (count === undefined)
      throw new Error(`a background block meets a broker that shows no metrics:\n${text}`);
    return Number(count);
  }

  #withPorts(text: string): string {
    return text.replaceAll(/\b\d{4,5}\b/g, (port) => String(this.#broker?.ports.get(Number(port)) ?? port));
  }

  #withDefaultPorts(text: string): string {
    let result = text;
    for (const [port, actual] of this.#broker?.ports ?? [])
      result = result.replaceAll(`:${actual}`, `:${port}`);
    return result;
  }

  #clientEnvironment(): NodeJS.ProcessEnv {
    const { ports } = this.#broker ?? { ports: new Map<number, number>() };
    return brokerEnvironment({
      ...environmentIn(this.#folder),
      ...(ports.size > 0 && {
        SLUICE_API_URL: `http://127.0.0.1:${ports.get(defaultPorts.http)}`,
        SLUICE_MQTT_URL: `mqtt://127.0.0.1:${ports.get(defaultPorts.mqtt)}`,
      }),
    });
  }
}

/** A block that goes on while the next ones run. */
interface Background {
  readonly block: Block;
  readonly running: Running;
  /** However: its broker was stopped or emptied. */
  mayEnd: boolean;
}

/** A block that asks a broker; others do without one. */
const asksBroker = /\bcurl\b|\bmosquitto_(?!passwd)|\bsluice (?!passwd|version|help|completion)/;

/** A running broker with its ports by the default ones. */
interface LaunchedBroker {
  readonly running: Running;
  readonly ports: ReadonlyMap<number, number>;
  readonly isShared: boolean;
}

function apiOf(broker: LaunchedBroker | undefined): string {
  return `http://127.0.0.1:${broker?.ports.get(defaultPorts.http)}/api/v5`;
}

/** Starts a broker by a command of a document; it ends with `scope`. */
async function launchBroker(
  scope: Scope,
  folder: string,
  command: string,
  settings: Readonly<Record<string, string>>,
): Promise<LaunchedBroker> {
  const running = spawnIn(
    scope,
    folder,
    // Any free port in place of those that a document names.
    command.replaceAll(/\b(?:1883|8883|8083|8084|18083)\b/g, '0'),
    brokerEnvironment({
      ...environmentIn(folder),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_SHARDS: '1',
      SLUICE_DURABILITY: 'process',
      ...settings,
    }),
  );
  await until(
    () => {
      if (running.code !== undefined) throw new Error(`the broker ended:\n${running.output}`);
      return /ready.*\n/.test(running.output);
    },
    () => `the broker to be ready:\n${running.output}`,
  );
  const line = /^.*\bready\b.*$/m.exec(running.output)?.[0] ?? '';
  const ports = new Map<number, number>();
  for (const [key, port] of Object.entries(defaultPorts)) {
    // As text or as JSON.
    const found = new RegExp(String.raw`\b${key}"?[=:]"?[^\s",]*:(\d+)`).exec(line)?.[1];
    if (found !== undefined) ports.set(port, Number(found));
  }
  return { running, ports, isShared: false };
}

/** The broker without settings, which most documents start: one process, emptied for each of them. */
export class SharedBroker {
  readonly #scope: Scope;
  #broker: LaunchedBroker | undefined;

  /** It ends with `scope`. */
  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** As after a first start: no queue, no retained message. */
  async take(): Promise<LaunchedBroker> {
    this.#broker ??= await this.#start();
    const api = apiOf(this.#broker);
    const { data } = (await (await fetch(`${api}/queues?limit=10000`)).json()) as {
      data: { name: string }[];
    };
    for (const { name } of data) {
      await fetch(`${api}/queues/${encodeURIComponent(name)}`, { method: 'DELETE' });
    }
    await fetch(`${api}/mqtt/retainer/messages`, { method: 'DELETE' });
    return this.#broker;
  }

  async #start(): Promise<LaunchedBroker> {
    const folder = await homeFolder(this.#scope);
    return { ...(await launchBroker(this.#scope, folder, 'npm start', {})), isShared: true };
  }
}

function environmentIn(folder: string): Record<string, string> {
  return {
    PATH: `${path.join(folder, '.bin')}:${process.env['PATH']}`,
    HOME: folder,
    XDG_CONFIG_HOME: path.join(folder, '.config'),
    NO_COLOR: '1',
  };
}

function spawnIn(scope: Scope, folder: string, command: string, env: NodeJS.ProcessEnv): Running {
  const running = new Running(
    // A group of its own, so that what it leaves behind ends with it.
    spawn('bash', ['-euo', 'pipefail', '-c', command], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  scope.add(() => running.end());
  return running;
}

/** A process with what it printed. */
class Running {
  /** Standard output alone. */
  printed = '';
  /** Standard output and error. */
  output = '';
  code: number | null | undefined;
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.printed += chunk.toString();
      this.output += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.ended = new Promise((resolve) => {
      child.once('exit', (code) => {
        this.code = code;
        resolve(code);
      });
    });
  }

  /** Ends the whole group. */
  async end(): Promise<void> {
    try {
      process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
    } catch {
      // All of it has ended by itself.
    }
    await this.ended;
  }
}

/** A reader with an empty folder that knows the examples of this repository and the command `sluice`. */
export async function openSession(scope: Scope, shared: SharedBroker): Promise<Session> {
  return new Session(scope, await homeFolder(scope), shared);
}

async function homeFolder(scope: Scope): Promise<string> {
  const folder = await temporaryDirectory(scope);
  const node = [process.execPath, ...nodeFlags, path.join(repository, 'dist/main.js')].join(' ');
  const programs = {
    sluice: `exec ${node} "$@"`,
    npm: `[ "$*" = start ] || { echo "npm $* is not run by the tests" >&2; exit 64; }\nexec ${node} start`,
  };
  await mkdir(path.join(folder, '.bin'));
  await mkdir(path.join(folder, '.config'));
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(path.join(folder, '.bin', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  await writeFile(path.join(folder, '.curlrc'), 'fail-with-body\nsilent\nshow-error\nmax-time = 20\n');
  await symlink(path.join(repository, 'examples'), path.join(folder, 'examples'));
  return folder;
}
