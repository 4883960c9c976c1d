/** Clients and subscriptions on their pages: search, inspect, subscribe for, disconnect. Browser. */
import { describe, expect, test } from 'vitest';

import { RawClient } from '../harness/raw-client.js';
import { testScope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';
import { hasChromium } from './chromium.js';
import { dashboardSuite } from './suite.js';

describe.skipIf(!hasChromium)('clients', () => {
  const suite = dashboardSuite();

  test('a client is found by a part of its id and by its state, and the search stands in the address [broker]', async () => {
    const scope = testScope();
    await RawClient.connect(scope, suite.broker, { clientId: 'find-me-1' });
    await RawClient.connect(scope, suite.broker, { clientId: 'other-1' });
    const visit = await suite.open();
    await visit.go('clients');
    await visit.row('find-me-1').waitFor();
    await visit.field('Client ID contains').fill('find');
    await visit.row('other-1').waitFor({ state: 'detached' });
    expect(await visit.row('find-me-1').count()).toBe(1);
    expect(visit.page.url()).toContain('client=find');
    await visit.page.reload();
    await visit.row('find-me-1').waitFor();
    expect(await visit.field('Client ID contains').inputValue()).toBe('find');
    await visit.field('State').selectOption('disconnected');
    await visit.sees('No client fits the search.');
    visit.expectClean();
  });

  test('the page of a client shows connection, session and subscriptions, and acts on them [broker]', async () => {
    const scope = testScope();
    const client = await RawClient.connect(scope, suite.broker, {
      clientId: 'device/7 %',
      protocolVersion: 5,
    });
    await client.subscribe('plain/#', 1);
    await client.subscribe('$q/nothing', 1);
    const visit = await suite.open();
    await visit.go('clients');
    await visit.page.getByRole('link', { name: 'device/7 %' }).click();
    await visit.page.getByRole('heading', { level: 1, name: 'Client device/7 %' }).waitFor();
    await visit.sees('MQTT 5.0');
    await visit.sees('waits for its queue to be created');
    await visit.button('Subscribe').click();
    const dialog = visit.page.getByRole('dialog');
    await dialog.getByLabel('Topic filter').fill('by/operator');
    await dialog.getByRole('button', { name: 'Subscribe' }).click();
    await visit.row('by/operator').waitFor();
    await visit.button('Unsubscribe plain/#').click();
    await visit.row('plain/#').waitFor({ state: 'detached' });
    await visit.button('Disconnect').click();
    await visit.expectAccessible('the question before a disconnect');
    await dialog.getByRole('button', { name: 'Disconnect' }).click();
    await client.expect('disconnect');
    await client.expectClosed();
    visit.allow(/404/);
    await visit.sees('Client ID not found');
    visit.expectClean();
  });

  test('a client is shown although every answer takes longer than the page waits between two [broker]', async () => {
    await RawClient.connect(testScope(), suite.broker, { clientId: 'far-away', protocolVersion: 5 });
    const visit = await suite.open();
    await visit.page.route('**/api/v5/clients/far-away', async (route) => {
      await sleep(3000);
      // The page may have given it up.
      await route.continue().catch(() => undefined);
    });
    await visit.go('clients/far-away');
    await visit.sees('MQTT 5.0');
    visit.expectClean();
  });

  test('a client whose id is a step of an address is listed, and nothing else is asked for in its place [broker]', async () => {
    await RawClient.connect(testScope(), suite.broker, { clientId: '..' });
    const visit = await suite.open();
    const paths: string[] = [];
    visit.page.on('request', (request) => paths.push(new URL(request.url()).pathname));
    await visit.go('clients');
    await visit.page.getByRole('link', { name: '..', exact: true }).click();
    await visit.page.getByRole('heading', { level: 1, name: 'Client ..' }).waitFor();
    await visit.sees('in a web address these names are steps');
    expect(await visit.button('Disconnect').isDisabled()).toBe(true);
    await visit.settled();
    expect(paths.filter((path) => path.endsWith('/v5/') || path.endsWith('/v5/subscriptions'))).toEqual([]);
    visit.expectClean();
  });

  test('subscriptions are found by the topic that they match, with their kind [broker]', async () => {
    const scope = testScope();
    await suite.broker.rest.createQueue('orders/new');
    const client = await RawClient.connect(scope, suite.broker, {
      clientId: 'subscriber',
      protocolVersion: 5,
    });
    for (const filter of ['orders/+', '$share/g/orders/#', '$q/orders/new', 'else/where'])
      await client.subscribe(filter);
    const visit = await suite.open();
    await visit.go('subscriptions');
    await visit.row('else/where').waitFor();
    await visit.field('Topic that is matched').fill('orders/new');
    await visit.row('else/where').waitFor({ state: 'detached' });
    await visit.row('$q/orders/new').filter({ hasText: 'queue' }).waitFor();
    await visit.row('$share/g/orders/#').filter({ hasText: 'shared' }).waitFor();
    await visit.row('orders/+').filter({ hasText: 'live' }).waitFor();
    await visit.row('orders/+').getByRole('link', { name: 'subscriber' }).click();
    await visit.page.getByRole('heading', { level: 1, name: 'Client subscriber' }).waitFor();
    visit.expectClean();
  });
});
