/** The built dashboard as files: how much a browser loads first, and that nothing in it needs more than the strict policy allows. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const folder = fileURLToPath(new URL('../../dist/dashboard/', import.meta.url));
const assets = join(folder, 'assets');
const names = readdirSync(assets).filter((name) => /\.(js|css)$/.test(name));
const firstLoadBytesMax = 60 * 1024;

function textOf(name: string): string {
  return readFileSync(join(assets, name), 'utf8');
}

/** What a browser takes over the wire. */
function bytesOf(path: string): number {
  return statSync(existsSync(`${path}.br`) ? `${path}.br` : path).size;
}

/** A script and all scripts that it cannot run without. */
function closureOf(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, next = ''] of textOf(name).matchAll(/(?:from|import)\s*["'`]\.\/([\w.-]+\.js)["'`]/g)) {
    closureOf(next, found);
  }
  return found;
}

describe('the built dashboard', () => {
  const html = readFileSync(join(folder, 'index.html'), 'utf8');
  const entry = /src="\.\/assets\/(index-[\w-]+\.js)"/.exec(html)?.[1] ?? '';
  const overview = names.find((name) => name.startsWith('page-overview-')) ?? '';

  it('loads at most 60 KB until the overview is there: page, scripts and style sheets [broker]', () => {
    const scripts = closureOf(overview, closureOf(entry));
    const styles = names.filter((name) => name.endsWith('.css'));
    expect(scripts.size).toBeGreaterThan(3);
    const files = [...scripts, ...styles].map((name) => join(assets, name));
    const total = [join(folder, 'index.html'), ...files].reduce((sum, path) => sum + bytesOf(path), 0);
    expect(total).toBeLessThan(firstLoadBytesMax);
    // The largest part is not in it, unless the client page is opened.
    expect([...scripts].filter((name) => name.startsWith('mqtt'))).toEqual([]);
  });

  it('has every text file compressed for who can read that [broker]', () => {
    const large = names.filter((name) => statSync(join(assets, name)).size >= 1024);
    expect(large.length).toBeGreaterThan(5);
    expect(large.filter((name) => !existsSync(join(assets, `${name}.br`)))).toEqual([]);
    expect(large.filter((name) => !existsSync(join(assets, `${name}.gz`)))).toEqual([]);
  });

  it('has nothing inline and asks no other host for anything [broker]', () => {
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|https?:\/\//);
    const foreign = names
      .filter((name) => name.endsWith('.css'))
      .flatMap((name) => textOf(name).match(/url\([^)]*\)|@import[^;]*/g) ?? []);
    expect(foreign).toEqual([]);
    expect(names.filter((name) => /\bfrom\s*["'`]https?:|import\(["'`]https?:/.test(textOf(name)))).toEqual(
      [],
    );
  });
});
