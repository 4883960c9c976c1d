/**
 * paho-mqtt 2 for Python, in a virtual environment inside node_modules/.cache. Runs in the test process.
 *
 * Always true: it is installed at most once per machine, also when several test files ask at the same time;
 * where that is impossible the reason is known, and the tests that need it are skipped with it.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));
const HOME = path.join(CACHE, 'sluice-paho');
const REQUIREMENT = 'paho-mqtt>=2,<3';
const INSTALL_TIMEOUT_MS = 180_000;
const CHECK = 'import paho.mqtt, sys; sys.exit(0 if paho.mqtt.__version__.startswith("2.") else 1)';

/** A Python that can import paho-mqtt 2, or why there is none. */
export type Paho = { readonly python: string } | { readonly unavailable: string };

function pythonIn(directory: string): string {
  return process.platform === 'win32'
    ? path.join(directory, 'Scripts', 'python.exe')
    : path.join(directory, 'bin', 'python');
}

/** Finds or installs it. */
export async function providePaho(): Promise<Paho> {
  const cached = pythonIn(HOME);
  if (await works(cached)) return { python: cached };
  const base = (await works('python3', 'import venv')) ? 'python3' : 'python';
  if (await works(base)) return { python: base };
  const building = `${HOME}.${process.pid}`;
  try {
    await mkdir(CACHE, { recursive: true });
    await run(base, ['-m', 'venv', building], { timeout: INSTALL_TIMEOUT_MS });
    await run(
      pythonIn(building),
      ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', REQUIREMENT],
      {
        timeout: INSTALL_TIMEOUT_MS,
      },
    );
    // A virtual environment finds itself from where its python lies, so it may be moved into place;
    // whoever comes second finds the place taken and uses what is there.
    if (!existsSync(HOME)) await rename(building, HOME).catch(() => undefined);
    if (await works(cached)) return { python: cached };
    return { unavailable: 'the installed paho-mqtt cannot be imported' };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { unavailable: `paho-mqtt cannot be installed: ${text.split('\n')[0] ?? text}` };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function works(python: string, program = CHECK): Promise<boolean> {
  if (python.includes(path.sep) && !existsSync(python)) return false;
  return run(python, ['-c', program], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
