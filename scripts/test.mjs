/**
 * Runs the tests and prints how many passed as the very last line: `N passed, N failed[, N skipped]`.
 *
 * Arguments go to vitest (`npm test -- test/mqtt`, `npm test -- --project quick`). With `--native-free` the
 * end-to-end and crash tiers run against a broker that may not load native add-ons, on the segment store.
 * A suite that fails to load and an error outside of any test each count as one failure.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const given = process.argv.slice(2);
const nativeFree = given.includes('--native-free');
const args = given.filter((argument) => argument !== '--native-free');
if (nativeFree) args.push('--project', 'e2e', '--project', 'crash');

const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
const countFile = join(folder, 'count.json');
const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    SLUICE_TEST_COUNT_FILE: countFile,
    ...(nativeFree ? { SLUICE_STORE: 'segment', SLUICE_TEST_NODE_FLAGS: '--no-addons' } : {}),
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));

child.on('close', (code) => {
  const { passed, failed, skipped } = readCount();
  rmSync(folder, { recursive: true, force: true });
  // vitest may fail for a reason that belongs to no test (a broken config, no test found).
  const failures = failed === 0 && code !== 0 ? 1 : failed;
  process.exitCode = failures === 0 ? 0 : 1;
  console.log(`${passed} passed, ${failures} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
});

function readCount() {
  try {
    return JSON.parse(readFileSync(countFile, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}
