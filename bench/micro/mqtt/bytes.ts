/**
 * Where copying by a loop stops being faster than `Buffer.copy`. Bench process.
 *
 * Always true: both write to moving places of a block that stays in the cache, as an outbox does, and the last copy is
 * compared with its source.
 */
import { copyRange } from '../../../src/mqtt/bytes.js';
import { measure, same, type Figure, type Task } from '../measure.js';

type Copy = (source: Buffer, start: number, end: number, target: Buffer, offset: number) => number;

function byPlainLoop(source: Buffer, start: number, end: number, target: Buffer, offset: number): number {
  let to = offset;
  for (let from = start; from < end; from++) target[to++] = source[from] as number;
  return to;
}

function byBufferCopy(source: Buffer, start: number, end: number, target: Buffer, offset: number): number {
  return offset + source.copy(target, offset, start, end);
}

function task(name: string, length: number, copy: Copy): Task {
  const source = Buffer.from(Array.from({ length: 8192 }, (_, i) => i * 31));
  const target = Buffer.alloc(8192);
  const operations = 256;
  return {
    name: `copy ${length} B by ${name}`,
    operations,
    run() {
      let end = 0;
      for (let i = 0; i < operations; i++) end = copy(source, i * 4, i * 4 + length, target, i * 8);
      same(`copy ${length} B by ${name}: end`, end, (operations - 1) * 8 + length);
      same(
        `copy ${length} B by ${name}: last byte`,
        target[end - 1],
        source[(operations - 1) * 4 + length - 1],
      );
    },
  };
}

/** Operations are copies. */
export function benchBytes(scale: number): Figure[] {
  return measure(
    scale / 4,
    [16, 32, 64, 128, 256, 512].flatMap((length) => [
      task('a plain loop', length, byPlainLoop),
      task('Buffer.copy', length, byBufferCopy),
      task('copyRange', length, copyRange),
    ]),
  );
}
