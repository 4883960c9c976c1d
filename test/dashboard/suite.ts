/**
 * A broker with its dashboard and a browser, shared by the tests of one file. Runs in the test process.
 *
 * Always true: broker and browser end with the file; each window ends with its test, and a test that passed without looking at
 * the faults of its windows fails when there were any. Signing in is done once by REST, so that a test of a page does not
 * test the login form again.
 */
import type { Browser } from 'playwright-core';
import { afterAll, assert, beforeAll, onTestFinished } from 'vitest';

import { startBroker, type Broker } from '../harness/broker.js';
import { Rest } from '../harness/rest.js';
import { Scope } from '../harness/scope.js';
import { hasChromium, startChromium } from './chromium.js';
import { Visit } from './visit.js';

/** The password of the account `admin`. */
export const adminPassword = 'test-password-1';

/** What a window may want to differ. */
export interface OpenOptions {
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  /** Whose window it is; nobody's when null. */
  readonly account?: { readonly username: string; readonly password: string } | null;
}

/** See the file header. Made by `dashboardSuite`. */
export class DashboardSuite {
  readonly scope = new Scope();
  readonly #env: Readonly<Record<string, string>>;
  #broker: Broker | undefined;
  #browser: Browser | undefined;
  readonly #sessions = new Map<string, Promise<string>>();

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  get broker(): Broker {
    assert(this.#broker !== undefined, 'the suite has started');
    return this.#broker;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.broker.httpPort}`;
  }

  async start(): Promise<void> {
    const env = {
      SLUICE_SHARDS: '1',
      SLUICE_DURABILITY: 'process',
      SLUICE_DASHBOARD_PASSWORD: adminPassword,
      ...this.#env,
    };
    [this.#broker, this.#browser] = await Promise.all([
      startBroker(this.scope, { env }),
      startChromium(this.scope),
    ]);
  }

  /** A window that ends with the running test. */
  async open(options: OpenOptions = {}): Promise<Visit> {
    const { scheme = 'light', width = 1280, height = 800 } = options;
    const { account = { username: 'admin', password: adminPassword } } = options;
    assert(this.#browser !== undefined, 'the suite has started');
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      reducedMotion: 'reduce',
    });
    onTestFinished(() => context.close());
    if (account !== null) {
      const stored = JSON.stringify(await this.session(account.username, account.password));
      await context.addInitScript(
        `if (!sessionStorage.getItem('seen')) { sessionStorage.setItem('seen', '1'); localStorage.setItem('sluice.session', ${stored}); }`,
      );
    }
    return Visit.open(context, this.origin);
  }

  /** A login by REST, as the dashboard keeps it; asked for once per account. */
  session(username: string, password: string): Promise<string> {
    const known = this.#sessions.get(username) ?? this.#login(username, password);
    this.#sessions.set(username, known);
    return known;
  }

  /** After a logout: the next window needs a login of its own. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  async #login(username: string, password: string): Promise<string> {
    const rest = new Rest(`${this.origin}/api/v5`);
    const { status, body } = await rest.post('/login', { username, password });
    assert.equal(status, 200, `login of ${username}: ${JSON.stringify(body)}`);
    return JSON.stringify({ token: body['token'], username, role: body['role'] });
  }
}

/** Registers start and end of a suite with the file that calls it; null without a browser. */
export function dashboardSuite(env: Readonly<Record<string, string>> = {}): DashboardSuite {
  const suite = new DashboardSuite(env);
  if (!hasChromium) return suite;
  beforeAll(() => suite.start());
  afterAll(() => suite.scope.release());
  return suite;
}
