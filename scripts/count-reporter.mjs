/**
 * Vitest reporter that writes the totals of a run to the file named by SLUICE_TEST_COUNT_FILE.
 *
 * `scripts/test.mjs` prints them after vitest has ended, so that they are the last line whatever else is
 * printed. Does nothing when the variable is not set.
 */
import { writeFileSync } from 'node:fs';

export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const path = process.env.SLUICE_TEST_COUNT_FILE;
    if (path === undefined) return;
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test still pending at the end never got to run: its file broke down under it.
        count[state === 'pending' ? 'failed' : state] += 1;
      }
      const suites = [module, ...module.children.allSuites()];
      count.failed += suites.filter((suite) => suite.errors().length > 0).length;
    }
    writeFileSync(path, JSON.stringify(count));
  }
}
