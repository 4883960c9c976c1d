/**
 * Starts mosquitto, the broker that most people have at hand.
 *
 * Always true: nothing is persisted and nothing dropped for want of queue length, which is its fastest setting.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePort, openWhenReady } from './start.mjs';

const BINARIES = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'];

/** The program of mosquitto, or undefined when it is in none of the usual places nor on the path. */
export function findMosquitto() {
  const onPath = (process.env.PATH ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, 'mosquitto'));
  return [...BINARIES, ...onPath].find((file) => existsSync(file));
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
  const child = spawn(findMosquitto() ?? 'mosquitto', ['-c', config], { stdio: 'ignore' });
  return openWhenReady({ name: 'mosquitto', port, child, directory });
}
