/**
 * Child of kill.crash.ts: writes batches to a log as fast as it can until it is killed or the log refuses. After each
 * write it reports the batch's number on stdout with a synchronous write, so the parent knows what was promised.
 * Arguments: driver, directory. Batch n stores block n and key "last" = n, and deletes block n - LIVE_BLOCKS.
 */
import { writeSync } from 'node:fs';
import { openLog } from '../../dist/log/open.js';

const LIVE_BLOCKS = 50;
const [driver, directory] = process.argv.slice(2);
const report = (line) => writeSync(1, `${line}\n`);
let log;
try {
  log = await openLog({ driver, directory, memoryBytesMax: 8 << 20 });
} catch (error) {
  report(`refused ${error.code}`);
  process.exit(3);
}
const key = Buffer.from('last');
const batch = log.batch();
const start = (log.readKey(1, key) ?? -1) + 1;
report('open');
for (let n = start; ; n += 1) {
  const value = Buffer.alloc(1000 + ((n * 7919) % 60_000), n & 0xff);
  value.writeUInt32BE(n, 0);
  batch.clear();
  batch.putBlock(1, n, value);
  batch.putSummary(1, n, value.subarray(0, 16));
  batch.putKey(1, key, n);
  if (n >= LIVE_BLOCKS) batch.deleteBlock(1, n - LIVE_BLOCKS);
  try {
    log.write(batch);
  } catch (error) {
    report(`failed ${error.code}`);
    process.exit(4);
  }
  report(`${n}`);
  if (n % 64 === 0) {
    log.sync(() => {});
    log.maintain(n * 20);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
