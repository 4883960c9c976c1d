/**
 * One run of a load against one broker, and its figures. Runs in the bench's main process, which only coordinates; the
 * load lives in child processes, the broker in another.
 *
 * Always true: no publisher starts before every consumer that is not late is subscribed; the run ends when everything
 * that was acknowledged is delivered and worked on, or nothing has moved for the idle timeout (a second when messages
 * may be lost by their QoS); loss and duplicates are counted, not estimated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from './clock.mjs';
import { perMillion, round, summarize, windowRates } from './figures.mjs';
import { Fleet } from './fleet.mjs';
import { completeLoad, plans, queueFilter } from './load.mjs';

/** Time for late duplicates to show up after the last expected delivery. */
const SETTLE_MS = 200;
const LOSSY_IDLE_MS = 1000;
const POLL_MS = 25;
/** CPU below this is a few ticks of the system's clock, which says nothing. */
const CPU_SECONDS_MIN = 0.05;
let runs = 0;

/**
 * Loads `target` once; resolves to the figures. The target stays up. `onProgress`, when given, is called with the counts
 * so far.
 */
export async function measure(target, given, onProgress) {
  const load = completeLoad(given);
  if (load.mode === 'queue' && load.queue !== false && target.apiUrl !== '') await createQueues(target, load);
  runs += 1;
  const fleet = new Fleet(plans(target, load, `bench-${process.pid}-${runs}`));
  try {
    await fleet.ready();
    const cpuBefore = await target.cpuSeconds();
    fleet.tell('go');
    const course = await new Course(target, fleet, load, onProgress).follow();
    const cpuAfter = await target.cpuSeconds();
    const memory = await target.memory();
    const results = await fleet.results();
    const cpuSeconds = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
    return {
      broker: target.name,
      ...target.facts,
      ...summarize(results, load),
      ...course,
      cpuSeconds,
      ...perMillion(cpuSeconds, results),
      ...memory,
      failures: fleet.failures,
    };
  } finally {
    fleet.end();
  }
}

async function createQueues(target, load) {
  for (let index = 0; index < load.queues; index += 1) {
    const queue = { is_lastvalue: false, ...load.queue, topic_filter: queueFilter(load, index) };
    const { status, body } = await target.request('POST', '/message_queues/queues', queue);
    if (status === 400 && body?.code === 'ALREADY_EXISTS') continue;
    if (status !== 200) throw new Error(`creating the queue: HTTP ${status} ${JSON.stringify(body)}`);
  }
}

/** How a run goes, from `go` to its end. */
class Course {
  #target;
  #fleet;
  #load;
  #onProgress;
  #startedMs = nowMs();
  #movedMs = this.#startedMs;
  #total = -1;
  #finishing;
  #joining = false;
  #series = [];
  /** The broker's CPU at the end of the warm-up and at the end of the publishing: `{ atMs, seconds }`. */
  #cpu = [];
  #second = { atMs: this.#startedMs, acked: 0, delivered: 0 };

  constructor(target, fleet, load, onProgress) {
    this.#target = target;
    this.#fleet = fleet;
    this.#load = load;
    this.#onProgress = onProgress;
    this.#finishing = load.seconds === 0;
  }

  /** Resolves at the end of the run to `{ ended, series, steady }`. */
  async follow() {
    let ended;
    while (ended === undefined) {
      await delay(POLL_MS);
      const atMs = nowMs();
      const passedSeconds = (atMs - this.#startedMs) / 1000;
      if (this.#cpu.length === 0 && passedSeconds >= this.#load.warmup) await this.#readCpu();
      if (!this.#finishing && passedSeconds >= this.#load.seconds) {
        await this.#readCpu();
        this.#finishing = true;
        this.#fleet.tell('finish');
      }
      ended = this.#fleet.failures.length > 0 ? 'failure' : await this.#look(atMs);
    }
    if (ended === 'complete') await delay(SETTLE_MS);
    return { ended, series: this.#series, steady: this.#steady() };
  }

  async #readCpu() {
    const seconds = await this.#target.cpuSeconds();
    this.#cpu.push({ atMs: nowMs(), seconds });
  }

  /** Rates between the end of the warm-up and the last publish; undefined when there was no such time. */
  #steady() {
    const { seconds, warmup, late } = this.#load;
    if (seconds === 0 || late || seconds <= warmup) return undefined;
    const rates = windowRates(this.#fleet, this.#startedMs + warmup * 1000, this.#startedMs + seconds * 1000);
    return { ...rates, brokerCpuUsPerMessage: this.#brokerCpuUsPerMessage() };
  }

  #brokerCpuUsPerMessage() {
    const [from, to] = this.#cpu;
    if (from?.seconds === undefined || to?.seconds === undefined) return undefined;
    const { messages } = windowRates(this.#fleet, from.atMs, to.atMs);
    const seconds = to.seconds - from.seconds;
    return messages === 0 || seconds < CPU_SECONDS_MIN ? undefined : round((seconds * 1e6) / messages, 3);
  }

  async #look(atMs) {
    const counts = this.#fleet.counts();
    if (counts === undefined) return this.#idleSince(atMs) ? 'idle' : undefined;
    this.#onProgress?.({ ...counts, atMs, startedMs: this.#startedMs });
    this.#note(atMs, counts);
    const moved = counts.acked + counts.delivered + counts.completed + counts.failed;
    if (moved !== this.#total) {
      this.#total = moved;
      this.#movedMs = atMs;
    }
    if (this.#finishing && counts.published) {
      if (this.#load.late && !this.#joining) {
        this.#joining = true;
        await this.#fleet.join();
        this.#movedMs = nowMs();
        return undefined;
      }
      if (counts.completed >= this.#expected(counts)) return 'complete';
    }
    return this.#idleSince(atMs) ? 'idle' : undefined;
  }

  #idleSince(atMs) {
    const { qos, rate, workMs, idleTimeout, publishers } = this.#load;
    const published = this.#finishing && this.#fleet.counts()?.published === true;
    const lossy = publishers > 0 && qos === 0 && published;
    const pauseMs = Math.max(...workMs, 0) + (rate > 0 ? 1000 / rate : 0);
    return atMs - this.#movedMs > (lossy ? LOSSY_IDLE_MS : idleTimeout * 1000) + 2 * pauseMs;
  }

  #expected(counts) {
    const { publishers, consumers, count, mode, expected } = this.#load;
    if (expected !== undefined) return expected;
    if (consumers === 0) return 0;
    if (publishers === 0) return count;
    return mode === 'broadcast' ? counts.acked * consumers : counts.acked;
  }

  /** One line of the series per second. */
  #note(atMs, { acked, delivered }) {
    if (atMs - this.#second.atMs < 1000) return;
    const seconds = (atMs - this.#second.atMs) / 1000;
    this.#series.push({
      acked: Math.round((acked - this.#second.acked) / seconds),
      delivered: Math.round((delivered - this.#second.delivered) / seconds),
    });
    this.#second = { atMs, acked, delivered };
  }
}
