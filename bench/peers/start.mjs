/**
 * What starting any broker needs: a free port, and the moment when it listens.
 *
 * Always true: a broker that could not be started leaves no process and no files.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { OptionError } from '../jobs/options.mjs';
import { Target } from './target.mjs';

const PROBE_INTERVAL_MS = 50;

/** A port of the loopback interface that was free a moment ago. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until `child` listens on `port`; resolves to its Target. `more` goes into the Target as it is. */
export async function openWhenReady({
  name,
  port,
  child,
  directory,
  timeoutMs = 10_000,
  companions = [],
  ...more
}) {
  const failure = Promise.race([
    once(child, 'error').then(([error]) => error.message),
    once(child, 'exit').then(([code, signal]) => `it ended (${signal ?? code})`),
  ]);
  const untilMs = performance.now() + timeoutMs;
  while (performance.now() < untilMs) {
    const found = await Promise.race([listens(port), failure]);
    if (found === true)
      return new Target({
        name,
        host: '127.0.0.1',
        port,
        pid: child.pid,
        child,
        directory,
        companions,
        ...more,
      });
    if (found !== false) return giveUp(name, found, [child, ...companions], directory);
    await delay(PROBE_INTERVAL_MS);
  }
  return giveUp(
    name,
    `it did not open port ${port} within ${timeoutMs} ms`,
    [child, ...companions],
    directory,
  );
}

async function giveUp(name, reason, children, directory) {
  for (const child of children) child.kill('SIGKILL');
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  throw new OptionError(`${name} cannot be started: ${reason}`);
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(socket.destroy() && true));
    socket.once('error', () => resolve(false));
  });
}
