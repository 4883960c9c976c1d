/** The rocksdb driver keeps the contract. */
import { openLog } from '../../src/log/open.js';
import { logContract } from './contract.js';

logContract({
  name: 'rocksdb',
  durable: true,
  open: (directory) => openLog({ driver: 'rocksdb', directory, memoryBytesMax: 32 << 20 }),
});
