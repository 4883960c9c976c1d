/**
 * One measured point of a growth table, and tables that are a grid of such points. Runs in the bench's main process.
 *
 * A cell is `{ costUs, perSecond, faults }`: CPU of the broker per message, all its threads, user and system, and the
 * rate at which it was measured. Always true: a point has a fresh broker; what is lost counts from QoS 1 on, as in the
 * scenarios; a cost that was not measured is undefined, never 0.
 */
import { completeLoad } from '../load/load.mjs';
import { measure } from '../load/run.mjs';
import { spawnSluice } from '../peers/sluice.mjs';
import { faultsOf } from '../scenarios/scenario.mjs';

const QUEUES_AT_ONCE = 32;
/** CPU below this is a few ticks of the system's clock, which says nothing. */
const CPU_SECONDS_MIN = 0.1;

/** How long a point publishes and how much of it is warm-up, seconds. */
export function pointTimes({ quick, seconds }) {
  if (seconds > 0) return { seconds, warmup: seconds / 3 };
  return quick ? { seconds: 1.2, warmup: 0.4 } : { seconds: 5, warmup: 2 };
}

/** The sizes of a table: those of a quick or a full run, as far as they are wanted; at least one. */
export function sizesOf(quickSizes, fullSizes) {
  return ({ quick, largest }) => {
    const wanted = (quick ? quickSizes : fullSizes).filter((size) => largest === 0 || size <= largest);
    return wanted.length > 0 ? wanted : [largest];
  };
}

/** A fresh Sluice; nothing of a table waits for a disk unless `settings` say so. */
export function openBroker(context, settings = {}) {
  const { store, nodeFlags } = context;
  const opened = spawnSluice({ durability: 'process', store, nodeFlags, shards: 0, settings });
  context.running.opened = opened;
  return opened;
}

/** Creates a queue on each of `filters`. */
export async function createQueues(target, filters, settings) {
  for (let first = 0; first < filters.length; first += QUEUES_AT_ONCE)
    await Promise.all(
      filters.slice(first, first + QUEUES_AT_ONCE).map(async (filter) => {
        const queue = { is_lastvalue: false, ...settings, topic_filter: filter };
        const { status, body } = await target.request('POST', '/message_queues/queues', queue);
        if (status !== 200) throw new Error(`creating a queue: HTTP ${status} ${JSON.stringify(body)}`);
      }),
    );
}

/** Loads `target` once; resolves to a cell and the memory of the broker. */
export async function measureLoad(target, load) {
  const figures = await measure(target, load);
  const { steady, rssBytes } = figures;
  return {
    costUs: steady?.brokerCpuUsPerMessage,
    perSecond: steady === undefined ? figures.endToEndPerSecond : steadyRate(steady, load),
    rssBytes,
    faults: faultsOf(figures, completeLoad(load)),
  };
}

/** As in the scenarios: not more than was acknowledged, where there are acknowledgements; of publishes alone those. */
function steadyRate({ ackedPerSecond, deliveredPerSecond }, { qos = 1, consumers = 1 }) {
  if (consumers === 0) return ackedPerSecond;
  return qos === 0 ? deliveredPerSecond : Math.min(ackedPerSecond, deliveredPerSecond);
}

/** `costUs` of each of `pieces`, or undefined when all together took too little to be measured. */
export function sureCost(costUs, pieces) {
  return costUs !== undefined && costUs * pieces >= CPU_SECONDS_MIN * 1e6 ? costUs : undefined;
}

/** CPU of `target` per piece of what `work` does; `work` resolves to how many pieces there were. */
export async function measureWork(target, work) {
  const startedMs = performance.now();
  const cpuBefore = await target.cpuSeconds();
  const pieces = await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuAfter = await target.cpuSeconds();
  const cpuSeconds = cpuBefore === undefined || cpuAfter === undefined ? 0 : cpuAfter - cpuBefore;
  return {
    costUs: sureCost((cpuSeconds * 1e6) / pieces, pieces),
    perSecond: Math.round(pieces / seconds),
    faults: [],
  };
}

/**
 * The `run` of a table whose cells are independent loads: every series at one size, then at the next. A series has
 * `load(size)` and, where it needs them, `settings(size)` for the broker and `prepare(target, size)`.
 */
export function gridOf(sizes, series) {
  return async (context, note) => {
    for (const size of sizes(context))
      for (const { key, load, settings, prepare } of series)
        await note(size, key, async () => {
          const target = await openBroker(context, settings?.(size));
          try {
            await prepare?.(target, size);
            return await measureLoad(target, { ...load(size), ...pointTimes(context) });
          } finally {
            context.running.opened = undefined;
            await target.stop();
          }
        });
  };
}
