/**
 * Makes a fresh clone runnable: installs dependencies, compiles `src/` to `dist/` and bundles the dashboard to
 * `dist/dashboard` when, and only when, that is needed. Called by the pre-scripts of package.json; uses nothing but Node itself.
 *
 * Always true: when it exits 0, node_modules matches package-lock.json and dist matches src, both by content.
 * A run with nothing to do reads the sources once and takes well under 300 ms.
 *
 * usage: node scripts/prepare.mjs [install | build | rebuild]
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const lockFile = join(root, 'package-lock.json');
const modules = join(root, 'node_modules');
const lockStamp = join(modules, '.sluice-lock');
const source = join(root, 'src');
const output = join(root, 'dist');
const sourceStamp = join(output, '.sluice-source');
const dashboardSource = join(source, 'dashboard');
const dashboardOutput = join(output, 'dashboard');
const dashboardStamp = join(output, '.sluice-dashboard');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Sluice needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

const mode = process.argv[2] ?? 'build';
if (!['install', 'build', 'rebuild'].includes(mode)) {
  console.error('usage: node scripts/prepare.mjs [install | build | rebuild]');
  process.exit(2);
}

install();
if (mode !== 'install') {
  build(mode === 'rebuild');
  buildDashboard(mode === 'rebuild');
}

function install() {
  const wanted = hash([readFileSync(lockFile)]);
  if (readIfThere(lockStamp) === wanted) return;
  if (!installedByHand()) {
    console.error('sluice: installing dependencies (npm ci)');
    // npm names its own program in npm_execpath; outside of npm the command of that name is used.
    const npm = process.env.npm_execpath;
    const args = ['ci', '--no-audit', '--no-fund'];
    if (npm?.endsWith('.js') === true) run(process.execPath, [npm, ...args]);
    else run('npm', args);
  }
  writeFileSync(lockStamp, wanted);
}

/** True when `npm install` or `npm ci` was run by hand and its result already is what the lock file says. */
function installedByHand() {
  const hidden = readIfThere(join(modules, '.package-lock.json'));
  if (hidden === undefined) return false;
  const installed = JSON.parse(hidden).packages;
  return Object.entries(JSON.parse(readFileSync(lockFile, 'utf8')).packages).every(
    ([path, entry]) =>
      path === '' ||
      (installed[path] === undefined ? entry.optional === true : installed[path].version === entry.version),
  );
}

function build(force) {
  const files = walk(source)
    .filter((path) => !isBelow(dashboardSource, path))
    .toSorted();
  const inputs = [join(root, 'tsconfig.json'), lockFile, ...files];
  const wanted = hash(inputs.flatMap((path) => [relative(root, path), readFileSync(path)]));
  if (!force && readIfThere(sourceStamp) === wanted) return;
  console.error('sluice: compiling src to dist (tsc)');
  rmSync(sourceStamp, { force: true });
  run(process.execPath, [join(modules, 'typescript', 'bin', 'tsc'), '-p', join(root, 'tsconfig.json')]);
  pruneOutput(files);
  mkdirSync(output, { recursive: true });
  writeFileSync(sourceStamp, wanted);
}

/** Bundles the browser's part; its tools write nothing outside of its folder. */
function buildDashboard(force) {
  const inputs = [lockFile, ...walk(dashboardSource).toSorted()];
  const wanted = hash(inputs.flatMap((path) => [relative(root, path), readFileSync(path)]));
  if (!force && readIfThere(dashboardStamp) === wanted) return;
  console.error('sluice: bundling src/dashboard to dist/dashboard (vite)');
  rmSync(dashboardStamp, { force: true });
  const config = join(dashboardSource, 'vite.config.ts');
  run(process.execPath, [join(modules, 'vite', 'bin', 'vite.js'), 'build', '--config', config]);
  writeFileSync(dashboardStamp, wanted);
}

/** Removes what was compiled from sources that are gone, so that nothing can import a ghost. */
function pruneOutput(files) {
  const kept = new Set(files.map((path) => relative(source, path).replace(/\.ts$/, '')));
  for (const path of walk(output)) {
    if (isBelow(dashboardOutput, path)) continue;
    const name = relative(output, path).replace(/\.js(\.map)?$/, '');
    if (!kept.has(name)) rmSync(path);
  }
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error !== undefined) console.error(`sluice: ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function isBelow(folder, path) {
  return path.startsWith(folder + sep);
}

function hash(parts) {
  const sum = createHash('sha256');
  for (const part of parts)
    sum.update(typeof part === 'string' ? part.replaceAll(sep, '/') : part).update('\0');
  return sum.digest('hex');
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
