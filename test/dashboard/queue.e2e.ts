/** Queues and one queue, as a person works with them: create, look inside, pause, empty, move, delete. Browser. */
import { describe, expect, test } from 'vitest';

import { connectClient } from '../harness/mqtt-client.js';
import { Scope } from '../harness/scope.js';
import { hasChromium } from './chromium.js';
import { createQueue } from './queue-form.js';
import { dashboardSuite } from './suite.js';
import type { Visit } from './visit.js';

const suite = dashboardSuite();

/** What is shown under the field with this label. */
function faultOf(visit: Visit, label: string) {
  return visit.page
    .locator('dialog .field', { has: visit.page.getByLabel(label, { exact: true }) })
    .locator('.fault');
}

/** Publishes on the queue's own page. */
async function publish(visit: Visit, payload: string): Promise<void> {
  await visit.page.getByRole('tab', { name: 'Publish' }).click();
  await visit.field('Payload').fill(payload);
  await visit.button('Publish').click();
  await visit.sees(/^Published/);
}

async function openTab(visit: Visit, name: string): Promise<void> {
  await visit.page.getByRole('tab', { name }).click();
}

describe.runIf(hasChromium)('the form of a queue', () => {
  test('says what is wrong while it is typed, and takes the focus to it [broker]', async () => {
    const visit = await suite.open();
    await visit.go('queues');
    await visit.button('Create queue').click();
    const dialog = visit.page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Create queue' }).click();
    expect(await faultOf(visit, 'Topic filter').innerText()).toContain('Needed');
    await visit.waits(
      `document.activeElement?.getAttribute('aria-invalid') === 'true'`,
      'the focus on the fault',
    );

    await visit.field('Topic filter').fill('jobs/#/late');
    await faultOf(visit, 'Topic filter').getByText('#').waitFor();
    await visit.field('Name').fill('not a name');
    expect(await faultOf(visit, 'Name').innerText()).toContain('Letters, digits');
    await visit.field('Keep messages for').fill('soon');
    expect(await faultOf(visit, 'Keep messages for').innerText()).toContain('1h30m');

    await visit.field('Topic filter').fill('jobs/#');
    await visit.sees('Takes jobs itself and everything below it, however deep.');
    const result = dialog.getByRole('list', { name: 'Result' });
    await result.getByText('jobs/x/y').waitFor();
    await result.getByText('not stored').waitFor();
    const rows = await result.getByRole('listitem').allInnerTexts();
    expect(rows.filter((row) => row.startsWith('stored'))).toHaveLength(rows.length - 1);
    await visit.expectAccessible('the form with faults');
    visit.expectClean();
  });

  test('shows the key of a sample message, and where an expression is wrong [broker]', async () => {
    const visit = await suite.open();
    await visit.go('queues');
    await visit.button('Create queue').click();
    await visit.field('Topic filter').fill('commands/+');
    await visit.field('Keeps').selectOption('lastvalue');
    const result = visit.page.locator('.key-result');
    await result.getByText('device1').waitFor();
    await visit
      .field('Key expression')
      .fill('concat([message.topic, message.headers.properties.User-Property.key])');
    await visit.field('User property: value').fill('set-speed');
    await result.getByText('commands/aset-speed').waitFor();
    await visit.field('Key expression').fill('concat([message.topic,');
    await result.getByText('No key').waitFor();
    await visit.expectAccessible('the preview of a key');
    visit.expectClean();
  });

  test('stays open with the reason when the broker refuses the queue [broker]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'twice' });
    visit.allow(/400/);
    await visit.button('Create queue').click();
    const dialog = visit.page.getByRole('dialog');
    await visit.field('Topic filter').fill('twice');
    await dialog.getByRole('button', { name: 'Create queue' }).click();
    await dialog.getByRole('alert').getByText('exists').waitFor();
    await visit.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    visit.expectClean();
  });
});

describe.runIf(hasChromium)('a dialog whose action runs', () => {
  test('is closed by nothing, and says why the action failed when it did [broker]', async () => {
    const visit = await suite.open();
    let answer = (): void => undefined;
    const asked = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await visit.page.route('**/api/v5/queues', async (route) => {
      await asked;
      await route.fulfill({ status: 500, json: { code: 'INTERNAL_ERROR', message: 'The disk is full.' } });
    });
    visit.allow(/500/);
    await visit.go('queues');
    await visit.button('Create queue').click();
    const dialog = visit.page.getByRole('dialog');
    await visit.field('Topic filter').fill('late');
    await dialog.getByRole('button', { name: 'Create queue' }).click();
    await dialog.locator('[aria-busy="true"]').waitFor();
    expect(await dialog.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(true);
    expect(await dialog.getByRole('button', { name: 'Close' }).isDisabled()).toBe(true);
    // The browser itself closes a dialog at the second Escape in a row.
    for (let press = 0; press < 3; press++) await visit.page.keyboard.press('Escape');
    await visit.expectAccessible('a dialog whose action runs');
    answer();
    await dialog.getByRole('alert').getByText('The disk is full.').waitFor();
    await visit.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    visit.expectClean();
  });
});

describe.runIf(hasChromium)('the list of queues', () => {
  test('goes to its last page when the page that is shown has no rows any more [broker]', async () => {
    await suite.broker.rest.createQueue('paged/1');
    await suite.broker.rest.createQueue('paged/2');
    const visit = await suite.open();
    await visit.go('queues?search=paged&limit=1&page=2');
    await visit.row('/paged/2').waitFor();
    await visit.button('Delete /paged/2').click();
    await visit.field('Type /paged/2 to confirm').fill('/paged/2');
    await visit.button('Delete queue').click();
    await visit.row('/paged/1').waitFor();
    await visit.sees('1–1 of 1');
    expect(visit.page.url()).toContain('page=1');
    visit.expectClean();
  });
});

describe.runIf(hasChromium)('the page of a queue', () => {
  test('publishes, shows each message as text, JSON and hex, and empties the queue [broker]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'letters/#' });
    await visit.row('/letters/#').getByRole('link').click();
    await publish(visit, '{"to":"Ada"}');
    await publish(visit, 'plain words');
    await openTab(visit, 'Messages');
    await visit.row('plain words').getByRole('button').waitFor();
    await visit.row('{"to":"Ada"}').getByRole('button').click();
    const dialog = visit.page.getByRole('dialog');
    const payload = dialog.getByLabel('Payload', { exact: true });
    expect(await payload.innerText()).toBe('{\n  "to": "Ada"\n}');
    await dialog.getByRole('button', { name: 'Hex' }).click();
    expect(await payload.innerText()).toMatch(/^000000 {2}7b 22 74 6f 22/);
    await dialog.getByRole('button', { name: 'Text' }).click();
    expect(await payload.innerText()).toBe('{"to":"Ada"}');
    await dialog.getByText('Delivery attempts').waitFor();
    await visit.expectAccessible('a message of a queue');
    await visit.page.keyboard.press('Escape');

    await visit.button('Purge').click();
    await visit.button('Delete all messages').click();
    await visit.sees('2 messages deleted.');
    await visit.button('Read again').click();
    await visit.sees('The queue holds no messages.');
    visit.expectClean();
  });

  test('shows who consumes, with window and acknowledgements, and holds messages while it is paused [broker]', async () => {
    const visit = await suite.open();
    const scope = new Scope();
    try {
      await createQueue(visit, { filter: 'work' });
      await visit.row('/work').getByRole('link').click();
      await visit.button('Pause').click();
      await visit.page.locator('.badge', { hasText: 'paused' }).waitFor();
      const worker = await connectClient(scope, suite.broker, { clientId: 'worker-1' });
      await worker.client.subscribeAsync('$q/work', { qos: 1 });
      await publish(visit, 'held');
      await openTab(visit, 'Consumers');
      await visit.row('worker-1').getByText('0 of 10').waitFor();
      expect(worker.received).toEqual([]);

      await visit.button('Resume').click();
      await worker.waitFor(1);
      const cells = visit.row('worker-1').getByRole('cell');
      // Delivered, acknowledged, rejected.
      await visit.waits(
        `[...document.querySelectorAll('tbody td')].slice(-3).map((cell) => cell.innerText).join() === '1,1,0'`,
        'the acknowledgement in the table',
      );
      expect(await cells.count()).toBe(7);
      visit.expectClean();
    } finally {
      await scope.release();
    }
  });

  test('moves its messages to another queue, which is suggested by its name [broker]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'moved/here' });
    await createQueue(visit, { filter: 'moved/away' });
    await visit.row('/moved/away').getByRole('link').click();
    await publish(visit, 'a message that moves');
    await visit.button('Move messages').click();
    const dialog = visit.page.getByRole('dialog');
    const target = dialog.getByLabel('To queue', { exact: true });
    await target.fill('/moved/away');
    await dialog.getByText('The messages are there already.').waitFor();
    await target.fill('/moved/he');
    await dialog.locator('datalist option[value="/moved/here"]').waitFor({ state: 'attached' });
    await target.fill('/moved/here');
    await dialog.getByRole('button', { name: 'Move', exact: true }).click();
    await visit.sees('1 message moved to /moved/here.');
    await openTab(visit, 'Messages');
    await visit.sees('The queue holds no messages.');
    await visit.go(`queue/${encodeURIComponent('/moved/here')}?tab=messages`);
    await visit.row('a message that moves').getByRole('button').waitFor();
    visit.expectClean();
  });

  test('deletes the queue once its name was typed, and goes back to the others [broker]', async () => {
    const visit = await suite.open();
    await createQueue(visit, { filter: 'old' });
    await visit.row('/old').getByRole('link').click();
    await visit.button('Delete').click();
    const confirm = visit.button('Delete queue');
    expect(await confirm.isDisabled()).toBe(true);
    await visit.page.keyboard.type('/ol');
    expect(await confirm.isDisabled()).toBe(true);
    await visit.page.keyboard.type('d');
    await visit.page.keyboard.press('Enter');
    await visit.sees('Queue /old was deleted.');
    await visit.page.getByRole('heading', { level: 1, name: 'Queues' }).waitFor();
    await visit.waits(
      `!document.querySelector('table').innerText.includes('/old')`,
      'a table without the queue',
    );
    visit.expectClean();
  });
});

describe.runIf(hasChromium)('the connection to the broker', () => {
  test('is said to be lost while the broker is away, and found again with a new login [broker]', async () => {
    const visit = await suite.open();
    await visit.go('overview');
    const state = visit.page.locator('.connection');
    await state.getByText('Live').waitFor();
    visit.allow(/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|401/);
    await suite.broker.stop();
    await state.getByText('Connection lost').waitFor();
    await suite.broker.start();
    suite.forgetSessions();
    await visit.sees('Your session has ended. Log in again to go on.');
    visit.expectClean();
  });
});
