#!/usr/bin/env node
/**
 * Entry of `npm run bench:micro -- [name …] [--scale N] [--json] [--write-docs]`: compiles the benches with the sources they measure and
 * runs those whose name contains one of the words. Bench process.
 *
 * Always true: exit code 0 means that every bench did its work, 1 that one failed, 2 that the command line was wrong. What
 * is measured is `src/` as it lies there, not `dist/`: the compiled copy is below .cache.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { documentedBenches, writeMicroFigures } from './document.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const output = join(root, '.cache/bench-micro');

/** @returns {{ words: string[], scale: number, json: boolean, writeDocs: boolean } | undefined} */
function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scale: { type: 'string', default: '1000' },
      json: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const scale = Number(values.scale);
  if (!Number.isInteger(scale) || scale < 1 || scale > 1000)
    throw new Error(`--scale takes 1 to 1000, not '${values.scale}'`);
  if (values.help) return undefined;
  const writeDocs = values['write-docs'];
  if (writeDocs && (positionals.length > 0 || scale !== 1000))
    throw new Error('--write-docs takes the benches that the document names, at full scale');
  return { words: positionals, scale, json: values.json, writeDocs };
}

function compile() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', join(root, 'bench/micro/tsconfig.json')], {
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('the micro benches do not compile');
}

function line({ name, value, unit, best }) {
  const number = (figure) => figure.toLocaleString('en', { maximumFractionDigits: figure < 100 ? 2 : 0 });
  const beside = best === undefined ? '' : `  best ${number(best)}`;
  return `  ${name.padEnd(72)} ${number(value).padStart(14)} ${unit}${beside}\n`;
}

async function run({ words, scale, json, writeDocs }) {
  compile();
  const { microBenches } = await import(pathToFileURL(join(output, 'bench/micro/index.js')).href);
  const isWanted = (name) =>
    writeDocs
      ? documentedBenches.includes(name)
      : words.length === 0 || words.some((word) => name.includes(word));
  const names = Object.keys(microBenches).filter(isWanted);
  if (names.length === 0)
    throw new Error(`no bench named so; there are ${Object.keys(microBenches).join(', ')}`);
  const results = [];
  for (const name of names) {
    if (!json) process.stdout.write(`${name}\n`);
    const bench = await microBenches[name]();
    const figures = await bench(scale);
    results.push({ name, figures });
    if (!json) for (const figure of figures) process.stdout.write(line(figure));
  }
  if (json) process.stdout.write(`${JSON.stringify({ suite: 'micro', scale, results })}\n`);
  if (writeDocs) process.stderr.write(`${await writeMicroFigures(results)}\n`);
}

let options;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
if (options !== undefined) {
  try {
    await run(options);
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  }
} else if (process.exitCode === undefined) {
  process.stdout.write(
    'Usage: npm run bench:micro -- [name …] [--scale 1…1000] [--json] [--write-docs]\n\nA name is part of a path below bench/micro. Scale 1 proves only that the benches work, 1000 (the default) measures. With --write-docs the benches that docs/performance.md names are run and written there.\n',
  );
}
