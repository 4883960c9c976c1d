/**
 * Every page of the dashboard: free of faults, accessible in light and dark, usable by keyboard and on a phone. Browser.
 *
 * With SLUICE_TEST_SCREENSHOTS=1 the pictures of docs/images are taken on the way.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeAll, describe, expect, test } from 'vitest';

import type { Broker } from '../harness/broker.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';
import { hasChromium } from './chromium.js';
import { dashboardSuite } from './suite.js';
import type { Visit } from './visit.js';

/** Address, title, and what is there when the page is complete. */
const pages = [
  ['overview', 'Overview', 'Shards'],
  ['queues', 'Queues', 'orders/#'],
  ['queue/%2Forders%2F%23', '/orders/#', 'regular'],
  ['clients', 'Clients', 'printer-1'],
  ['clients/printer-1', 'Client printer-1', 'orders/live'],
  ['subscriptions', 'Subscriptions', 'orders/live'],
  ['retained', 'Retained messages', 'house/door'],
  ['mqtt-client', 'MQTT client', 'Publish'],
  ['settings', 'Settings', 'SLUICE_DATA_DIR'],
  ['logs', 'Logs', 'Pause'],
  ['keys', 'API keys', 'nightly-report'],
  ['users', 'Users', 'admin'],
] as const;

const pictures = fileURLToPath(new URL('../../docs/images', import.meta.url));
const takesPictures = process.env['SLUICE_TEST_SCREENSHOTS'] === '1';

describe.skipIf(!hasChromium)('every page', () => {
  const suite = dashboardSuite();

  beforeAll(async () => {
    if (!hasChromium) return;
    const { rest } = suite.broker;
    await rest.createQueue('orders/#', { dispatch_strategy: 'least_inflight' });
    await rest.createQueue('commands/+', { is_lastvalue: true, key_expression: 'message.topic' });
    await rest.createQueue('sensors/#', { dispatch_strategy: 'round_robin' });
    for (let n = 1; n <= 40; n++)
      await rest.post('/publish', { topic: 'orders/new', payload: `{"order":${n}}` });
    await rest.post('/publish', { topic: 'house/door', payload: '{"open":false}', qos: 1, retain: true });
    await rest.post('/api_key', {
      name: 'nightly-report',
      desc: 'Reads figures at night',
      enable: true,
      role: 'viewer',
    });
    const printer = await RawClient.connect(suite.scope, suite.broker, {
      clientId: 'printer-1',
      protocolVersion: 5,
    });
    await printer.subscribe('orders/live', 1);
    await printer.subscribe('$q/orders/#', 1);
    if (takesPictures) await mkdir(pictures, { recursive: true });
  });

  /** Opens a page and waits until it is complete. */
  async function complete(
    visit: Visit,
    [address, title, content]: readonly [string, string, string],
  ): Promise<void> {
    await visit.go(address);
    await visit.page.getByRole('heading', { level: 1, name: title }).waitFor();
    await visit.page.locator('main').getByText(content).first().waitFor();
    await visit.settled();
  }

  test.each(pages)(
    '#/%s has no fault, passes axe in light and dark, and fits a phone [broker]',
    async (...page) => {
      const [address, title] = page;
      const visit = await suite.open();
      // All settings at once would take axe seconds, and one is like the other.
      if (address === 'settings') await complete(visit, ['settings?search=data', title, page[2]]);
      else await complete(visit, page);
      await visit.expectAccessible(title);
      await visit.page.emulateMedia({ colorScheme: 'dark' });
      await visit.expectAccessible(`${title}, dark`, ['color-contrast']);
      await visit.page.setViewportSize({ width: 360, height: 740 });
      await visit.settled();
      await visit.expectNoSideScroll(title);
      visit.expectClean();
    },
  );

  test('the keyboard alone reaches the navigation, opens a page, and is put on its title [broker]', async () => {
    const visit = await suite.open();
    await visit.go('overview');
    await visit.settled();
    await visit.page.keyboard.press('Tab');
    const skip = visit.page.getByRole('link', { name: 'Skip to the page' });
    expect(await skip.evaluate((link) => link.matches(':focus'))).toBe(true);
    await visit.page.keyboard.press('Enter');
    expect(await visit.page.locator('main').evaluate((main) => main.matches(':focus'))).toBe(true);
    await visit.page.reload();
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await visit.tabTo(
      visit.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Users' }),
    );
    await visit.page.keyboard.press('Enter');
    const title = visit.page.getByRole('heading', { level: 1, name: 'Users' });
    await title.waitFor();
    await visit.waits(`document.activeElement === document.querySelector('h1')`, 'the focus on the title');
    expect(await visit.page.title()).toBe('Users · Sluice');
    visit.expectClean();
  });

  test.each([
    ['queues', 'Create queue'],
    ['keys', 'Create key'],
    ['users', 'Create user'],
    ['clients/printer-1', 'Disconnect'],
    ['queue/%2Forders%2F%23', 'Purge'],
  ])(
    'on #/%s the dialog of "%s" holds the focus, closes by Escape and gives the focus back [broker]',
    async (address, name) => {
      const visit = await suite.open();
      await visit.go(address);
      const opener = visit.page.getByRole('button', { name, exact: true });
      // Until its data is there a button can do nothing.
      await (await opener.elementHandle())?.waitForElementState('enabled');
      await opener.focus();
      await visit.page.keyboard.press('Enter');
      const dialog = visit.page.getByRole('dialog');
      await dialog.waitFor();
      await visit.expectAccessible(`the dialog of ${name}`);
      for (let step = 0; step < 30; step++) {
        await visit.page.keyboard.press('Tab');
        // Between the last and the first element the focus is the browser's own for one step.
        expect(
          await visit.evaluate<boolean>(
            `document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)`,
          ),
        ).toBe(true);
      }
      await visit.page.setViewportSize({ width: 360, height: 740 });
      await visit.expectNoSideScroll(`the dialog of ${name}`);
      await visit.page.setViewportSize({ width: 1280, height: 800 });
      await visit.page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      expect(await opener.evaluate((button) => button.matches(':focus'))).toBe(true);
      visit.expectClean();
    },
  );

  test('on a phone the navigation folds away and comes back by its button [broker]', async () => {
    const visit = await suite.open({ width: 360, height: 740 });
    await visit.go('overview');
    const link = visit.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Clients' });
    expect(await link.isVisible()).toBe(false);
    await visit.button('Menu').click();
    await visit.expectAccessible('the open menu of a phone');
    await visit.expectNoSideScroll('the open menu');
    await link.click();
    await visit.page.getByRole('heading', { level: 1, name: 'Clients' }).waitFor();
    expect(await link.isVisible()).toBe(false);
    visit.expectClean();
  });

  test('the theme that was chosen holds against the system and after a reload [broker]', async () => {
    const visit = await suite.open({ scheme: 'light' });
    await visit.go('overview');
    const ground = `getComputedStyle(document.body).backgroundColor`;
    const light = await visit.evaluate<string>(ground);
    await visit.field('Colours').selectOption('dark');
    const dark = await visit.evaluate<string>(ground);
    expect(dark).not.toBe(light);
    await visit.page.reload();
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    expect(await visit.evaluate<string>(ground)).toBe(dark);
    visit.expectClean();
  });

  test('an address that names no page says so [broker]', async () => {
    const visit = await suite.open();
    await visit.go('nowhere');
    await visit.page.getByRole('heading', { level: 1, name: 'No such page' }).waitFor();
    visit.expectClean();
  });

  test.each(takesPictures ? pages : [])(
    '#/%s is put in a picture for the documents [broker]',
    async (...page) => {
      const [address] = page;
      const visit = await suite.open();
      await keepBusy(suite.broker);
      await complete(visit, page);
      if (address === 'mqtt-client') await useClient(visit);
      // Charts need some readings.
      if (address === 'overview' || address.startsWith('queue')) await sleep(40_000);
      const name = address.includes('/') ? `${address.split('/')[0]}-one` : address;
      const schemes = address === 'overview' ? (['light', 'dark'] as const) : (['light'] as const);
      for (const colorScheme of schemes) {
        await visit.page.emulateMedia({ colorScheme });
        await visit.settled();
        await visit.page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`) });
      }
      visit.expectClean();
    },
  );
});

/** Publishes and consumes until the running test ends, so that there is something to see. */
async function keepBusy(broker: Broker): Promise<void> {
  const scope = testScope();
  const worker = await RawClient.connect(scope, broker, { clientId: 'worker-1', protocolVersion: 5 });
  await worker.subscribe('$q/orders/#', 1);
  void (async () => {
    for (;;) {
      const { messageId } = await worker.expect('publish', 600_000);
      await sleep(5);
      if (messageId !== undefined) worker.send({ cmd: 'puback', messageId });
    }
  })().catch(() => undefined);
  const producer = await RawClient.connect(scope, broker, { clientId: 'shop', protocolVersion: 5 });
  let number = 0;
  const timer = setInterval(() => {
    const size = 1 + Math.round(4 + 4 * Math.sin(number / 60));
    for (let i = 0; i < size; i++) {
      number++;
      const payload = `{"order":${number}}`;
      producer.send({ cmd: 'publish', topic: 'orders/new', payload, qos: 0, dup: false, retain: false });
    }
    const topic = `sensors/${number % 7}`;
    producer.send({ cmd: 'publish', topic, payload: '21.5', qos: 0, dup: false, retain: false });
  }, 60);
  scope.add(() => clearInterval(timer));
}

/** Connects the client of the page and lets it receive what it publishes. */
async function useClient(visit: Visit): Promise<void> {
  await visit.button('Connect').click();
  await visit.button('Disconnect').waitFor();
  await visit.field('Topic filter').fill('house/#');
  await visit.button('Subscribe').click();
  await visit.button('Unsubscribe house/#').waitFor();
  await visit.field('Topic').fill('house/lamp');
  await visit.field('Payload').fill('{"brightness": {n}0}');
  await visit.field('How many').fill('3');
  await visit.button('Publish').click();
  await visit.page.getByText('3 sent, 3 done').waitFor();
  await visit.page.locator('.message').first().click();
}
