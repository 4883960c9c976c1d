/**
 * Publishes a message once or many times, and counts what becomes of it. In the browser.
 *
 * Always true: with QoS 1 and 2 at most `underwayMax` messages wait for their acknowledgement, so that a slow broker slows the sending
 * down and memory stays bounded; `stop` ends it after the message that is being sent. `{n}` in the payload is the number.
 */
import { signal } from '@preact/signals';

import { messageOf } from '../../base/api.js';
import { reasonText } from './reason.js';

/** What has become of the messages. */
export interface PublishProgress {
  readonly state: 'idle' | 'running';
  readonly sent: number;
  readonly done: number;
  readonly failed: number;
  /** Why the last one failed, or what the broker noted of the last one; empty otherwise. */
  readonly note: string;
}

/** Messages that wait for their acknowledgement at most. */
const underwayMax = 20;
const noteShownAgainMs = 100;

/** See the file header. One per client. */
export class Repeater {
  readonly progress = signal<PublishProgress>({ state: 'idle', sent: 0, done: 0, failed: 0, note: '' });
  #isWanted = false;
  #sent = 0;
  #done = 0;
  #failed = 0;
  #note = '';
  #timer = 0;

  /** Publishes `count` messages, `intervalMs` between their starts; `publish` gets the number of each, from 1. */
  async run(count: number, intervalMs: number, publish: (number: number) => Promise<number>): Promise<void> {
    if (this.progress.value.state === 'running') return;
    this.#isWanted = true;
    this.#sent = this.#done = this.#failed = 0;
    this.#note = '';
    this.#show('running');
    const underway = new Set<Promise<void>>();
    for (let number = 1; number <= count && this.#isWanted; number++) {
      if (number > 1 && intervalMs > 0) await pause(intervalMs);
      if (!this.#isWanted) break;
      this.#sent += 1;
      const one = publish(number).then(
        (code) => {
          this.#done += 1;
          if (code !== 0) this.#note = reasonText(code);
        },
        (error: unknown) => {
          this.#failed += 1;
          this.#note = messageOf(error);
          // What failed once fails again: somebody has to look at it.
          this.#isWanted = false;
        },
      );
      underway.add(one);
      void one.then(() => {
        underway.delete(one);
        this.#schedule();
      });
      if (underway.size >= underwayMax) await Promise.race(underway);
    }
    await Promise.all(underway);
    this.#isWanted = false;
    this.#show('idle');
  }

  /** Sends no more. */
  stop(): void {
    this.#isWanted = false;
  }

  #schedule(): void {
    if (this.#timer === 0) this.#timer = window.setTimeout(() => this.#show('running'), noteShownAgainMs);
  }

  #show(state: PublishProgress['state']): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.progress.value = {
      state,
      sent: this.#sent,
      done: this.#done,
      failed: this.#failed,
      note: this.#note,
    };
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
