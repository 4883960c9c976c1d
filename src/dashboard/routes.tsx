/**
 * The pages: one entry each, in the order of the navigation. In the browser.
 *
 * Always true: the first segment of the address picks the page, and what follows is given to it as `rest`; a page is loaded when
 * it is first opened, so that the first load does not grow with the number of pages. A page is a file
 * `pages/<name>/page.tsx` that exports one component, and one entry here.
 */
import type { ComponentType } from 'preact';

/** What a page is given. */
export interface PageProps {
  /** Decoded segments of the address after the page's own. */
  readonly rest: readonly string[];
}

/** A page. */
export interface RouteEntry {
  /** First segment of the address. */
  readonly name: string;
  readonly title: string;
  /** Heading in the navigation; without one the page is reached from others only. */
  readonly group?: 'Messages' | 'Clients' | 'Broker';
  readonly load: () => Promise<ComponentType<PageProps>>;
}

/** All pages; the first is where a person begins. */
export const routes: readonly RouteEntry[] = [
  {
    name: 'overview',
    title: 'Overview',
    group: 'Messages',
    load: async () => (await import('./pages/overview/page.js')).OverviewPage,
  },
  {
    name: 'queues',
    title: 'Queues',
    group: 'Messages',
    load: async () => (await import('./pages/queues/page.js')).QueuesPage,
  },
  {
    name: 'queue',
    title: 'Queue',
    load: async () => (await import('./pages/queue/page.js')).QueuePage,
  },
  {
    name: 'clients',
    title: 'Clients',
    group: 'Clients',
    load: async () => (await import('./pages/clients/page.js')).ClientsPage,
  },
  {
    name: 'subscriptions',
    title: 'Subscriptions',
    group: 'Clients',
    load: async () => (await import('./pages/subscriptions/page.js')).SubscriptionsPage,
  },
  {
    name: 'retained',
    title: 'Retained messages',
    group: 'Messages',
    load: async () => (await import('./pages/retained/page.js')).RetainedPage,
  },
  {
    name: 'mqtt-client',
    title: 'MQTT client',
    group: 'Clients',
    load: async () => (await import('./pages/mqtt-client/page.js')).MqttClientPage,
  },
  {
    name: 'settings',
    title: 'Settings',
    group: 'Broker',
    load: async () => (await import('./pages/settings/page.js')).SettingsPage,
  },
  {
    name: 'logs',
    title: 'Logs',
    group: 'Broker',
    load: async () => (await import('./pages/logs/page.js')).LogsPage,
  },
  {
    name: 'keys',
    title: 'API keys',
    group: 'Broker',
    load: async () => (await import('./pages/keys/page.js')).KeysPage,
  },
  {
    name: 'users',
    title: 'Users',
    group: 'Broker',
    load: async () => (await import('./pages/users/page.js')).UsersPage,
  },
];
