/**
 * The world of a command that a person or a script has called: this process. Main thread.
 *
 * Always true: nothing of the terminal is touched before it is used, so `sluice start` does not pay for it. Output that could
 * not be written ends the process at once with 1, before the message of that write is acknowledged, and with a message, unless
 * whoever reads it has gone (`| head`). Files are written in full before `out` returns.
 */
import { fstatSync, writeSync } from 'node:fs';

import type { CliIo } from './io.js';
import { exitCode } from './io.js';

const outHandle = 1;

/** What `processIo` makes. */
interface ProcessIo extends CliIo {
  /** Resolves when everything has been handed to the system. */
  readonly flush: () => Promise<void>;
}

/** Made once, by the entry of the process. */
export function processIo(): ProcessIo {
  let writeOut: ((text: string) => void) | undefined;
  let isErrWatched = false;
  /** Actions that wait for the system to take what was written before them. */
  let waiting = 0;
  const err = (text: string): void => {
    if (!isErrWatched) {
      isErrWatched = true;
      // There is nowhere left to say it.
      process.stderr.on('error', () => undefined);
    }
    process.stderr.write(text);
  };
  const fail = (error: NodeJS.ErrnoException): never => {
    if (error.code !== 'EPIPE') err(`sluice: standard output cannot be written: ${error.message}\n`);
    process.exit(exitCode.failed);
  };
  return {
    env: process.env,
    out: (text) => {
      writeOut ??= outWriter(fail);
      writeOut(text);
    },
    afterOut: (action) => {
      if (waiting === 0 && !(process.stdout.writableLength > 0)) {
        action();
        return;
      }
      waiting++;
      process.stdout.write('', (error) => {
        waiting--;
        if (error) fail(error);
        else action();
      });
    },
    err,
    flush: () =>
      new Promise((resolve) => {
        if (writeOut === undefined) resolve();
        else process.stdout.write('', (error) => (error ? fail(error) : resolve()));
      }),
    get outColumns() {
      return process.stdout.isTTY ? process.stdout.columns : undefined;
    },
    get errColumns() {
      return process.stderr.isTTY ? process.stderr.columns : undefined;
    },
    onInterrupt: (listener) => {
      const signals = ['SIGINT', 'SIGTERM'] as const;
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
  };
}

/** Writes to standard output, whatever it is. */
function outWriter(fail: (error: Error) => never): (text: string) => void {
  if (!isFile()) {
    process.stdout.on('error', fail);
    return (text) => void process.stdout.write(text);
  }
  return (text) => {
    const bytes = Buffer.from(text);
    try {
      // A disk that is nearly full takes a part; the stream of Node would not notice.
      for (let at = 0; at < bytes.length;) at += writeSync(outHandle, bytes, at);
    } catch (error) {
      fail(error as Error);
    }
  };
}

/** A file, or a device that is no terminal. */
function isFile(): boolean {
  if (process.stdout.isTTY) return false;
  const stats = fstatSync(outHandle);
  return stats.isFile() || stats.isCharacterDevice();
}
