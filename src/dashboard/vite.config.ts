/**
 * How the dashboard is bundled: `src/dashboard` to `dist/dashboard`, each text file also as `.br` and `.gz`. Runs at build time only.
 *
 * Always true: nothing is inlined (no script, style or data URI), so that a Content-Security-Policy of `'self'` is enough;
 * names of assets carry a hash of their content, so that they can be cached for ever; all paths are relative, so that a
 * reverse proxy may serve the dashboard below any path. Gives up browsers that are older than two years.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { defineConfig } from 'vite';

const output = fileURLToPath(new URL('../../dist/dashboard', import.meta.url));
const target = ['chrome123', 'firefox124', 'safari17.5'];
/** Below this a compressed file saves no packet. */
const compressBytesMin = 1024;

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  clearScreen: false,
  logLevel: 'warn',
  build: {
    outDir: output,
    emptyOutDir: true,
    target,
    cssTarget: target,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { output: { chunkFileNames: ({ facadeModuleId }) => chunkName(facadeModuleId) } },
  },
  plugins: [
    { name: 'precompress', apply: 'build', writeBundle: ({ dir }) => compressFilesOf(dir ?? output) },
  ],
});

/** Pages are called after their folder, so that a request or a trace says which page it is about. */
function chunkName(module: string | null | undefined): string {
  const page = /pages\/([^/]+)\/page\.tsx$/.exec(module ?? '')?.[1];
  return `assets/${page === undefined ? '[name]' : `page-${page}`}-[hash].js`;
}

function compressFilesOf(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(js|css|html|svg)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    if (bytes.length < compressBytesMin) continue;
    const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
    writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
    writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
}
