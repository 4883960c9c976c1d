/**
 * The article's scenarios with nothing but the browser: queues are created, workers and producers run, on pages of the
 * dashboard alone. Browser.
 */
import { describe, expect, test } from 'vitest';

import { until } from '../harness/wait.js';
import { hasChromium } from './chromium.js';
import { createQueue } from './queue-form.js';
import { dashboardSuite } from './suite.js';
import type { Visit } from './visit.js';

const suite = dashboardSuite();

/** Connects the client that is shown. */
async function connect(
  visit: Visit,
  clientId: string,
  options: { version?: '5' | '4'; workMs?: number } = {},
) {
  await visit.field('Client ID').fill(clientId);
  if (options.version === '4') await visit.field('Protocol').selectOption('4');
  if (options.workMs !== undefined) await visit.field('Working time, ms').fill(String(options.workMs));
  await visit.button('Connect').click();
  await visit.button('Disconnect').waitFor();
}

/** Another client on the page. */
async function addClient(
  visit: Visit,
  clientId: string,
  options: { version?: '5' | '4'; workMs?: number } = {},
) {
  await visit.button('Add a client').click();
  await connect(visit, clientId, options);
}

async function subscribe(visit: Visit, filter: string): Promise<void> {
  await visit.field('Topic filter').fill(filter);
  await visit.button('Subscribe').click();
  await visit.button(`Unsubscribe ${filter}`).waitFor();
}

async function publish(
  visit: Visit,
  topic: string,
  payload: string,
  { count = 1, intervalMs = 0 }: { count?: number; intervalMs?: number } = {},
): Promise<void> {
  await visit.field('Topic').fill(topic);
  await visit.field('Payload').fill(payload);
  await visit.field('How many').fill(String(count));
  await visit.field('Pause between two, ms').fill(String(intervalMs));
  await visit.button('Publish').click();
  const number = count.toLocaleString('en');
  await visit.page.getByText(`${number} sent, ${number} done.`).waitFor();
}

async function showClient(visit: Visit, number: number): Promise<void> {
  await visit.page.getByRole('tab', { name: `Client ${number}` }).click();
}

/** How many messages the shown client has received. */
async function received(visit: Visit): Promise<number> {
  const text = await visit.page.getByText(/\d received/).textContent();
  return Number(/^([\d,]+) received/.exec(text ?? '')?.[1]?.replaceAll(',', ''));
}

/** Received by clients 1 and 2, once they have all that was sent. */
async function shares(visit: Visit, total: number): Promise<readonly [number, number]> {
  let last: readonly [number, number] = [0, 0];
  await until(
    async () => {
      await showClient(visit, 1);
      const first = await received(visit);
      await showClient(visit, 2);
      last = [first, await received(visit)];
      return last[0] + last[1] >= total;
    },
    () => `${total} messages, ${last[0]} and ${last[1]} came`,
  );
  return last;
}

/** Payloads of the shown client as they stand in its list, newest first. */
async function payloads(visit: Visit): Promise<string[]> {
  return visit.page.locator('.message-preview').allTextContents();
}

describe.skipIf(!hasChromium)('the scenarios of the article in the browser', () => {
  test('two workers of a random queue share 200 jobs about equally, every job once [queue-67]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'jobs67', strategy: 'random' });
    await visit.go('mqtt-client');
    await connect(visit, 'worker-1', { version: '4' });
    await subscribe(visit, '$q/jobs67');
    await addClient(visit, 'worker-2', { version: '4' });
    await subscribe(visit, '$q/jobs67');
    await addClient(visit, 'producer');
    await publish(visit, 'jobs67', 'job {n}', { count: 200 });
    const [first, second] = await shares(visit, 200);
    expect(first + second).toBe(200);
    // The standard deviation is 7: 40 is more than 5 of them.
    expect(Math.abs(first - 100)).toBeLessThanOrEqual(40);
    const all = [...(await payloads(visit))];
    await showClient(visit, 1);
    all.push(...(await payloads(visit)));
    expect(new Set(all).size).toBe(all.length);
    visit.expectClean();
  });

  test('beside a slow worker of a least_inflight queue the other takes the rest [queue-68]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'jobs68', strategy: 'least_inflight' });
    await visit.go('mqtt-client');
    await connect(visit, 'quick', { version: '4' });
    await subscribe(visit, '$q/jobs68');
    // However slow the machine is, it holds no more than its window of 10 while the others are published.
    await addClient(visit, 'slow', { version: '4', workMs: 2000 });
    await subscribe(visit, '$q/jobs68');
    await addClient(visit, 'producer');
    await publish(visit, 'jobs68', 'job {n}', { count: 60, intervalMs: 20 });
    const [quick, slow] = await shares(visit, 60);
    expect(quick + slow).toBe(60);
    expect(slow).toBeGreaterThan(0);
    expect(quick).toBeGreaterThan(slow);
    visit.expectClean();
  });

  test('a device gets exactly the newest command sent while it was away, then live ones [queue-69]', async () => {
    const visit = await suite.open();
    await createQueue(visit, {
      filter: 'commands/device1',
      keyExpression: 'message.headers.properties.User-Property.key',
    });
    await visit.go('mqtt-client');
    await connect(visit, 'application');
    await visit.button('Add a user property').click();
    await visit.field('Name of user property 1').fill('key');
    await visit.field('Value of user property 1').fill('set-color');
    await publish(visit, 'commands/device1', 'command {n}', { count: 10 });
    await addClient(visit, 'device', { version: '4' });
    await subscribe(visit, '$q/commands/device1');
    await visit.sees('1 received');
    expect(await payloads(visit)).toEqual(['command 10']);
    // One after the other: a newer command takes the place of one that is not acknowledged yet.
    for (let number = 1; number <= 5; number++) {
      await showClient(visit, 1);
      await publish(visit, 'commands/device1', `live ${number}`);
      await showClient(visit, 2);
      await visit.sees(`${number + 1} received`);
    }
    expect(await payloads(visit)).toEqual(['live 5', 'live 4', 'live 3', 'live 2', 'live 1', 'command 10']);
    visit.expectClean();
  });
});

describe.skipIf(!hasChromium)('the MQTT client page', () => {
  test('a message shows its topic, QoS, flags, properties, and its payload as text, JSON or hex [broker]', async () => {
    const visit = await suite.open();
    await visit.go('mqtt-client');
    await connect(visit, 'one');
    await subscribe(visit, 'a/#');
    await visit.button('Add a user property').click();
    await visit.field('Name of user property 1').fill('colour');
    await visit.field('Value of user property 1').fill('dark red');
    await publish(visit, 'a/b', '{"x":[1,2]}');
    await visit.sees('1 received');
    await visit.page.locator('.message').click();
    await visit.sees('User property colour');
    await visit.sees('dark red');
    const payload = visit.page.getByLabel('Payload', { exact: true }).and(visit.page.locator('pre'));
    expect(await payload.textContent()).toBe('{\n  "x": [\n    1,\n    2\n  ]\n}');
    await visit.button('Hex').click();
    expect(await payload.textContent()).toContain('7b 22 78 22 3a');
    await visit.button('Text').click();
    expect(await payload.textContent()).toBe('{"x":[1,2]}');
    visit.expectClean();
  });

  test('what the broker refuses is told with its reason, and what has no subscriber, too [broker]', async () => {
    const visit = await suite.open();
    await visit.go('mqtt-client');
    await connect(visit, 'two');
    await visit.field('Topic filter').fill('a/#/b');
    await visit.button('Subscribe').click();
    await visit.page.getByRole('alert').filter({ hasText: /\S/ }).first().waitFor();
    await visit.field('Topic').fill('nobody/listens');
    await visit.button('Publish').click();
    await visit.sees('1 sent, 1 done, Stored nowhere: nobody has subscribed (0x10).');
    await visit.field('Topic').fill('a/+');
    await visit.sees('A topic has no + and no #');
    expect(await visit.button('Publish').isDisabled()).toBe(true);
    visit.expectClean();
  });

  test('a client that the broker disconnects says why, and can connect again [broker]', async () => {
    const visit = await suite.open();
    await visit.go('mqtt-client');
    await connect(visit, 'three');
    expect((await suite.broker.rest.delete('/clients/three')).status).toBe(204);
    await visit.sees('Disconnected by an operator');
    await visit.button('Connect').click();
    await visit.button('Disconnect').waitFor();
    await visit.button('Disconnect').click();
    await visit.button('Connect').waitFor();
    visit.expectClean();
  });

  test('a connection that was given up before the broker answered stays given up [broker]', async () => {
    const visit = await suite.open();
    visit.allow(/WebSocket/);
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await visit.page.routeWebSocket(/\/mqtt$/, (socket) => {
      const broker = socket.connectToServer();
      broker.onMessage(async (message) => {
        await released;
        socket.send(message);
      });
    });
    await visit.go('mqtt-client');
    await visit.field('Client ID').fill('hasty');
    await visit.button('Connect').click();
    await until(
      async () => (await suite.broker.rest.get('/clients/hasty')).status === 200,
      'the connection at the broker',
    );
    await visit.button('Cancel').click();
    release();
    await until(
      async () => (await suite.broker.rest.get('/clients/hasty')).status === 404,
      'the end of the connection',
    );
    expect(await visit.button('Connect').isVisible()).toBe(true);
    expect(await visit.button('Disconnect').count()).toBe(0);
    await visit.button('Connect').click();
    await visit.button('Disconnect').waitFor();
    visit.expectClean();
  });

  test('clients go on while another page is shown, and end when the person logs out [broker]', async () => {
    const visit = await suite.open();
    await visit.go('mqtt-client');
    await connect(visit, 'four');
    await subscribe(visit, 'b');
    await visit.follow('Overview');
    expect((await suite.broker.rest.post('/publish', { topic: 'b', payload: 'hello' })).status).toBe(200);
    await visit.follow('MQTT client');
    await visit.sees('1 received');
    await visit.button('Log out').click();
    await visit.button('Log in').waitFor();
    await until(
      async () => (await suite.broker.rest.get('/clients/four')).status === 404,
      'the end of the connection',
    );
    suite.forgetSessions();
    visit.expectClean();
  });

  test('a flood of messages keeps a bounded number of rows, and the rest is counted [broker]', async () => {
    const visit = await suite.open();
    await visit.go('mqtt-client');
    await connect(visit, 'five');
    await subscribe(visit, 'flood');
    await publish(visit, 'flood', 'message {n}', { count: 1500 });
    await visit.sees('1,500 received');
    expect(await visit.page.locator('.message').count()).toBe(100);
    expect((await payloads(visit))[0]).toBe('message 1500');
    await visit.button('Clear').click();
    await visit.sees('Nothing has been received.');
    visit.expectClean();
  });

  test('a refused CONNECT is told with its reason, and so is what no client may send [broker]', async () => {
    const visit = await suite.open();
    const banned = { as: 'clientid', who: 'six', reason: 'test', by: 'test' };
    expect((await suite.broker.rest.post('/banned', banned)).status).toBe(200);
    await visit.go('mqtt-client');
    await visit.field('Client ID').fill('six');
    await visit.button('Connect').click();
    await visit.sees('Banned (0x8a)');
    await visit.field('Client ID').fill('');
    await visit.field('Protocol').selectOption('4');
    await visit.page.getByText('More options').click();
    await visit.field('Start with an empty session').uncheck();
    await visit.button('Connect').click();
    await visit.sees('Missing clientId');
    visit.expectClean();
  });
});
