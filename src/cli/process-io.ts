/**
 * The world of a command that a person or a script has called: this process. Main thread.
 *
 * Always true: nothing of the terminal is touched before it is used, so `sluice start` does not pay for it. When whoever reads
 * the output has gone (`| head`), the process ends without a word, before the message of that write is acknowledged.
 */
import type { CliIo } from './io.js';
import { exitCode } from './io.js';

/** Made once, by the entry of the process. */
export function processIo(): CliIo {
  let isWatched = false;
  return {
    env: process.env,
    out: (text) => {
      if (!isWatched) {
        isWatched = true;
        process.stdout.on('error', () => process.exit(exitCode.failed));
      }
      process.stdout.write(text);
    },
    err: (text) => void process.stderr.write(text),
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
