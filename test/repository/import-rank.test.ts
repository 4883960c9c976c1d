import { posix } from 'node:path';

import { describe, expect, test } from 'vitest';

import { filesOf } from './tree.js';

/** Folder of `src/` → rank; a file may import its own folder and lower ranks (docs/architecture.md). */
const ranks: Readonly<Record<string, number>> = {
  base: 0,
  config: 1,
  mqtt: 2,
  telemetry: 2,
  auth: 3,
  log: 3,
  cluster: 3,
  queue: 4,
  shard: 5,
  router: 6,
  session: 7,
  net: 8,
  broker: 9,
  http: 10,
  cli: 11,
  main: 11,
  // In the browser: it imports nobody's files and nobody imports its own, because no number is less or more than this.
  dashboard: Number.NaN,
};

/** First folder below `src/`; the process entry counts as a folder of its own. */
function folderOf(path: string): string {
  return path.split('/')[1]?.replace(/\.ts$/, '') ?? '';
}

/** Relative imports of all kinds: `from`, bare `import`, dynamic import, and files named for a worker. */
function importsOf(path: string, text: string): string[] {
  const code = text.replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
  const specifiers = code.matchAll(/(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*['"](\.[^'"]+)['"]/g);
  return [...specifiers].map(([, specifier = '']) => posix.join(posix.dirname(path), specifier));
}

function violationsOf(files: readonly { path: string; text: string }[]): string[] {
  const violations: string[] = [];
  for (const { path, text } of files) {
    const own = folderOf(path);
    for (const target of importsOf(path, text)) {
      if (!target.startsWith('src/')) continue;
      const other = folderOf(target.replace(/\.js$/, '.ts'));
      const allowed =
        other === own ||
        (ranks[other] ?? Infinity) < (ranks[own] ?? -1) ||
        (own === 'main' && other === 'cli');
      if (!allowed) violations.push(`${path} imports ${target}`);
    }
  }
  return violations;
}

describe('import ranks', () => {
  const files = filesOf('src', /\.tsx?$/);

  test('every folder of src has a rank [broker]', () => {
    expect(files.length).toBeGreaterThan(0);
    expect(
      [...new Set(files.map(({ path }) => folderOf(path)))].filter((folder) => !(folder in ranks)),
    ).toEqual([]);
  });

  test('a file imports its own folder and lower ranks only [broker]', () => {
    expect(violationsOf(files)).toEqual([]);
  });

  test('an import upward or sideways is found in every way of writing it [broker]', () => {
    const upward = [
      `import { a } from '../session/session.js';`,
      `import type { A } from '../auth/api-key.js';`,
      `export * from '../net/outbox.js';`,
      `import '../broker/broker.js';`,
      `const a = await import('../http/server.js');`,
      `new Worker(new URL('../cli/cli.js', import.meta.url));`,
      `import {\n  a,\n} from '../router/router.js';`,
    ];
    for (const text of upward) expect(violationsOf([{ path: 'src/log/x.ts', text }])).toHaveLength(1);
    const fine = [
      `import { a } from '../base/error.js';`,
      `import { a } from './keys.js';`,
      `// import '../http/x.js'`,
      `import fs from 'node:fs';`,
    ];
    for (const text of fine) expect(violationsOf([{ path: 'src/log/x.ts', text }])).toEqual([]);
  });
});
