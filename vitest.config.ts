/**
 * Three tiers, told apart by suffix and run one after the other: `.test.ts` in-process and quick, `.e2e.ts`
 * a real broker process over real sockets, `.crash.ts` kill -9 and recover. The last two start
 * `dist/main.js`, which the pre-scripts of package.json keep up to date. Timeouts are generous because no
 * test may depend on the speed of the machine; two workers because two cores are the least we support, three where
 * tests mostly wait for processes.
 */
import { defineConfig } from 'vitest/config';

const exclude = ['node_modules/**', 'dist/**'];

export default defineConfig({
  test: {
    reporters: ['default', './scripts/count-reporter.mjs'],
    projects: [
      {
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/**/*.e2e.ts'],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'crash',
          include: ['test/**/*.crash.ts'],
          exclude,
          testTimeout: 300_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
