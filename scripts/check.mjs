/**
 * Everything that can be said about the tree without running it: lint, types, format, dead code, and the rules
 * of the repository itself (import ranks, headers, documents equal to the code).
 *
 * Runs all steps even when one fails, and names the failed ones at the end; exit code 1 if there are any.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');

/** Name, program under node_modules, arguments. @type {[string, string, string[]][]} */
const steps = [
  ['lint', 'oxlint/bin/oxlint', []],
  ['types', 'typescript/bin/tsc', ['-p', 'tsconfig.check.json']],
  ['types of the dashboard', 'typescript/bin/tsc', ['-p', 'src/dashboard/tsconfig.json']],
  ['format', 'oxfmt/bin/oxfmt', ['--check']],
  ['dead code', 'knip/bin/knip.js', []],
  ['repository rules', 'vitest/vitest.mjs', ['run', '--project', 'quick', 'test/repository']],
];

/** @type {string[]} */
const failed = [];
for (const [name, program, args] of steps) {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(process.execPath, [join(modules, program), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) failed.push(name);
}
console.log(failed.length === 0 ? '\ncheck: all good' : `\ncheck: failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
