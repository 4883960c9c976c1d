/**
 * The MQTT clients of this browser tab. In the browser.
 *
 * Always true: there is at least one and there are at most `clientsMax`; they outlive the page that shows them, so that a queue can be
 * looked at while its workers run here; when the person logs out, or somebody else logs in, all are closed and forgotten.
 */
import { effect, signal } from '@preact/signals';

import { session } from '../../base/session.js';
import { PageClient } from './page-client.js';

/** Clients at most; browsers allow some hundred WebSockets, and a page has only so much room. */
export const clientsMax = 8;

/** All of them, in the order of their tabs. */
export const clients = signal<readonly PageClient[]>([new PageClient()]);
/** The one that is shown. */
export const shown = signal<PageClient>(clients.value[0] as PageClient);

/** Adds one and shows it. */
export function addClient(): void {
  if (clients.value.length >= clientsMax) return;
  const client = new PageClient();
  clients.value = [...clients.value, client];
  shown.value = client;
}

/** Disconnects a client and forgets it; the last one is replaced by a fresh one. */
export function removeClient(client: PageClient): void {
  client.disconnect();
  client.repeater.stop();
  const rest = clients.value.filter((one) => one !== client);
  if (rest.length === 0) rest.push(new PageClient());
  clients.value = rest;
  if (!rest.includes(shown.value)) shown.value = rest[0] as PageClient;
}

let owner = session.value?.token;
effect(() => {
  const token = session.value?.token;
  if (token === owner) return;
  owner = token;
  for (const client of clients.peek()) removeClient(client);
});
