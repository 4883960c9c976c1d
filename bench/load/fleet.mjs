/**
 * The load processes of a run as the bench's main process sees them: started, told what to do, heard.
 *
 * Always true: a failure of any client, or a process that ends early, rejects `firstFailure` and is kept in `failures`;
 * after `end` no load process is left.
 */
import { fork } from 'node:child_process';

const LOAD_ENTRY = new URL('./process.mjs', import.meta.url);

/** One load process. */
class LoadProcess {
  failures = [];
  progress = undefined;
  /** Every progress report: when, and the counts. */
  course = [];
  #child;
  #waiting = new Map();
  #rejectFailure;
  #ended = false;

  constructor(plan) {
    this.#child = fork(LOAD_ENTRY, {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    });
    this.firstFailure = new Promise((_, reject) => {
      this.#rejectFailure = reject;
    });
    this.firstFailure.catch(() => {});
    this.#child.on('message', (message) => this.#onMessage(message));
    this.#child.on('exit', (code, signal) => {
      if (!this.#ended) this.#fail(`a load process ended early (${signal ?? code})`);
    });
    this.send({ type: 'prepare', plan });
  }

  send(message) {
    if (this.#child.connected) this.#child.send(message);
  }

  /** Sends `message`, if any, and resolves with the next report of `type`. */
  ask(type, message) {
    const answer = new Promise((resolve) => this.#waiting.set(type, resolve));
    if (message !== undefined) this.send(message);
    return Promise.race([answer, this.firstFailure]);
  }

  end() {
    this.#ended = true;
    this.#child.kill();
  }

  #onMessage(message) {
    if (message.type === 'failure') this.#fail(message.message);
    else if (message.type === 'progress') {
      this.progress = message;
      this.course.push(message);
    } else {
      if (message.type === 'result') this.#ended = true;
      this.#waiting.get(message.type)?.(message);
    }
  }

  #fail(text) {
    // What a server says may hold bytes that no terminal should see.
    const clean = text.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
    this.failures.push(clean);
    this.#rejectFailure(new Error(clean));
  }
}

/** All load processes of a run. */
export class Fleet {
  #processes;

  constructor(plans) {
    this.#processes = plans.map((plan) => new LoadProcess(plan));
  }

  /** Resolves when every client is connected and subscribed. */
  ready() {
    return Promise.all(this.#processes.map((process) => process.ask('ready')));
  }

  /** Says `type` to all. */
  tell(type) {
    for (const process of this.#processes) process.send({ type });
  }

  /** Lets the late consumers in; resolves when they are subscribed. */
  join() {
    return Promise.all(this.#processes.map((process) => process.ask('joined', { type: 'join' })));
  }

  /** Ends the run; resolves to the result of each process. */
  results() {
    return Promise.all(this.#processes.map((process) => process.ask('result', { type: 'stop' })));
  }

  /** The newest counts over all, or undefined while one has not reported. */
  counts() {
    const seen = this.#processes.map((process) => process.progress);
    if (seen.includes(undefined)) return undefined;
    const total = (field) => seen.reduce((sum, item) => sum + item[field], 0);
    return {
      sent: total('sent'),
      acked: total('acked'),
      failed: total('failed'),
      delivered: total('delivered'),
      completed: total('completed'),
      published: seen.every((item) => item.published),
    };
  }

  /** `field` over all at `atMs`, between two reports in proportion. */
  countAt(field, atMs) {
    return this.#processes.reduce((sum, { course }) => sum + valueAt(course, field, atMs), 0);
  }

  get failures() {
    return this.#processes.flatMap((process) => process.failures);
  }

  end() {
    for (const process of this.#processes) process.end();
  }
}

/** Interpolates in `course`, which is sorted by time. */
export function valueAt(course, field, atMs) {
  const behind = course.findIndex((item) => item.atMs >= atMs);
  if (behind === 0) return course[0][field];
  if (behind < 0) return course.at(-1)?.[field] ?? 0;
  const [before, after] = [course[behind - 1], course[behind]];
  const share = (atMs - before.atMs) / (after.atMs - before.atMs);
  return before[field] + (after[field] - before[field]) * share;
}
