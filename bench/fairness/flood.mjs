/**
 * The greedy client: writes one kind of packets as fast as the socket takes them. Runs in a worker thread of the fairness
 * bench, so that neither side of the bench holds up the other.
 *
 * Always true: between `start` and `stop` there is always something to write; whatever the broker answers is read.
 * Messages: `{ start: kind }` and `'stop'`, which is answered with the bytes written.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { LoadClient } from '../load/client.mjs';
import { publishSlots, subscribePacket } from '../load/wire.mjs';

const CHUNK_BYTES = 256 * 1024;
const FILTERS = 10_000;
/** Subscribers of the topic that `fan-out` publishes to. */
const READERS = 500;

/** Makes the next chunk of each kind; `round` counts chunks. */
const kinds = {
  tiny: () => repeated(publishSlots('f', 0, 0, 4, 1).buffer),
  small: () => repeated(publishSlots('flood/of/messages', 100, 0, 4, 1).buffer),
  pings: () => repeated(Buffer.of(0xc0, 0)),
  topics: (round) => gathered((i) => publishSlots(`flood/${round}/${i}`, 10, 0, 4, 1).buffer, CHUNK_BYTES),
  'fan-out': () => repeated(publishSlots('fan', 10, 0, 4, 1).buffer),
  subscribes: (round) =>
    Buffer.concat(
      Array.from({ length: FILTERS }, (_, i) => subscribePacket([`sub/${round % 5}/${i}`], 0, 4)),
    ),
  'wide subscribes': (round) =>
    subscribePacket(
      Array.from({ length: FILTERS }, (_, i) => `wide/${round % 5}/${i}`),
      0,
      4,
    ),
};

function repeated(packet) {
  const times = Math.ceil(CHUNK_BYTES / packet.length);
  return Buffer.alloc(times * packet.length, packet);
}

function gathered(make, bytes) {
  const parts = [];
  for (let size = 0; size < bytes; size += parts.at(-1).length) parts.push(make(parts.length));
  return Buffer.concat(parts);
}

const onFailure = (error) => parentPort.postMessage({ failure: error.message });
const client = new LoadClient(onFailure);
await client.connect({ ...workerData, clientId: 'greedy', protocolVersion: 4 });
const readers = [];
let writing = false;
let bytesWritten = 0;

async function start(kind) {
  while (kind === 'fan-out' && readers.length < READERS) {
    const reader = new LoadClient(onFailure);
    await reader.connect({ ...workerData, clientId: `reader-${readers.length}`, protocolVersion: 4 });
    reader.socket.write(subscribePacket(['fan'], 0, 4));
    readers.push(reader);
  }
  // Made before the clock runs: what is measured is the broker.
  const chunks = Array.from({ length: 5 }, (_, round) => kinds[kind](round));
  writing = true;
  bytesWritten = 0;
  parentPort.postMessage({ started: true });
  for (let round = 0; writing; round += 1) {
    const chunk = chunks[round % chunks.length];
    bytesWritten += chunk.length;
    if (!client.socket.write(chunk)) await new Promise((resolve) => client.socket.once('drain', resolve));
    else await new Promise(setImmediate);
  }
}

parentPort.on('message', (message) => {
  if (message.start !== undefined) {
    void start(message.start);
    return;
  }
  writing = false;
  parentPort.postMessage({ bytesWritten });
});
parentPort.postMessage({ kinds: Object.keys(kinds) });
