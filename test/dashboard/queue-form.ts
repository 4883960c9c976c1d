/**
 * Makes queues by the dashboard's own form. Runs in the test process.
 *
 * Always true: it does what a person would, field by field, and resolves when the table shows the queue.
 */
import type { Visit } from './visit.js';

/** What is filled in. */
export interface QueueWish {
  readonly filter: string;
  readonly strategy?: 'random' | 'round_robin' | 'least_inflight';
  /** Makes it a last-value queue. */
  readonly keyExpression?: string;
}

/** Opens the page of queues and creates one. */
export async function createQueue(
  visit: Visit,
  { filter, strategy, keyExpression }: QueueWish,
): Promise<void> {
  await visit.go('queues');
  await visit.button('Create queue').click();
  const dialog = visit.page.getByRole('dialog', { name: 'Create a queue' });
  await dialog.getByLabel('Topic filter', { exact: true }).fill(filter);
  if (keyExpression !== undefined) {
    await dialog.getByLabel('Keeps', { exact: true }).selectOption('lastvalue');
    await dialog.getByLabel('Key expression', { exact: true }).fill(keyExpression);
  }
  if (strategy !== undefined) {
    await dialog.getByLabel('Dispatch strategy', { exact: true }).selectOption(strategy);
  }
  await dialog.getByRole('button', { name: 'Create queue' }).click();
  await visit.row(`/${filter}`).first().waitFor();
}
