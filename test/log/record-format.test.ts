import { describe, expect, test } from 'vitest';
import {
  BLOCK_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  SUMMARY_HEADER_BYTES,
  checkBlock,
  decodeSummary,
  encodeSummary,
  recordBytes,
  sealBlock,
  type BlockSummary,
} from '../../src/log/record-format.js';
import { Random, testSeed } from '../mqtt/random.js';

/** A sealed block of `count` records with random content; starts 16 bytes into its memory. */
function block(count: number, bytes: number): Buffer {
  const memory = new ArrayBuffer(16 + BLOCK_HEADER_BYTES + bytes + 8);
  const buffer = Buffer.from(memory);
  new Random(testSeed()).bytes(bytes).copy(buffer, 16 + BLOCK_HEADER_BYTES);
  sealBlock(buffer, new Uint32Array(memory), 16, count, bytes);
  return buffer.subarray(16, 16 + BLOCK_HEADER_BYTES + bytes);
}

describe('records', () => {
  test('a record is a multiple of 8 long and never shorter than its parts [broker]', () => {
    for (let body = 0; body < 40; body++) {
      for (const [clientId, key] of [
        [0, 0],
        [23, 0],
        [65_535, 65_535],
      ] as const) {
        const length = recordBytes(body, clientId, key);
        const parts = RECORD_HEADER_BYTES + body + clientId + key;
        expect(length % 8).toBe(0);
        expect(length - parts).toBeGreaterThanOrEqual(0);
        expect(length - parts).toBeLessThan(8);
      }
    }
  });
});

describe('blocks', () => {
  test('a sealed block is read back with its record count, wherever its bytes lie [broker]', () => {
    const sealed = block(3, 200);
    expect(checkBlock(sealed)).toBe(3);
    for (const shift of [1, 2, 3, 7]) {
      const moved = Buffer.alloc(sealed.length + shift);
      sealed.copy(moved, shift);
      expect(checkBlock(moved.subarray(shift))).toBe(3);
    }
  });

  test('every damaged byte is found [broker]', () => {
    const sealed = block(2, 96);
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed);
      damaged[at] = (damaged[at] as number) ^ 0x40;
      expect(() => checkBlock(damaged), `byte ${at}`).toThrow(/block/);
    }
  });

  test('a block that is cut short or too long is corrupt, also when nothing is left [broker]', () => {
    const sealed = block(2, 96);
    for (const length of [0, 3, BLOCK_HEADER_BYTES - 1, BLOCK_HEADER_BYTES, sealed.length - 1]) {
      expect(() => checkBlock(sealed.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }),
      );
    }
    expect(() => checkBlock(Buffer.concat([sealed, Buffer.alloc(8)]))).toThrow(
      expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }),
    );
  });

  test('another version is told apart from damage [broker]', () => {
    const newer = block(1, 48);
    newer[0] = (newer[0] as number) + 7;
    expect(() => checkBlock(newer)).toThrow(expect.objectContaining({ code: 'ERR_LOG_VERSION' }));
    newer[3] = 0;
    expect(() => checkBlock(newer)).toThrow(expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }));
  });
});

describe('summaries', () => {
  const summary: BlockSummary = {
    recordCount: 33,
    ackedCount: 0,
    recordBytes: 4_000_000_000,
    ackedBytes: 0,
    newestMs: 1.8e12,
    expiresEarliestMs: Number.POSITIVE_INFINITY,
    expiresLatestMs: 1.9e12,
    ackBits: null,
  };

  function encoded(value: BlockSummary): Uint8Array {
    const bytes = new Uint8Array(1000);
    return bytes.slice(0, encodeSummary(value, new DataView(bytes.buffer)));
  }

  test('a summary comes back as it was, with and without acks [broker]', () => {
    expect(encoded(summary).length).toBe(SUMMARY_HEADER_BYTES);
    expect(decodeSummary(encoded(summary))).toEqual(summary);
    const acked = { ...summary, ackedCount: 2, ackedBytes: 96, ackBits: new Uint32Array([0x8000_0001, 1]) };
    expect(encoded(acked).length).toBe(SUMMARY_HEADER_BYTES + 8);
    expect(decodeSummary(encoded(acked))).toEqual(acked);
  });

  test('a summary whose length does not fit is corrupt [broker]', () => {
    const bytes = encoded({ ...summary, ackBits: new Uint32Array(2) });
    for (const length of [0, SUMMARY_HEADER_BYTES - 1, SUMMARY_HEADER_BYTES + 4, SUMMARY_HEADER_BYTES + 7]) {
      expect(() => decodeSummary(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }),
      );
    }
  });
});
