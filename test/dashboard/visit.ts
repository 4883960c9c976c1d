/**
 * One browser window on the dashboard, and what every test asks of it. Runs in the test process.
 *
 * Always true: whatever the page writes to the console as a warning or an error, throws, or asks of another host is kept, and
 * `expectClean` fails on it unless the test said before that it will happen. Each window has storage of its own.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { BrowserContext, Locator, Page, Request } from 'playwright-core';
import { assert, expect } from 'vitest';

import { until } from '../harness/wait.js';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe reports, as far as it is looked at. */
interface AxeViolation {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** See the file header. Made by `DashboardSuite.open`. */
export class Visit {
  readonly page: Page;
  readonly #origin: string;
  readonly #faults: string[] = [];
  readonly #expected: RegExp[] = [];
  /** Requests that are under way, without the stream of events, which never ends. */
  readonly #pending = new Set<Request>();
  /** Bytes of all answers so far as they came over the wire. */
  readonly #sizes: Promise<number>[] = [];

  constructor(page: Page, origin: string) {
    this.page = page;
    this.#origin = origin;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.#faults.push(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('pageerror', (error) => this.#faults.push(`thrown: ${error.stack ?? error.message}`));
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (!request.url().includes('/events')) this.#pending.add(request);
      const isOwn = host === new URL(this.#origin).host || protocol === 'blob:';
      if (!isOwn) this.#faults.push(`a request to another place: ${request.url()}`);
    });
    page.on('websocket', (socket) => {
      if (new URL(socket.url()).host !== new URL(this.#origin).host) {
        this.#faults.push(`a WebSocket to another place: ${socket.url()}`);
      }
    });
    page.on('requestfailed', (request) => this.#pending.delete(request));
    page.on('requestfinished', (request) => {
      this.#pending.delete(request);
      this.#sizes.push(
        request.sizes().then(
          ({ responseBodySize, responseHeadersSize }) => responseBodySize + responseHeadersSize,
          () => 0,
        ),
      );
    });
  }

  /** A window in `context`. */
  static async open(context: BrowserContext, origin: string): Promise<Visit> {
    return new Visit(await context.newPage(), origin);
  }

  /** Faults that match are part of the test from here on: `/401/`. */
  allow(...patterns: readonly RegExp[]): void {
    this.#expected.push(...patterns);
  }

  /** Loads the dashboard at a page, such as `queues`; resolves when its heading is there. */
  async go(path: string): Promise<void> {
    await this.page.goto(`${this.#origin}/dashboard/#/${path}`);
    await this.page.locator('h1').first().waitFor();
  }

  /** Follows a link of the navigation. */
  async follow(name: string): Promise<void> {
    const { page } = this;
    const menu = page.getByRole('button', { name: 'Menu' });
    if (await menu.isVisible()) await menu.click();
    await page.getByRole('navigation').getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
  }

  /** The button of this name. */
  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name, exact: typeof name === 'string' });
  }

  /** The field with this label. */
  field(label: string | RegExp): Locator {
    return this.page.getByLabel(label, { exact: typeof label === 'string' });
  }

  /** The row of a table that contains `text`. */
  row(text: string | RegExp): Locator {
    return this.page.getByRole('row').filter({ hasText: text });
  }

  /** The page shows `text` somewhere. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
  }

  /** Everything that the page has asked for is there and drawn. */
  async settled(): Promise<void> {
    await until(() => this.#pending.size === 0, 'the answers to all requests');
    await this.page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))',
    );
    await until(() => this.#pending.size === 0, 'the answers to all requests');
  }

  /** Evaluates an expression in the page. */
  evaluate<T>(expression: string): Promise<T> {
    return this.page.evaluate<T>(expression);
  }

  /** Bytes of all answers so far, as they came over the wire, streams that are still open left out. */
  async receivedBytes(): Promise<number> {
    return (await Promise.all(this.#sizes)).reduce((sum, size) => sum + size, 0);
  }

  /** No fault since the window was opened. */
  expectClean(): void {
    const faults = this.#faults.filter((fault) => !this.#expected.some((pattern) => pattern.test(fault)));
    expect(faults).toEqual([]);
  }

  /** axe finds nothing on what is shown now; `rules` limits what it looks for. */
  async expectAccessible(what: string, rules?: readonly string[]): Promise<void> {
    await this.page.evaluate(`window.axe ?? (() => { ${axeSource} })()`);
    const options = { resultTypes: ['violations'], ...(rules === undefined ? {} : { runOnly: rules }) };
    const violations = await this.page.evaluate<readonly AxeViolation[]>(
      `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`,
    );
    const texts = violations.map(
      ({ id, impact, help, nodes }) =>
        `${what}: ${impact} ${id}: ${help}\n${nodes.map((node) => `  ${node.html}\n    ${node.failureSummary ?? ''}`).join('\n')}`,
    );
    expect(texts).toEqual([]);
  }

  /** Nothing sticks out to the right. */
  async expectNoSideScroll(what: string): Promise<void> {
    const [wide = 0, room = 0] = await this.page.evaluate<number[]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    assert.isAtMost(wide, room, `${what} is wider than the window`);
  }

  /** Presses Tab until `target` has the focus; fails when it comes round without. */
  async tabTo(target: Locator, stepsMax = 80): Promise<void> {
    for (let step = 0; step < stepsMax; step++) {
      await this.page.keyboard.press('Tab');
      if (await target.evaluate((element) => element.matches(':focus'))) return;
    }
    throw new Error(`${String(target)} cannot be reached by ${stepsMax} steps of the Tab key`);
  }

  /** Waits until the page's expression is true. */
  async waits(expression: string, what: string): Promise<void> {
    await until(() => this.page.evaluate<boolean>(expression), what);
  }
}
