/**
 * Reading from many connections: one buffer for all against a buffer per read (`data` events). In this process
 * a listener that only counts, in another one a load that writes as fast as it can; CPU time of this process
 * is the result, because that is what a broker saves. The quick tests run it with tiny counts so that it
 * cannot rot.
 */
import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';

import { TcpListener } from '../src/net/tcp-listener.js';

/** CPU milliseconds to read so many megabytes. */
export interface ReadBenchResult {
  readonly name: string;
  readonly cpuMs: number;
  readonly megabytes: number;
}

const connections = 10;
const load = `
const net = require('node:net');
const [port, bytes] = process.argv.slice(1).map(Number);
const chunk = Buffer.alloc(Math.min(262144, bytes));
let left = bytes;
for (let i = 0; i < ${connections}; i++) {
  const socket = net.connect(port, '127.0.0.1', go);
  function go() {
    while (left > 0) {
      left -= chunk.length;
      if (!socket.write(chunk)) return socket.once('drain', go);
    }
    socket.end();
  }
}`;

async function benchRead(name: string, sharesBuffer: boolean, bytes: number): Promise<ReadBenchResult> {
  let got = 0;
  const listener = new TcpListener(
    (socket) => {
      socket.on('end', () => socket.end());
      return (_chunk, length) => {
        got += length;
      };
    },
    { sharesBuffer },
  );
  const { port } = await listener.listen('127.0.0.1', 0);
  const before = process.cpuUsage();
  const child = spawn(process.execPath, ['-e', load, String(port), String(bytes)], { stdio: 'inherit' });
  await new Promise((resolve) => child.once('close', resolve));
  while (got < bytes) await new Promise((resolve) => setImmediate(resolve));
  const { user, system } = process.cpuUsage(before);
  listener.close();
  return { name, cpuMs: (user + system) / 1000, megabytes: got / 1e6 };
}

/** Runs both ways; `scale` 1 proves only that it runs, 1000 measures (2 GB each). */
export async function benchNet(scale: number): Promise<ReadBenchResult[]> {
  const bytes = scale * 2_000_000;
  return [
    await benchRead('one buffer for all connections', true, bytes),
    await benchRead('`data` events', false, bytes),
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, cpuMs, megabytes } of await benchNet(1000)) {
    console.log(`${name.padEnd(40)} ${Math.round(cpuMs)} ms of CPU for ${Math.round(megabytes)} MB`);
  }
}
