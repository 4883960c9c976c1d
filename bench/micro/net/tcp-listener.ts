/**
 * Reading from many connections: one buffer for all against a buffer per read (`data` events). In this process a listener
 * that only counts, in another one a load that writes as fast as it can. Bench process.
 *
 * Always true: both ways read every byte. The figure is CPU time of this process per gigabyte, because that is what a
 * broker saves.
 */
import { spawn } from 'node:child_process';
import { TcpListener } from '../../../src/net/tcp-listener.js';
import { same, type Figure } from '../measure.js';

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

async function benchRead(name: string, sharesBuffer: boolean, bytes: number): Promise<Figure> {
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
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const { user, system } = process.cpuUsage(before);
  listener.close();
  same(`${name}: exit code of the load`, code, 0);
  same(`${name}: everything read`, got >= bytes, true);
  return { name, value: (user + system) / 1000 / (got / 1e9), unit: 'ms' };
}

/** CPU time in ms per gigabyte; 2 GB each at scale 1000. */
export async function benchTcpListener(scale: number): Promise<Figure[]> {
  const bytes = scale * 2_000_000;
  return [
    await benchRead('CPU per GB read, one buffer for all connections', true, bytes),
    await benchRead('CPU per GB read, `data` events', false, bytes),
  ];
}
