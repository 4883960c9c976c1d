/**
 * The dashboard with many queues and clients, and what its first load costs. Browser.
 *
 * What makes a page slow is the number of its elements; that is bounded whatever there is to show, and looked at here instead of
 * a clock. 1,000 clients, 10,000 with SLUICE_TEST_FULL=1.
 */
import { beforeAll, describe, expect, test } from 'vitest';

import { fullSize } from '../harness/environment.js';
import { RawClient } from '../harness/raw-client.js';
import { hasChromium } from './chromium.js';
import { dashboardSuite } from './suite.js';
import type { Visit } from './visit.js';

const queues = 1000;
const clients = fullSize ? 10_000 : 1000;
/** Rows in view, some around them, the header and two spacers; a window of 800 pixels shows about 20. */
const rowsMax = 110;
const elementsMax = 2500;
const firstLoadBytesMax = 200 * 1024;
/** With SLUICE_TEST_FULL=1 only, on a machine with nothing else to do. */
const taskMaxMs = 200;
const batch = 100;

const watchTasks = `window.longTasks = []; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
}).observe({ type: 'longtask', buffered: true });`;

/** The page holds few elements, whatever the broker holds, and kept the browser busy for short times only. */
async function expectLight(visit: Visit, what: string): Promise<void> {
  expect(await visit.page.locator('tbody tr').count(), what).toBeLessThanOrEqual(rowsMax);
  expect(await visit.evaluate<number>(`document.querySelectorAll('*').length`), what).toBeLessThanOrEqual(
    elementsMax,
  );
  const tasks = await visit.evaluate<number[]>('window.longTasks');
  if (fullSize) expect(Math.max(0, ...tasks), what).toBeLessThan(taskMaxMs);
}

/** Runs `action` for 0 to `count` - 1, some at a time. */
async function many(count: number, action: (index: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += batch) {
    const size = Math.min(batch, count - from);
    await Promise.all(Array.from({ length: size }, (_, index) => action(from + index)));
  }
}

describe.skipIf(!hasChromium)('many queues and clients', () => {
  const suite = dashboardSuite({
    EMQX_MQ__MAX_QUEUE_COUNT: '2000',
    SLUICE_DURABILITY: 'process',
    SLUICE_MAX_CONNECTIONS: '20000',
  });

  beforeAll(async () => {
    if (!hasChromium) return;
    const { broker, scope } = suite;
    await many(queues, (index) => broker.rest.createQueue(`size/${String(index).padStart(4, '0')}`));
    await many(clients, async (index) => {
      const client = await RawClient.connect(scope, broker, {
        clientId: `size-${String(index).padStart(5, '0')}`,
      });
      await client.subscribe(`size/of/${index}`);
    });
  }, 120_000);

  test('1,000 queues in one table keep the page small, also while it is scrolled and searched [broker]', async () => {
    const visit = await suite.open();
    await visit.page.addInitScript(watchTasks);
    await visit.go('queues?limit=1000');
    await visit.row('/size/0000').waitFor();
    await visit.settled();
    await expectLight(visit, 'the table');
    const box = visit.page.getByRole('group', { name: 'Queues' });
    for (const share of [0.25, 0.5, 0.75, 1]) {
      await box.evaluate((element, at) => element.scrollTo(0, element.scrollHeight * at), share);
      await visit.settled();
      await expectLight(visit, `scrolled to ${share}`);
    }
    await visit.row('/size/0999').waitFor();
    await visit.field('Search name or filter').fill('0500');
    await visit.row('/size/0500').waitFor();
    await visit.row('/size/0000').waitFor({ state: 'detached' });
    await expectLight(visit, 'after a search');
    visit.expectClean();
  });

  test('as many clients as there are keep the page small, and each is found [broker]', async () => {
    const visit = await suite.open();
    await visit.page.addInitScript(watchTasks);
    for (const page of ['clients', 'subscriptions']) {
      await visit.go(`${page}?limit=1000`);
      await visit.row('size-00000').waitFor();
      await visit.settled();
      await expectLight(visit, page);
    }
    const last = `size-${String(clients - 1).padStart(5, '0')}`;
    await visit.go(`clients?client=${last}`);
    await visit.row(last).waitFor();
    expect(await visit.page.getByText(`1–1 of 1`).count()).toBe(1);
    visit.expectClean();
  });

  test('the overview counts them all [broker]', async () => {
    const visit = await suite.open();
    await visit.go('overview');
    await visit.page.getByText(clients.toLocaleString('en'), { exact: true }).first().waitFor();
    await visit.sees(`${queues.toLocaleString('en')} queues`);
    visit.expectClean();
  });

  test('the first load is below 200 KB over the wire, and has nothing of the MQTT client in it [broker]', async () => {
    const visit = await suite.open();
    const urls: string[] = [];
    visit.page.on('request', (request) => urls.push(request.url()));
    await visit.go('');
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await visit.settled();
    const received = await visit.receivedBytes();
    expect(received).toBeGreaterThan(10_000);
    expect(received).toBeLessThan(firstLoadBytesMax);
    expect(urls.filter((url) => /mqtt/.test(url))).toEqual([]);
    visit.expectClean();
  });
});
