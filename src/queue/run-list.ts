/**
 * The messages that one queue received in this turn, as runs of records in ring memory. Shard worker.
 *
 * Always true: a run is contiguous, in order of arrival, and valid until the ring is released at the end of the turn.
 * Parallel arrays that are reused; nothing is allocated per message.
 */

/** See the file header. */
export class RunList {
  readonly starts: number[] = [];
  readonly bytes: number[] = [];
  readonly counts: number[] = [];
  size = 0;
  recordCount = 0;
  recordBytes = 0;

  push(start: number, bytes: number, count: number): void {
    this.starts[this.size] = start;
    this.bytes[this.size] = bytes;
    this.counts[this.size] = count;
    this.size++;
    this.recordCount += count;
    this.recordBytes += bytes;
  }

  clear(): void {
    this.size = 0;
    this.recordCount = 0;
    this.recordBytes = 0;
  }
}
