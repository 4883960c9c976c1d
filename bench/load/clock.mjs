/**
 * One clock for all processes of a run: the machine's monotonic clock in milliseconds, with fractions.
 *
 * Always true: two processes on the same machine read the same time, because `process.hrtime` counts from one origin for
 * all of them and never jumps. What it gives up: times of two machines cannot be compared.
 */
const [seconds, nanoseconds] = process.hrtime();
const offsetMs = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** Milliseconds on the machine's monotonic clock. */
export function nowMs() {
  return offsetMs + performance.now();
}
