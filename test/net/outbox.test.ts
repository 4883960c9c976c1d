import type { Socket } from 'node:net';
import { Writable } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { BlockPool, blockClasses } from '../../src/net/block-pool.js';
import { SocketOutbox } from '../../src/net/outbox.js';
import { SocketTransport } from '../../src/net/socket-transport.js';
import { Intake } from '../../src/net/intake.js';
import { Turn } from '../../src/net/turn.js';
import { OutboxLimit } from '../../src/session/memory-limit.js';
import { randomFrom, seed } from '../harness/environment.js';

/** A kernel: takes a write at once or later, and reads the memory in the moment in which it takes it. */
class Kernel extends Writable {
  readonly taken: Buffer[] = [];
  writeCount = 0;
  /** Whether the next write is taken at once. */
  takesAtOnce: () => boolean = () => true;
  #later: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #take(chunks: readonly Buffer[], done: () => void): void {
    this.writeCount++;
    const copy = (): void => {
      for (const chunk of chunks) this.taken.push(Buffer.from(chunk));
      done();
    };
    if (this.takesAtOnce()) copy();
    else this.#later = copy;
  }

  /** Takes the write that waits. */
  takeLater(): void {
    const copy = this.#later;
    this.#later = undefined;
    copy?.();
  }
}

function build(bytesMax = 1000): {
  outbox: SocketOutbox;
  kernel: Kernel;
  turn: Turn;
  pool: BlockPool;
  drains: number[];
} {
  const kernel = new Kernel();
  const pool = new BlockPool();
  const limit = new OutboxLimit(bytesMax, 1024 ** 3);
  const turn = new Turn(
    new Intake(
      () => false,
      () => 0,
    ),
  );
  const drains: number[] = [];
  const owner = { onDrained: () => drains.push(outbox.bytesWaiting), onBytesOut: () => undefined };
  const facts = { peername: '', listener: 'tcp', isLoopback: true, secure: false };
  const sink = new SocketTransport(kernel as unknown as Socket, facts);
  const outbox: SocketOutbox = new SocketOutbox(sink, pool, turn, limit, owner);
  return { outbox, kernel, turn, pool, drains };
}

function write(outbox: SocketOutbox, bytes: Buffer): void {
  outbox.ensure(bytes.length);
  outbox.offset += bytes.copy(outbox.buffer, outbox.offset);
}

async function drain(outbox: SocketOutbox, turn: Turn, kernel: Kernel): Promise<void> {
  while (outbox.bytesWaiting > 0) {
    turn.run();
    kernel.takeLater();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the outbox', () => {
  test('all bytes of many turns arrive once and in order, over all block sizes and slow writes [broker]', async () => {
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const { outbox, kernel, turn } = build();
    kernel.takesAtOnce = () => random() < 0.5;
    const sent: Buffer[] = [];
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < Math.floor(random() * 40); i++) {
        const bytes = Buffer.alloc(Math.floor(random() ** 6 * 600_000) + 1, Math.floor(random() * 256));
        sent.push(bytes);
        write(outbox, bytes);
      }
      if (random() < 0.7) turn.run();
      if (random() < 0.5) kernel.takeLater();
      if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
    }
    await drain(outbox, turn, kernel);
    expect(Buffer.concat(kernel.taken).equals(Buffer.concat(sent))).toBe(true);
  });

  test('what is relayed arrives in order among what is written, though its source changes afterwards [broker]', async () => {
    const random = randomFrom(seed);
    const { outbox, kernel, turn } = build();
    kernel.takesAtOnce = () => random() < 0.5;
    const sent: Buffer[] = [];
    const source = Buffer.alloc(65_536);
    for (let round = 0; round < 300; round++) {
      for (let at = 0; at < 256; at++) source[at * 251] = Math.floor(random() * 256);
      let at = 0;
      while (at < source.length) {
        const end = Math.min(source.length, at + 1 + Math.floor(random() ** 4 * 20_000));
        if (random() < 0.8) {
          outbox.relay(source, at, end);
          sent.push(Buffer.from(source.subarray(at, end)));
        }
        if (random() < 0.1) {
          const bytes = Buffer.alloc(Math.floor(random() * 100) + 1, round);
          sent.push(bytes);
          write(outbox, bytes);
        }
        if (random() < 0.05) expect(outbox.hasRoom(1)).toBe(outbox.bytesWaiting < 1000);
        if (random() < 0.05) outbox.flush();
        at = end;
      }
      turn.endRelays();
      source.fill(0);
      if (random() < 0.7) turn.run();
      if (random() < 0.5) kernel.takeLater();
      if (random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
    }
    await drain(outbox, turn, kernel);
    expect(Buffer.concat(kernel.taken).equals(Buffer.concat(sent))).toBe(true);
  });

  test('what is relayed counts as waiting, and is forgotten with the connection [broker]', () => {
    const { outbox, kernel, turn } = build(1000);
    kernel.takesAtOnce = () => false;
    outbox.relay(Buffer.alloc(600), 0, 600);
    expect([outbox.bytesWaiting, outbox.hasRoom(400), outbox.hasRoom(401)]).toEqual([600, true, false]);
    expect(kernel.writeCount).toBe(1);
    outbox.relay(Buffer.alloc(600), 0, 300);
    expect([outbox.bytesWaiting, outbox.hasRoom(100), outbox.hasRoom(101)]).toEqual([900, true, false]);
    outbox.close();
    turn.endRelays();
    turn.run();
    expect([outbox.bytesWaiting, kernel.writeCount]).toEqual([0, 1]);
  });

  test('one turn is one write per connection [broker]', () => {
    const { outbox, kernel, turn } = build();
    for (let i = 0; i < 50; i++) write(outbox, Buffer.alloc(1000));
    turn.run();
    turn.run();
    expect(kernel.writeCount).toBe(1);
  });

  test('a burst above the bound goes to the kernel first; full is what it does not take [broker]', async () => {
    const { outbox, kernel, turn } = build(1000);
    write(outbox, Buffer.alloc(900));
    expect(outbox.hasRoom(200)).toBe(true);
    expect(kernel.writeCount).toBe(1);
    kernel.takesAtOnce = () => false;
    write(outbox, Buffer.alloc(900));
    expect(outbox.hasRoom(200)).toBe(false);
    turn.run();
    kernel.takeLater();
    await new Promise((resolve) => setImmediate(resolve));
    expect([outbox.hasRoom(1000), outbox.bytesWaiting]).toEqual([true, 0]);
  });

  test('hasRoom counts what waits, what fills the block and what is being written [broker]', () => {
    const { outbox, kernel, turn } = build(1000);
    kernel.takesAtOnce = () => false;
    expect(outbox.hasRoom(1000)).toBe(true);
    write(outbox, Buffer.alloc(600));
    turn.run();
    write(outbox, Buffer.alloc(100));
    expect([outbox.hasRoom(300), outbox.hasRoom(301)]).toEqual([true, false]);
  });

  test('onDrained comes once when everything is with the kernel [broker]', () => {
    const { outbox, turn, drains } = build();
    write(outbox, Buffer.alloc(10));
    outbox.wantDrain();
    outbox.wantDrain();
    expect(drains).toEqual([]);
    turn.run();
    turn.run();
    expect(drains).toEqual([0]);
  });

  test('after close nothing is sent and blocks return to the pool [broker]', () => {
    const { outbox, kernel, turn, pool } = build();
    write(outbox, Buffer.alloc(20_000));
    outbox.close();
    expect(pool.keptBytes).toBe(blockClasses[1]);
    write(outbox, Buffer.alloc(10));
    turn.run();
    expect([kernel.writeCount, outbox.bytesWaiting]).toEqual([0, 0]);
  });
});

describe('the block pool', () => {
  test('keeps a bounded number of bytes and gives blocks of the class or larger [broker]', () => {
    const pool = new BlockPool(100 * 1024);
    const blocks = [pool.take(1, 0), pool.take(1, 1), pool.take(20_000, 0), pool.take(1_000_000, 0)];
    expect(blocks.map(({ length }) => length)).toEqual([16_384, 65_536, 65_536, 1_000_000]);
    for (const block of blocks) pool.give(block);
    expect(pool.keptBytes).toBe(16_384 + 65_536);
    expect(pool.take(1, 0)).toBe(blocks[0]);
  });
});
