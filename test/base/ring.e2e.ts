import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { createRingMemory } from '../../src/base/ring.js';
import { compiledUrl } from '../harness/compiled.js';

const FRAMES = 60_000;

interface Report {
  readonly written?: number;
  readonly read?: number;
  readonly waits?: number;
  readonly sleeps?: number;
  readonly fault?: string;
}

function run(workerData: Record<string, unknown>, port: MessagePort): Promise<Report> {
  const worker = new Worker(new URL('./ring-thread.mjs', import.meta.url), {
    workerData: { ...workerData, port, frames: FRAMES, ringUrl: compiledUrl('base/ring.js') },
    transferList: [port],
  });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  }).finally(() => void worker.terminate()) as Promise<Report>;
}

test.each([
  ['0', 0],
  ['just before 2^31', 2 ** 31 - 50_000],
  ['just before 2^32', 2 ** 32 - 50_000],
])(
  'two threads lose, tear and reorder nothing and miss no doorbell, from position %s [broker]',
  async (_name, start) => {
    const memory = createRingMemory(4096);
    const header = new Int32Array(memory, 0, 64);
    header[0] = start | 0;
    header[16] = start | 0;
    const { port1, port2 } = new MessageChannel();
    const [writer, reader] = await Promise.all([
      run({ role: 'writer', memory }, port1),
      run({ role: 'reader', memory }, port2),
    ]);
    expect(reader.fault).toBeUndefined();
    expect(writer.written).toBe(FRAMES);
    expect(reader.read).toBe(FRAMES);
    expect(writer.waits, 'the ring was full now and then').toBeGreaterThan(0);
  },
);
