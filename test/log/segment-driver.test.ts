/** The segment driver keeps the contract, with segments of usual size and with ones so small that every run rotates and cleans. */
import { openLog } from '../../src/log/open.js';
import { openSegmentLog } from '../../src/log/segment-driver.js';
import { logContract } from './contract.js';

logContract({
  name: 'segment',
  durable: true,
  open: (directory) => openLog({ driver: 'segment', directory, memoryBytesMax: 0 }),
});

logContract({
  name: 'segment',
  durable: true,
  open: (directory) => openSegmentLog({ driver: 'segment', directory, memoryBytesMax: 0 }, 4096),
});
