/** Worker thread of kill.crash.ts: opens a log, writes one block, says so and stays. */
import { parentPort, workerData } from 'node:worker_threads';
import { openLog } from '../../dist/log/open.js';

const log = await openLog({ ...workerData, memoryBytesMax: 8 << 20 });
const batch = log.batch();
batch.putBlock(1, 1, Buffer.from('from a worker'));
log.write(batch);
parentPort.postMessage('ready');
setInterval(() => log.maintain(Date.now()), 1000);
