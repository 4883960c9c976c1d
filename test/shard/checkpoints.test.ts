/** A checkpoint comes out whole or not at all, whatever became of its worker or of the one before it. */
import { describe, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { CheckpointKind, type Checkpoint, readCheckpointPage } from '../../src/log/checkpoint.js';
import { Checkpoints } from '../../src/shard/checkpoints.js';

/** Slices of a checkpoint: offsets of its blocks, then perhaps a fault. */
type Slice = readonly (number | 'fault')[];

/** A log whose next checkpoint has these slices. */
class FakeLog {
  slices: readonly Slice[] = [];
  open = 0;

  diskBytes(): number {
    return 0;
  }

  async checkpoint(): Promise<Checkpoint> {
    const left = [...this.slices];
    this.open += 1;
    let isOpen = true;
    return {
      next: (page) => {
        for (const offset of left.shift() ?? []) {
          if (offset === 'fault') throw new OperationalError('ERR_LOG_READ', 'a block cannot be read');
          page.add(CheckpointKind.block, 1, offset, Buffer.from('block'));
        }
        return left.length > 0;
      },
      close: () => {
        if (isOpen) this.open -= 1;
        isOpen = false;
      },
    };
  }
}

async function begun(log: FakeLog, checkpoints: Checkpoints, slices: readonly Slice[]): Promise<string> {
  log.slices = slices;
  return (await checkpoints.begin(new Map(), () => undefined)).checkpointId;
}

/** Offsets of a page. */
function offsetsOf(page: ArrayBuffer | undefined): number[] {
  const offsets: number[] = [];
  const isWhole = readCheckpointPage(Buffer.from(page ?? new ArrayBuffer()), (_kind, _queue, offset) => {
    offsets.push(offset);
  });
  expect(isWhole).toBe(true);
  return offsets;
}

function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as OperationalError).code;
  }
  return undefined;
}

describe('the checkpoint of a shard', () => {
  test('is read to its end, which stays the end; once let go it is refused [broker]', async () => {
    const log = new FakeLog();
    const checkpoints = new Checkpoints(log);
    const id = await begun(log, checkpoints, [[1, 2], [], [3]]);
    expect(offsetsOf(checkpoints.next(id))).toEqual([1, 2]);
    expect(checkpoints.next(id)?.byteLength).toBe(0);
    expect(offsetsOf(checkpoints.next(id))).toEqual([3]);
    expect(log.open).toBe(0);
    expect([checkpoints.next(id), checkpoints.next(id)]).toEqual([undefined, undefined]);
    checkpoints.end();
    expect(codeOf(() => checkpoints.next(id))).toBe('ERR_BACKUP');
  });

  test('is refused by a worker that did not take it, whether that has one of its own or none [broker]', async () => {
    const log = new FakeLog();
    const id = await begun(log, new Checkpoints(log), [[1]]);
    const next = new Checkpoints(log);
    expect(codeOf(() => next.next(id))).toBe('ERR_BACKUP');
    const own = await begun(log, next, [[7]]);
    expect(codeOf(() => next.next(id))).toBe('ERR_BACKUP');
    expect(offsetsOf(next.next(own))).toEqual([7]);
    const later = await begun(log, next, [[8]]);
    expect(codeOf(() => next.next(own))).toBe('ERR_BACKUP');
    expect(offsetsOf(next.next(later))).toEqual([8]);
  });

  test('that failed in the middle of a slice is over, and nothing of it is in the next one [broker]', async () => {
    const log = new FakeLog();
    const checkpoints = new Checkpoints(log);
    const id = await begun(log, checkpoints, [[1], [2, 'fault'], [3]]);
    expect(offsetsOf(checkpoints.next(id))).toEqual([1]);
    expect(codeOf(() => checkpoints.next(id))).toBe('ERR_LOG_READ');
    expect(log.open).toBe(0);
    expect(codeOf(() => checkpoints.next(id))).toBe('ERR_BACKUP');
    const second = await begun(log, checkpoints, [[4]]);
    expect(offsetsOf(checkpoints.next(second))).toEqual([4]);
  });
});
