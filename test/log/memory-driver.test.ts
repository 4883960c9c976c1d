/** The memory driver keeps the contract as long as it is open. */
import { openLog } from '../../src/log/open.js';
import { logContract } from './contract.js';

logContract({
  name: 'memory',
  durable: false,
  open: (directory) => openLog({ driver: 'memory', directory, memoryBytesMax: 0 }),
});
