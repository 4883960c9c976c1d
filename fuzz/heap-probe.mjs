/**
 * Told to the broker under test by `--import`, with `--expose-gc`: answers each message of the fuzzer with the bytes that
 * are alive. Main thread of the broker; worker threads load it too and do nothing.
 *
 * Always true: the broker itself is the one that ships; nothing of it is changed. What is alive after a collection
 * grows only when something is kept, so that a leak of some bytes per connection shows within a minute.
 */
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

if (isMainThread && process.channel !== undefined) {
  process.on('message', () => {
    globalThis.gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    process.send({ liveBytes: heapUsed + arrayBuffers });
  });
  // A fuzzer that was killed leaves no broker behind.
  process.on('disconnect', () => process.exit(1));
  // The broker ends when it has nothing left to do.
  process.channel.unref();
}

// See uws-module.mjs.
if (isMainThread && process.env.FUZZ_UWS !== undefined) {
  const hook = `export const resolve = (name, context, next) =>
    next(name === 'uWebSockets.js' ? ${JSON.stringify(process.env.FUZZ_UWS)} : name, context);`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}
