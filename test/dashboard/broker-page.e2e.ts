/** Retained messages, settings, logs, API keys and users on their pages. Browser. */
import { describe, expect, test } from 'vitest';

import { RawClient } from '../harness/raw-client.js';
import { Rest } from '../harness/rest.js';
import { testScope } from '../harness/scope.js';
import { hasChromium } from './chromium.js';
import { adminPassword, dashboardSuite } from './suite.js';

describe.skipIf(!hasChromium)('pages of the broker', () => {
  const suite = dashboardSuite({ SLUICE_MAX_CONNECTIONS: '777', EMQX_MQ__MAX_QUEUE_COUNT: '1' });

  test('retained messages are searched, looked at, cleared one by one and all together [broker]', async () => {
    const { rest } = suite.broker;
    for (const topic of ['house/one', 'house/two', 'garden']) {
      const body = { topic, payload: `{"of":"${topic}"}`, qos: 1, retain: true };
      expect([200, 202]).toContain((await rest.post('/publish', body)).status);
    }
    const visit = await suite.open();
    await visit.go('retained');
    await visit.row('garden').waitFor();
    await visit.field('Topic filter, as sensors/#').fill('house/#');
    await visit.row('garden').waitFor({ state: 'detached' });
    await visit.button('house/one').click();
    await visit.sees('"of": "house/one"');
    await visit.expectAccessible('a retained message');
    await visit.page.keyboard.press('Escape');
    await visit.button('Clear house/one').click();
    await visit.page.getByRole('dialog').getByRole('button', { name: 'Clear', exact: true }).click();
    await visit.row('house/one').waitFor({ state: 'detached' });
    await visit.row('house/two').waitFor();
    await visit.button('Clear all').click();
    const dialog = visit.page.getByRole('dialog');
    expect(await dialog.getByRole('button', { name: 'Clear all' }).isDisabled()).toBe(true);
    await dialog.getByLabel('Type clear all to confirm').fill('clear all');
    await dialog.getByRole('button', { name: 'Clear all' }).click();
    await visit.sees('No retained message matches this filter.');
    const { body } = await rest.get('/mqtt/retainer/messages?topic=garden');
    expect(body['data']).toEqual([]);
    visit.expectClean();
  });

  test('settings show their value, where it came from and what it means, and no secret [broker]', async () => {
    const visit = await suite.open();
    await visit.go('settings');
    await visit.field('Search settings').fill('SLUICE_MAX_CONNECTIONS');
    const setting = visit.page
      .getByRole('listitem')
      .filter({ has: visit.page.getByText('SLUICE_MAX_CONNECTIONS', { exact: true }) });
    await setting.getByText('777', { exact: true }).waitFor();
    await setting.getByText('from the environment').waitFor();
    await visit.field('Search settings').fill('');
    await visit.sees('SLUICE_DATA_DIR');
    expect(await visit.page.locator('main').textContent()).not.toContain(adminPassword);
    await visit.field('Source').selectOption('environment');
    await visit.page.getByText('SLUICE_LOG_LEVEL', { exact: true }).waitFor({ state: 'detached' });
    visit.expectClean();
  });

  test('an API key shows its secret once, works, is switched off, and is deleted [broker]', async () => {
    const visit = await suite.open();
    await visit.go('keys');
    await visit.button('Create key').click();
    const dialog = visit.page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('1 no name');
    await visit.sees('A letter first');
    await dialog.getByLabel('Name').fill('for-test');
    await dialog.getByLabel('Role').selectOption('viewer');
    await visit.expectAccessible('the form of an API key');
    await dialog.getByRole('button', { name: 'Create' }).click();
    const key = await dialog.getByLabel('API key', { exact: true }).inputValue();
    const secret = await dialog.getByLabel('Secret', { exact: true }).inputValue();
    await visit.expectAccessible('the secret of an API key');
    await dialog.getByRole('button', { name: 'I have kept the secret' }).click();
    await visit.row('for-test').waitFor();
    expect(await visit.page.content()).not.toContain(secret);
    const rest = new Rest(`${suite.origin}/api/v5`).as(`${key}:${secret}`);
    expect((await rest.get('/current_user')).body).toMatchObject({ kind: 'api_key', role: 'viewer' });
    expect((await rest.post('/queues', { topic_filter: 'x', is_lastvalue: false })).status).toBe(403);
    await visit.button('Switch off for-test').click();
    await visit.button('Switch on for-test').waitFor();
    // Without a file of keys a request from this machine needs none.
    expect((await rest.get('/current_user')).body).toMatchObject({ kind: 'local' });
    await visit.button('Delete for-test').click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await visit.row('for-test').waitFor({ state: 'detached' });
    visit.expectClean();
  });

  test('a user is created, changed, logs in, changes the password, and is deleted [broker]', async () => {
    const visit = await suite.open();
    await visit.go('users');
    await visit.button('Create user').click();
    const dialog = visit.page.getByRole('dialog');
    await dialog.getByLabel('User name').fill('eve');
    await dialog.getByLabel('Password').fill('short');
    await visit.sees('At least 8 characters.');
    expect(await dialog.getByRole('button', { name: 'Create' }).isDisabled()).toBe(true);
    await dialog.getByLabel('Password').fill('eves-password-1');
    await visit.expectAccessible('the form of a user');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await visit.row('eve').filter({ hasText: 'Viewer' }).waitFor();
    await visit.button('Edit eve').click();
    await dialog.getByLabel('Role').selectOption('administrator');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await visit.row('eve').filter({ hasText: 'Administrator' }).waitFor();

    const own = await suite.open({ account: { username: 'eve', password: 'eves-password-1' } });
    // The broker cuts off the event stream of a login that has ended.
    own.allow(/INCOMPLETE_CHUNKED/);
    await own.go('users');
    await own.button('Change my password').click();
    const form = own.page.getByRole('dialog');
    await form.getByLabel('Current password').fill('eves-password-1');
    await form.getByLabel('New password', { exact: true }).fill('eves-password-2');
    await form.getByLabel('New password again').fill('eves-password-2');
    await form.getByRole('button', { name: 'Change' }).click();
    await own.sees('Your password is changed.');
    own.expectClean();

    await visit.button('Delete eve').click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await visit.row('eve').waitFor({ state: 'detached' });
    expect(await visit.button('Delete admin').count()).toBe(0);
    visit.expectClean();
  });

  test('a warning stands in the log at once, with its details, and can be searched for [broker]', async () => {
    const visit = await suite.open();
    await visit.go('logs');
    await visit.settled();
    // Nothing may be made of the subscription to a queue that is not there: one queue more than the limit.
    const { rest } = suite.broker;
    await rest.createQueue('the/only/one');
    expect((await rest.put('/message_queues/config', { auto_create: { regular: {} } })).status).toBe(204);
    const client = await RawClient.connect(testScope(), suite.broker, { clientId: 'too-many' });
    await client.subscribe('$queue/one-too-many/over/the/limit', 1);
    const entry = visit.page.locator('.log > li').filter({ hasText: 'a queue could not be auto-created' });
    await entry.waitFor();
    await entry.getByText('Details').click();
    await entry.locator('pre').getByText('"queue": "one-too-many"').waitFor();
    await visit.field('Search the log').fill('there is no such entry');
    await visit.sees('No entry fits the search.');
    await visit.field('Search the log').fill('ONE-TOO-MANY');
    await entry.waitFor();
    expect(await entry.count()).toBe(1);
    visit.expectClean();
  });

  test('what the log got while there was no stream of events is read once there is one [broker]', async () => {
    const visit = await suite.open();
    visit.allow(/ERR_FAILED/);
    const missed = { time_ms: 1, level: 'warn', module: 'test', message: 'written in the gap', fields: {} };
    let hasStream = false;
    await visit.page.route('**/api/v5/events**', (route) => (hasStream ? route.continue() : route.abort()));
    await visit.page.route('**/api/v5/logs**', (route) =>
      route.fulfill({ json: { data: hasStream ? [missed] : [] } }),
    );
    await visit.go('logs');
    await visit.sees('No warning and no error so far.');
    hasStream = true;
    await visit.page.locator('.log > li').filter({ hasText: 'written in the gap' }).waitFor();
    visit.expectClean();
  });
});
