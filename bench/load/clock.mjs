/**
 * One clock for all threads and processes of a run: the machine's monotonic clock in milliseconds, with fractions.
 *
 * Always true: two processes on the same machine read the same time to a few microseconds, because `process.hrtime` counts
 * from one origin for all of them and never jumps. What it gives up: times of two machines cannot be compared.
 */
const LOOKS = 200;

/** Looks at both clocks many times: one look that is interrupted in between would be off by as much, for the whole run. */
function offsetOfClocks() {
  let offsetMs = 0;
  let narrowestMs = Infinity;
  for (let look = 0; look < LOOKS; look += 1) {
    const beforeMs = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const afterMs = performance.now();
    if (afterMs - beforeMs >= narrowestMs) continue;
    narrowestMs = afterMs - beforeMs;
    offsetMs = seconds * 1000 + nanoseconds / 1e6 - (beforeMs + afterMs) / 2;
  }
  return offsetMs;
}

const offsetMs = offsetOfClocks();

/** Milliseconds on the machine's monotonic clock. */
export function nowMs() {
  return offsetMs + performance.now();
}
