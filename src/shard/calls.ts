/**
 * Control calls to one shard's worker that wait for their answer. Main thread; one per shard.
 *
 * Always true: a call is answered once: by the worker, or by the end of the worker. Nothing is sent again: whoever
 * called decides whether to.
 */
import type { MessagePort } from 'node:worker_threads';

import { OperationalError } from '../base/error.js';
import type { ControlAnswer, ControlRequest, ControlResult } from './protocol.js';

/** A control request without the number that its answer will carry. */
export type ControlCall = ControlRequest extends infer R
  ? R extends { id: number }
    ? Omit<R, 'id'>
    : never
  : never;

interface Call {
  resolve(result: ControlResult): void;
  reject(error: Error): void;
}

const logCodes = ['ERR_LOG_WRITE', 'ERR_LOG_READ', 'ERR_LOG_CORRUPT', 'ERR_LOG_SYNC', 'ERR_BACKUP'] as const;

/** See the file header. */
export class Calls {
  readonly #open = new Map<number, Call>();
  #count = 0;

  /** Sends a call; resolves with its result. Rejects with the code of the log, or ERR_SHARD_DOWN when the worker ends. */
  send(port: MessagePort, call: ControlCall): Promise<ControlResult> {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      port.postMessage({ ...call, id });
    });
  }

  answered(answer: ControlAnswer): void {
    const call = this.#open.get(answer.id);
    this.#open.delete(answer.id);
    if ('result' in answer) call?.resolve(answer.result);
    else call?.reject(callError(answer.error));
  }

  /** The worker has ended: as asked, when `error` is undefined and only the call that asked for it is open. */
  end(error: Error | undefined): void {
    for (const call of this.#open.values()) {
      if (error === undefined) call.resolve(undefined);
      else call.reject(error);
    }
    this.#open.clear();
  }
}

function callError({ code, message }: { code: string; message: string }): Error {
  const logCode = logCodes.find((known) => known === code);
  return logCode === undefined ? new Error(message) : new OperationalError(logCode, message);
}
