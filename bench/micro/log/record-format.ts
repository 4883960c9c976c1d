/**
 * Blocks and summaries: sealing and checking a block, and the summary with its ack bitmap. Bench process.
 *
 * Always true: what was sealed is checked again, and a summary is read back equal. A block holds 256 records of 256 B
 * payload, as one group commit of a busy queue makes them.
 */
import {
  BLOCK_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  SUMMARY_HEADER_BYTES,
  RecordWord,
  bodyStart,
  checkBlock,
  decodeSummary,
  encodeSummary,
  recordBytes,
  sealBlock,
  type BlockSummary,
} from '../../../src/log/record-format.js';
import { measure, same, type Figure } from '../measure.js';

const records = 256;
const topicBytes = 34;
const clientIdBytes = 12;
const bodyBytes = topicBytes + 2 + 256;
const eachBytes = recordBytes(bodyBytes, clientIdBytes, 0);

function blockOfRecords(): { readonly bytes: Buffer; readonly words: Uint32Array } {
  const memory = new ArrayBuffer(BLOCK_HEADER_BYTES + records * eachBytes);
  const bytes = Buffer.from(memory);
  const words = new Uint32Array(memory);
  bytes.fill(0x61, BLOCK_HEADER_BYTES);
  for (let i = 0; i < records; i++) {
    const word = (BLOCK_HEADER_BYTES + i * eachBytes) >> 2;
    words[word + RecordWord.length] = eachBytes;
    words[word + RecordWord.flagsAndTopicLength] = 1 | (topicBytes << 16);
    words[word + RecordWord.bodyLength] = bodyBytes;
    words[word + RecordWord.tailLengths] = clientIdBytes;
  }
  return { bytes, words };
}

/** Operations are messages. */
export function benchRecordFormat(scale: number): Figure[] {
  const { bytes, words } = blockOfRecords();
  const summary: BlockSummary = {
    recordCount: records,
    ackedCount: 100,
    recordBytes: records * eachBytes,
    ackedBytes: 100 * eachBytes,
    newestMs: 1_700_000_000_000,
    expiresEarliestMs: Number.POSITIVE_INFINITY,
    expiresLatestMs: Number.POSITIVE_INFINITY,
    ackBits: new Uint32Array(records / 32).fill(0x0f0f_0f0f),
  };
  const place = Buffer.alloc(SUMMARY_HEADER_BYTES + records / 8);
  const view = new DataView(place.buffer, place.byteOffset, place.length);
  return measure(scale, [
    {
      name: `seal a block of ${records} records of ${eachBytes} B`,
      operations: records,
      run() {
        words[1] = 0;
        sealBlock(bytes, words, 0, records, records * eachBytes);
        same('a sealed block has a checksum', words[1] !== 0, true);
      },
    },
    {
      name: 'check it',
      operations: records,
      run: () => same('records of a block', checkBlock(bytes), records),
    },
    {
      name: 'walk its records',
      operations: records,
      run() {
        let found = 0;
        let at = BLOCK_HEADER_BYTES;
        for (; at < bytes.length; at += words[at >> 2] as number) {
          if (bodyStart(words, at) === at + RECORD_HEADER_BYTES) found++;
        }
        same('records on the walk', found, records);
      },
    },
    {
      name: 'write and read its summary with an ack bitmap',
      operations: records,
      run() {
        same('bytes of a summary', encodeSummary(summary, view), place.length);
        same('acked in a summary', decodeSummary(place).ackedCount, 100);
      },
    },
  ]);
}
