/**
 * Builds and runs the image of a Dockerfile without a container engine: overlays of this machine's own root in place of the
 * base image, namespaces of the kernel in place of the engine. Linux and root only. Runs in the test process.
 *
 * Always true: every step of every stage is carried out in order, nothing outside of a folder in memory is written, and all
 * mounts and processes are gone when the scope ends. What differs from a real build is the base image (this machine, with
 * the user that the image brings), and, unless the full size is asked for, that installed packages are taken from here.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { temporaryDirectory } from '../harness/broker.js';
import { fullSize } from '../harness/environment.js';
import type { Scope } from '../harness/scope.js';
import { until, within } from '../harness/wait.js';
import { environmentOf, instructionsOf, type Stage } from './dockerfile.js';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const searchPath = `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${path.dirname(process.execPath)}`;
const stepTimeoutMs = 90_000;
/** An address of the container that is not loopback, as that of a published port. */
export const outerAddress = '172.31.0.2';

/** Why images cannot be built here; undefined when they can. */
export function missingForImages(): string | undefined {
  if (process.platform !== 'linux') return 'namespaces and overlays are those of Linux';
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const script =
    'd=$(mktemp -d) && mount -t tmpfs tmpfs $d && mkdir $d/u $d/w $d/r && ' +
    'mount -t overlay overlay -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/r && ' +
    'command -v setpriv chroot nsenter ip curl useradd groupadd && umount $d/r && umount $d && rmdir $d';
  const { status, stderr } = spawnSync('unshare', [
    '--mount',
    '--net',
    '--pid',
    '--fork',
    'sh',
    '-c',
    script,
  ]);
  return status === 0
    ? undefined
    : `overlays in a namespace do not work: ${String(stderr).trim().split('\n')[0]}`;
}

/** What `docker run` would be told. */
export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Files of this machine by their path in the container, read-only. */
  readonly files: Readonly<Record<string, string>>;
  /** A name: the same name finds the same volume. */
  readonly volume: string;
}

/** A built image. */
export class Image {
  readonly #stage: Stage;
  readonly #folder: string;
  readonly #holder: number;
  readonly #scope: Scope;

  constructor(scope: Scope, stage: Stage, folder: string, holder: number) {
    this.#scope = scope;
    this.#stage = stage;
    this.#folder = folder;
    this.#holder = holder;
  }

  /** Files of the final root that the stage has made or changed, from its root. */
  async files(): Promise<string[]> {
    const upper = `${this.#folder}/final/upper`;
    const { stdout } = await inNamespace(this.#holder, `cd ${upper} && find . -not -type d`);
    return stdout
      .trim()
      .split('\n')
      .map((line) => line.slice(1));
  }

  /** Starts a container: read-only root, own network and process namespaces, no capability, the user of the image. */
  run({ env, files, volume }: RunOptions): Container {
    const root = `${this.#folder}/final/root`;
    const stored = `${this.#folder}/volumes/${volume}`;
    const [home] = instructionsOf(this.#stage, 'VOLUME');
    const mounts = Object.entries(files).map(([inside, outside]) => {
      const at = quote(`${root}${inside}`);
      return `mkdir -p $(dirname ${at}); touch ${at}; mount --bind ${quote(outside)} ${at}; mount -o remount,ro,bind ${at}`;
    });
    const user = instructionsOf(this.#stage, 'USER')[0]?.text ?? 'root';
    const words = ['ENTRYPOINT', 'CMD'].flatMap(
      (keyword) => instructionsOf(this.#stage, keyword)[0]?.exec ?? [],
    );
    const script = [
      'set -e',
      'ip link set lo up',
      `ip address add ${outerAddress}/32 dev lo`,
      // A later container finds the root read-only and its mount points made.
      `mount -o remount,rw ${root}`,
      ...mounts,
      // A new volume takes owner and rights from the image.
      `test -d ${stored} || { mkdir -p ${path.dirname(stored)}; cp -a ${root}${home?.text} ${stored}; }`,
      `mount --bind ${stored} ${root}${home?.text}`,
      `mount -t proc proc ${root}/proc`,
      `mount -o remount,ro ${root}`,
      `exec chroot ${root} ${asUser(user)} ${cleanEnvironment({ ...environmentOf(this.#stage), ...env })} ` +
        `sh -c ${quote(`cd ${workdirOf(this.#stage)} && exec "$@"`)} -- ${words.map(quote).join(' ')}`,
    ].join('\n');
    const child = spawn(
      'nsenter',
      [
        '-t',
        String(this.#holder),
        '--mount',
        'unshare',
        '--mount',
        '--net',
        '--pid',
        '--fork',
        '--kill-child',
      ].concat(['bash', '-c', script]),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const container = new Container(child, user, workdirOf(this.#stage));
    this.#scope.add(() => container.kill());
    return container;
  }
}

/** A running container. Made by `Image.run`. */
export class Container {
  readonly #child: ChildProcess;
  readonly #user: string;
  readonly #workdir: string;
  readonly #ended: Promise<number | null>;
  #output = '';

  constructor(child: ChildProcess, user: string, workdir: string) {
    this.#child = child;
    this.#user = user;
    this.#workdir = workdir;
    this.#ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    }
  }

  /** What the container wrote. */
  get output(): string {
    return this.#output;
  }

  /** `docker exec`: a command in the container, as its user. Resolves to exit code and output, whatever the code. */
  async exec(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Done> {
    const init = await this.#init();
    return done('nsenter', [
      ...['-t', String(init), '--mount', '--net', '--pid', `--root=/proc/${init}/root`],
      ...[
        'sh',
        '-c',
        `cd ${this.#workdir} && exec ${asUser(this.#user)} ${cleanEnvironment(env)} "$@"`,
        '--',
        ...words,
      ],
    ]);
  }

  /** A shell command in the network of the container, as somebody outside would run it. */
  async outside(command: string): Promise<Done> {
    return done('nsenter', ['-t', String(await this.#init()), '--net', 'bash', '-c', command]);
  }

  /** `docker stop`: SIGTERM to the first process; resolves to its exit code. */
  async stop(): Promise<number | null> {
    process.kill(await this.#init(), 'SIGTERM');
    return within(this.#ended, 'the container to end');
  }

  /** Ends it without asking. A process that has changed its user does not die with its parent, so the first one is ended. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const first = this.#firstProcess();
      if (first === undefined) this.#child.kill('SIGKILL');
      else process.kill(first, 'SIGKILL');
    }
    await this.#ended;
  }

  #firstProcess(): number | undefined {
    const { pid } = this.#child;
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first === undefined || first === '' ? undefined : Number(first);
  }

  /** Id of the first process of the container, as it is called out here. */
  async #init(): Promise<number> {
    return until(
      () => {
        if (this.#child.exitCode !== null) throw new Error(`the container has ended:\n${this.#output}`);
        return this.#firstProcess();
      },
      () => `the first process of the container:\n${this.#output}`,
    );
  }
}

/** How a command ended. */
export interface Done {
  readonly code: number;
  readonly out: string;
}

/** Carries out all stages; the last one is the image. */
export async function buildImage(scope: Scope, stages: readonly Stage[]): Promise<Image> {
  const folder = await temporaryDirectory(scope);
  const holder = spawn('unshare', [
    ...['--mount', '--propagation', 'private', 'sh', '-c'],
    `mount -t tmpfs -o mode=755 tmpfs ${folder} && echo ready && exec sleep 3600`,
  ]);
  scope.add(async () => {
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    if (holder.exitCode === null) holder.kill('SIGKILL');
    await ended;
  });
  await within(new Promise((resolve) => holder.stdout.once('data', resolve)), 'the namespace of the build');
  const pid = holder.pid ?? 0;
  const last = stages.at(-1);
  if (last === undefined) throw new Error('a Dockerfile has a stage');
  for (const stage of stages) {
    await buildStage(pid, folder, stage, stage === last ? 'final' : stage.name);
  }
  return new Image(scope, last, folder, pid);
}

async function buildStage(holder: number, folder: string, stage: Stage, name: string): Promise<void> {
  const place = `${folder}/${name}`;
  const root = `${place}/root`;
  await inNamespace(
    holder,
    [
      `mkdir -p ${place}/upper ${place}/work ${root}`,
      `chmod 755 ${place}/upper`,
      `mount -t overlay overlay -o lowerdir=/,upperdir=${place}/upper,workdir=${place}/work ${root}`,
      `mount -t proc proc ${root}/proc`,
      `mount --rbind /dev ${root}/dev`,
      // The image knows neither this repository nor what else lies about here.
      `mkdir -p ${root}${repository} ${root}${path.dirname(folder)}`,
      `mount -t tmpfs tmpfs ${root}${repository}`,
      `mount -t tmpfs tmpfs ${root}${path.dirname(folder)}`,
      // What the base image brings: Node.js where everybody can run it, and the user.
      `install -m 755 ${process.execPath} ${root}/usr/local/bin/node`,
      `chroot ${root} sh -c 'getent group node >/dev/null || groupadd -o -g 1000 node'`,
      `chroot ${root} sh -c 'getent passwd node >/dev/null || useradd -o -u 1000 -g node -M node'`,
    ].join('\n'),
  );
  let workdir = '/';
  let user = 'root';
  for (const { keyword, text, flags } of stage.instructions) {
    if (keyword === 'WORKDIR') {
      workdir = text;
      await inNamespace(holder, `mkdir -p ${root}${workdir}`);
      if (name !== 'final' && !fullSize) await inNamespace(holder, lendPackages(place, `${root}${workdir}`));
    } else if (keyword === 'USER') {
      user = text;
    } else if (keyword === 'COPY') {
      const from = flags.get('from');
      await inNamespace(
        holder,
        copy(text, from === undefined ? repository : `${folder}/${from}/root`, root, workdir),
      );
    } else if (keyword === 'RUN') {
      const isolated = fullSize ? '' : 'unshare --net ';
      const env = cleanEnvironment({ HOME: '/var/tmp' });
      const command = `cd ${workdir} && ${text}`;
      await inNamespace(
        holder,
        `${isolated}chroot ${root} ${user === 'root' ? '' : asUser(user)} ${env} sh -c ${quote(command)}`,
      );
    }
  }
}

/** The installed packages of this repository as if `npm ci` had put them there; what is changed stays in memory. */
function lendPackages(place: string, workdir: string): string {
  return [
    `mkdir -p ${place}/packages ${place}/packages-work ${workdir}/node_modules`,
    `mount -t overlay overlay -o lowerdir=${repository}/node_modules,upperdir=${place}/packages,workdir=${place}/packages-work ${workdir}/node_modules`,
    `rm -rf ${workdir}/node_modules/.cache`,
  ].join('\n');
}

/** COPY: files go into a folder, the contents of a folder go into the folder of the new name. */
function copy(text: string, from: string, root: string, workdir: string): string {
  const words = text.split(/\s+/);
  const target = words.pop() ?? '';
  const to = `${root}${path.posix.resolve(workdir, target)}`;
  const isFolder = target.endsWith('/') || words.length > 1;
  const lines = words.map((word) => {
    const source = `${from}/${word.replace(/^\//, '')}`;
    const into = isFolder ? `${to}/` : to;
    return `if [ -d ${source} ]; then mkdir -p ${to} && cp -a ${source}/. ${to}/; else cp -a ${source} ${into}; fi`;
  });
  return [`mkdir -p ${isFolder ? to : path.dirname(to)}`, ...lines].join('\n');
}

function workdirOf(stage: Stage): string {
  return instructionsOf(stage, 'WORKDIR').at(-1)?.text ?? '/';
}

function asUser(user: string): string {
  return `setpriv --reuid=${user} --regid=${user} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all`;
}

function cleanEnvironment(env: Readonly<Record<string, string>>): string {
  const pairs = Object.entries({ PATH: searchPath, ...env }).map(([name, value]) =>
    quote(`${name}=${value}`),
  );
  return `env -i ${pairs.join(' ')}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function inNamespace(holder: number, script: string): Promise<{ stdout: string }> {
  return run('nsenter', ['-t', String(holder), '--mount', 'bash', '-euo', 'pipefail', '-c', script], {
    timeout: stepTimeoutMs,
    maxBuffer: 16 * 1024 * 1024,
  });
}

async function done(command: string, args: readonly string[]): Promise<Done> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: stepTimeoutMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out: `${stdout}${stderr}` });
    });
  });
}

/** Waits until the container says that it is ready, then for its health check. */
export async function untilHealthy(container: Container, stage: Stage): Promise<void> {
  const command = instructionsOf(stage, 'HEALTHCHECK')[0]?.exec ?? [];
  const state = (): string => `the health check; the container says:\n${container.output}`;
  await until(() => container.output.includes('Sluice is ready'), state);
  await until(async () => (await container.exec(command, environmentOf(stage))).code === 0, state);
}
