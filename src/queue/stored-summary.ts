/**
 * Block summaries as they come from the log, where the disk may have damaged them. Shard worker, pure.
 *
 * Always true: what is returned cannot lead a walk astray: it counts at least one record, and no more acks than records.
 * Gives up: summaries carry no checksum; numbers that are wrong but plausible pass. Recovery reports what is damaged,
 * everything later passes over it, and the bytes stay on disk.
 */
import { decodeSummary, type BlockSummary } from '../log/record-format.js';

/** The summary in `value`, or undefined when it is damaged. */
export function readSummary(value: Uint8Array): BlockSummary | undefined {
  let summary: BlockSummary;
  try {
    summary = decodeSummary(value);
  } catch {
    return undefined;
  }
  const { recordCount, ackedCount, recordBytes, ackedBytes } = summary;
  return recordCount > 0 && ackedCount <= recordCount && ackedBytes <= recordBytes ? summary : undefined;
}
