/**
 * Ten thousand connections that do nothing: how fast they are accepted and what each costs in memory.
 *
 * Always true: the connections stay open until the memory is read; one that is refused or cut off is a fault. What it
 * gives up: resident memory is what the system says, with whatever the broker's allocator keeps.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { round } from '../load/figures.mjs';
import { digits, scaled } from './scenario.mjs';

const STORM_ENTRY = new URL('../load/storm.mjs', import.meta.url);
/** Files that the broker and the load need besides the connections. */
const OTHER_FILES = 500;
const SETTLE_MS = 3000;

/** The scenario `connections`. */
export const connectionScenarios = [
  {
    name: 'connections',
    about: '10,000 idle connections: memory each, connects per second',
    cases: (context) => {
      const count = Math.min(scaled(10_000, context), filesMax() - OTHER_FILES);
      return [
        {
          id: 'idle',
          title: `${count.toLocaleString('en-US')} idle connections`,
          unit: 'bytes of memory each',
          better: 'lower',
          peers: 'mqtt',
          estimateSeconds: SETTLE_MS / 1000 + count / 5000,
          broker: {},
          durability: 'nothing stored',
          run: (target, onProgress) => storm(target, count, onProgress),
          headline: ({ bytesEach }) => bytesEach,
          faults: ({ failures }) => failures,
          notes: ({ connectsPerSecond }) => `${digits(connectsPerSecond)} connects/s`,
        },
      ];
    },
  },
];

/** Files that a process may have open at once. */
function filesMax() {
  try {
    const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? 1_000_000 : Number(limit);
  } catch {
    return 10_000;
  }
}

async function storm(target, count, onProgress) {
  const before = await target.memory();
  const cpuBefore = await target.cpuSeconds();
  const child = fork(STORM_ENTRY, [], { execArgv: [] });
  try {
    child.send({ host: target.host, port: target.port, count });
    let answer;
    for (;;) {
      [answer] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => {
          throw new Error('the connecting process ended early');
        }),
      ]);
      if (answer.done) break;
      onProgress?.({ delivered: answer.connected, startedMs: 0, atMs: 0 });
    }
    const cpuAfter = await target.cpuSeconds();
    await delay(SETTLE_MS);
    const after = await target.memory();
    const bytes = after === undefined || before === undefined ? undefined : after.rssBytes - before.rssBytes;
    return {
      broker: target.name,
      ...target.facts,
      connected: answer.connected,
      connectsPerSecond: Math.round((answer.connected * 1000) / answer.passedMs),
      bytesEach: bytes === undefined ? undefined : Math.max(0, Math.round(bytes / answer.connected)),
      rssBytes: after?.rssBytes,
      cpuUsPerConnect:
        cpuAfter === undefined ? undefined : round(((cpuAfter - cpuBefore) * 1e6) / answer.connected, 1),
      failures: answer.failures,
    };
  } finally {
    child.kill();
  }
}
