/** Login, logout, lock-out, and what a viewer sees of the dashboard. Browser. */
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { RawClient } from '../harness/raw-client.js';
import { Rest } from '../harness/rest.js';
import { hasChromium } from './chromium.js';
import { adminPassword, dashboardSuite, type DashboardSuite } from './suite.js';
import type { Visit } from './visit.js';

const viewer = { username: 'looks', password: 'looks-password-1' } as const;

/** Address, title, and what is there when the page is complete, a row where it has rows. */
const pagesOfViewer = [
  ['overview', 'Overview', 'Shards'],
  ['queues', 'Queues', '/seen'],
  ['queue/%2Fseen', '/seen', 'regular'],
  ['clients', 'Clients', 'seen-client'],
  ['clients/seen-client', 'Client seen-client', 'seen/live'],
  ['subscriptions', 'Subscriptions', 'seen/live'],
  ['retained', 'Retained messages', 'seen'],
  ['mqtt-client', 'MQTT client', 'Only administrators may use the client.'],
  ['settings', 'Settings', 'SLUICE_DATA_DIR'],
  ['logs', 'Logs', 'Pause'],
  ['keys', 'API keys', 'seen-key'],
  ['users', 'Users', 'looks'],
] as const;

async function makeViewer(suite: DashboardSuite): Promise<void> {
  const { status } = await suite.broker.rest.post('/users', { ...viewer, role: 'viewer', description: '' });
  expect([200, 201, 400, 409]).toContain(status);
}

async function logIn(visit: Visit, username: string, password: string): Promise<void> {
  await visit.field('User name').fill(username);
  await visit.field('Password').fill(password);
  await visit.button('Log in').click();
}

describe.skipIf(!hasChromium)('login', () => {
  const suite = dashboardSuite();

  test('a person logs in, stays logged in after a reload, logs out, and is asked again [broker]', async () => {
    const visit = await suite.open({ account: null });
    visit.allow(/401/);
    await visit.page.goto(suite.origin);
    await visit.page.getByRole('heading', { level: 1, name: 'Sluice' }).waitFor();
    await visit.expectAccessible('login');
    await logIn(visit, 'admin', 'not-the-password');
    await visit.sees('The user name or the password is wrong.');
    expect(await visit.field('Password').inputValue()).toBe('');
    await logIn(visit, 'admin', adminPassword);
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await visit.page.reload();
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    const token = await visit.evaluate<string>(`JSON.parse(localStorage.getItem('sluice.session')).token`);
    await visit.button('Log out').click();
    await visit.button('Log in').waitFor();
    expect(await visit.evaluate<number>('localStorage.length')).toBe(0);
    await visit.page.reload();
    await visit.button('Log in').waitFor();
    const answer = await fetch(`${suite.origin}/api/v5/current_user`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(401);
    visit.expectClean();
  });

  test('a login that the broker ends leads to the login page, which says why, and back [broker]', async () => {
    const visit = await suite.open();
    // The broker cuts off the event stream of a login that has ended.
    visit.allow(/401/, /INCOMPLETE_CHUNKED/);
    await visit.go('clients');
    await visit.evaluate(
      `fetch('/api/v5/logout', { method: 'POST', headers: { authorization: 'Bearer ' + JSON.parse(localStorage.getItem('sluice.session')).token } })`,
    );
    suite.forgetSessions();
    await visit.field('Client ID contains').fill('x');
    await visit.sees('Your session has ended.');
    await logIn(visit, 'admin', adminPassword);
    await visit.page.getByRole('heading', { level: 1, name: 'Clients' }).waitFor();
    visit.expectClean();
  });

  test('nothing of the password is kept in the browser, and the token is in no address [broker]', async () => {
    const visit = await suite.open({ account: null });
    const urls: string[] = [];
    visit.page.on('request', (request) => urls.push(request.url()));
    await visit.page.goto(suite.origin);
    await logIn(visit, 'admin', adminPassword);
    await visit.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    const stored = await visit.evaluate<string>(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }])',
    );
    expect(stored).not.toContain(adminPassword);
    expect(await visit.page.context().cookies()).toEqual([]);
    const token = await visit.evaluate<string>(`JSON.parse(localStorage.getItem('sluice.session')).token`);
    expect(urls.filter((url) => url.includes(token))).toEqual([]);
    visit.expectClean();
  });

  test('a viewer sees every page and nothing on it that changes anything [broker]', async () => {
    await makeViewer(suite);
    await suite.broker.rest.createQueue('seen');
    await suite.broker.rest.post('/publish', { topic: 'seen', payload: 'x', retain: true });
    const client = await RawClient.connect(suite.scope, suite.broker, { clientId: 'seen-client' });
    await client.subscribe('seen/live');
    const key = { name: 'seen-key', desc: '', enable: true, role: 'viewer' };
    expect((await suite.broker.rest.post('/api_key', key)).status).toBe(200);
    const visit = await suite.open({ account: viewer });
    const words =
      /create|delete|edit|change(?! my password)|purge|pause|resume|move|clear|disconnect|subscribe|switch|publish|connect/i;
    for (const [page, title, content] of pagesOfViewer) {
      await visit.go(page);
      // The page before stays until the next one is loaded.
      await visit.page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
      await visit.page.locator('main').getByText(content).first().waitFor();
      await visit.settled();
      const found = await visit.page.locator('main').getByRole('button', { name: words }).allTextContents();
      // Holding the list of log entries still changes nothing of the broker.
      expect(
        found.filter((text) => text !== 'Pause'),
        page,
      ).toEqual([]);
    }
    visit.expectClean();
  });

  test('the door of the MQTT client stays shut for a viewer who goes round the page [broker]', async () => {
    await makeViewer(suite);
    const visit = await suite.open({ account: viewer });
    visit.allow(/WebSocket/);
    await visit.go('overview');
    const outcome = await visit.evaluate<string>(
      `new Promise((resolve) => {
        const token = JSON.parse(localStorage.getItem('sluice.session')).token;
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/mqtt', ['mqtt', 'sluice-token.' + token]);
        socket.onopen = () => resolve('open');
        socket.onerror = () => resolve('refused');
      })`,
    );
    expect(outcome).toBe('refused');
    visit.expectClean();
  });

  test('the door is shut for a login after its logout, and for another origin [broker]', async () => {
    const rest = new Rest(`${suite.origin}/api/v5`);
    const { body } = await rest.post('/login', { username: 'admin', password: adminPassword });
    const knock = (origin: string): Promise<number> =>
      new Promise((resolve) => {
        const url = `${suite.origin.replace('http', 'ws')}/mqtt`;
        const socket = new WebSocket(url, ['mqtt', `sluice-token.${String(body['token'])}`], { origin });
        socket.on('error', () => undefined);
        socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
        socket.on('open', () => {
          socket.terminate();
          resolve(101);
        });
      });
    expect(await knock(suite.origin)).toBe(101);
    expect(await knock('http://example.com')).toBe(403);
    const headers = { authorization: `Bearer ${String(body['token'])}` };
    expect((await fetch(`${suite.origin}/api/v5/logout`, { method: 'POST', headers })).status).toBe(204);
    expect(await knock(suite.origin)).toBe(401);
  });

  // The last one: no login of this address is looked at for a while.
  test('after too many wrong passwords the page says that the account is locked [broker]', async () => {
    const visit = await suite.open({ account: null });
    visit.allow(/401|429/);
    const rest = new Rest(`${suite.origin}/api/v5`);
    await visit.page.goto(suite.origin);
    for (let attempt = 0; attempt < 5; attempt++) {
      const { status } = await rest.post('/login', { username: 'admin', password: 'wrong' });
      expect(status).toBe(401);
    }
    await logIn(visit, 'admin', adminPassword);
    await visit.sees('Too many wrong passwords.');
    visit.expectClean();
  });
});
