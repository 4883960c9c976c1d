/**
 * Publishes the `$SYS/broker` topics. Main thread.
 *
 * Always true: every topic is retained in memory, so a new subscriber gets all of them at once; an update publishes only
 * what has changed. One timer, which keeps no process alive. Gives up: durability, which numbers of a run do not need.
 */
import type { Clock } from '../session/context.js';
import type { LocalPublisher } from '../session/local-publisher.js';
import { LoadAverage, loadSpansMin } from './sys-load.js';
import { sysMessage } from './sys-message.js';
import { sysBrokerPrefix, sysLoads, sysTopics, type SysReading } from './sys-topics.js';

/** What the topics are made from. */
export interface SysPublisherDeps {
  readonly publisher: LocalPublisher;
  readonly read: () => SysReading;
  readonly clock: Clock;
  readonly version: string;
  /** Seconds; 0 publishes nothing. */
  readonly intervalS: number;
}

/** See the file header. */
export class SysPublisher {
  readonly #deps: SysPublisherDeps;
  readonly #texts = new Map<string, string>();
  readonly #loads: LoadAverage[];
  #updatedAtMs: number;
  #maximum = { clients: 0, heapBytes: 0 };
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: SysPublisherDeps) {
    this.#deps = deps;
    const now = deps.read();
    this.#loads = sysLoads.map((load) => new LoadAverage(load.total(now)));
    this.#updatedAtMs = deps.clock.nowMs();
  }

  /** Publishes all topics now and what has changed from time to time. Nothing happens with an interval of 0. */
  start(): void {
    const { intervalS, version } = this.#deps;
    if (intervalS === 0) return;
    this.#say('version', `sluice version ${version}`);
    this.update();
    this.#timer = setInterval(() => this.update(), intervalS * 1000).unref();
  }

  /** Publishes what has changed since the last time. */
  update(): void {
    const { read, clock } = this.#deps;
    const now = read();
    const nowMs = clock.nowMs();
    const elapsedS = (nowMs - this.#updatedAtMs) / 1000;
    this.#updatedAtMs = nowMs;
    this.#maximum = {
      clients: Math.max(this.#maximum.clients, now.clientsConnected),
      heapBytes: Math.max(this.#maximum.heapBytes, now.heapBytes),
    };
    for (const topic of sysTopics) this.#say(topic.name, String(topic.value(now, this.#maximum)));
    for (const [i, load] of sysLoads.entries()) {
      const averages = this.#loads[i]!.update(load.total(now), elapsedS);
      for (const [j, span] of loadSpansMin.entries()) {
        this.#say(`load/${load.name}/${span}min`, averages[j]!.toFixed(2));
      }
    }
  }

  /** No update comes any more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #say(name: string, text: string): void {
    if (this.#texts.get(name) === text) return;
    if (this.#deps.publisher.publish(sysMessage(sysBrokerPrefix + name, text, true)))
      this.#texts.set(name, text);
  }
}
