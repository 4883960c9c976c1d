/**
 * Starts Sluice itself as it was compiled, with its default settings but for what a run asks for.
 *
 * Always true: ports are free ones, the data directory is new, and no variable of the caller's environment that would
 * configure a broker gets through.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { OptionError } from '../jobs/options.mjs';
import { Target } from './target.mjs';

const SLUICE_ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;

/** A fresh Sluice on free ports with an empty data directory; `options.settings`, when given, are variables for it. */
export async function spawnSluice(options) {
  if (!existsSync(SLUICE_ENTRY)) throw new OptionError('dist/main.js is missing: run `npm run build` first');
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
  const env = { ...process.env };
  for (const name of Object.keys(env)) if (/^(SLUICE|EMQX)_/.test(name)) delete env[name];
  Object.assign(env, { SLUICE_MQTT_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_DATA_DIR: directory });
  if (options.durability !== '') env.SLUICE_DURABILITY = options.durability;
  if (options.store !== '') env.SLUICE_STORE = options.store;
  if (options.shards > 0) env.SLUICE_SHARDS = String(options.shards);
  Object.assign(env, options.settings);
  const flags = options.nodeFlags.split(' ').filter((flag) => flag !== '');
  const child = spawn(process.execPath, [...flags, SLUICE_ENTRY, 'start'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const facts = await readyLine(child);
    // The data directory is gone when anybody reads of it.
    delete facts.data;
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
