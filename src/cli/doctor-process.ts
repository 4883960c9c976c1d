/**
 * Which process has a file or a port, and what the kernel grants this one. Runs in the process of the command.
 *
 * Always true: it reads below /proc and /sys only and never throws; where they are missing, or belong to another user,
 * nothing is known, which is said as undefined. Gives up: names of processes on other systems than Linux.
 */
import * as fs from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';

import type { KernelFacts } from './doctor-check.js';

const PAGE_BYTES = 4096;
const LISTENING = '0A';

/** Id of a process that has `file` open; undefined when there is none that may be looked at. */
export function holderOf(file: string): number | undefined {
  let real: string;
  try {
    real = fs.realpathSync(file);
  } catch {
    return undefined;
  }
  return processWith((target) => target === real);
}

/** `name (pid)` of the process that listens on a TCP port. */
export function listenerOf(port: number): string | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const sockets = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6']
      .flatMap((file) => readText(file).split('\n'))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local = '', , state]) => local.endsWith(`:${wanted}`) && state === LISTENING)
      .map((fields) => `socket:[${fields[9] ?? ''}]`),
  );
  if (sockets.size === 0) return undefined;
  const pid = processWith((target) => sockets.has(target));
  return pid === undefined ? undefined : `${readText(`/proc/${pid}/comm`).trim()} (${pid})`;
}

function processWith(isWanted: (target: string) => boolean): number | undefined {
  for (const name of listed('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    for (const fd of listed(`/proc/${name}/fd`)) {
      try {
        if (isWanted(fs.readlinkSync(`/proc/${name}/fd/${fd}`))) return Number(name);
      } catch {
        // Closed meanwhile.
      }
    }
  }
  return undefined;
}

/** Limit of open files; undefined where it cannot be read, Infinity where there is none. */
export function openFilesLimit(): number | undefined {
  const [, soft] = /^Max open files\s+(\S+)/m.exec(readText('/proc/self/limits')) ?? [];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Memory of the machine, or of the control group when that is less, bytes. */
export function memoryLimit(): number {
  const granted = process.constrainedMemory();
  return granted > 0 && granted < totalmem() ? granted : totalmem();
}

/** Cores of the machine, or the share that the control group grants. */
export function coreLimit(): number {
  const [quota = 'max', period = '0'] = readText('/sys/fs/cgroup/cpu.max').trim().split(' ');
  const granted = Number(quota) / Number(period);
  return Number.isFinite(granted) && granted > 0
    ? Math.min(granted, availableParallelism())
    : availableParallelism();
}

/** Kernel settings that matter. */
export function kernelFacts(): KernelFacts {
  const pages = numberIn(readText('/proc/sys/net/ipv4/tcp_mem').trim().split(/\s+/)[2]);
  return {
    somaxconn: numberIn(readText('/proc/sys/net/core/somaxconn').trim()),
    tcpMemoryBytes: pages === undefined ? undefined : pages * PAGE_BYTES,
    memoryBytes: totalmem(),
  };
}

function numberIn(text: string | undefined): number | undefined {
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function listed(directory: string): string[] {
  try {
    return fs.readdirSync(join(directory));
  } catch {
    return [];
  }
}
