/**
 * The browser of the tests: the Chromium that the system has. Runs in the test process.
 *
 * Always true: nothing is downloaded; a missing browser is a reason to skip, never a failure. Its profile is a temporary
 * folder that Playwright removes.
 */
import { existsSync } from 'node:fs';

import { chromium, type Browser } from 'playwright-core';

import type { Scope } from '../harness/scope.js';

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
].find((path) => existsSync(path));

/** Whether there is a browser to test with. */
export const hasChromium = executablePath !== undefined;

/** Starts a browser that ends with `scope`. */
export async function startChromium(scope: Scope): Promise<Browser> {
  if (executablePath === undefined) throw new Error('Chromium is not installed');
  const browser = await chromium.launch({
    executablePath,
    // Containers have no user namespaces for the sandbox, and little shared memory. The pages are our own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking'],
  });
  scope.add(() => browser.close());
  return browser;
}
