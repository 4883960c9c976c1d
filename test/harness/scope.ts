/**
 * Things a test started and must end: processes, sockets, folders. Runs in the test process.
 *
 * Always true: everything added is released once, in reverse order, when the test ends, whether it passed
 * or not; a release that fails does not keep the others from running.
 */
import { onTestFinished } from 'vitest';

/** Collects release functions. */
export class Scope {
  readonly #releases: (() => unknown)[] = [];

  /** Registers `release`, which may be asynchronous. */
  add(release: () => unknown): void {
    this.#releases.push(release);
  }

  /** Runs everything registered so far, newest first; throws the first failure at the end. */
  async release(): Promise<void> {
    const failures: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** A scope that ends with the running test. Call it inside a test. */
export function testScope(): Scope {
  const scope = new Scope();
  onTestFinished(() => scope.release());
  return scope;
}
