/**
 * `sluice clients …`: who is connected, what one of them is subscribed to, and how to end its connection. REST.
 *
 * Always true: lists are asked for page by page and printed whole; `--limit` bounds what is asked for. A client id is one
 * percent-encoded path segment. Ending a connection tells an MQTT 5 client that it was an administrator.
 */
import { type Command, Option } from 'commander';

import type { ApiClient } from '../api-client.js';
import { type CommandContext, withExamples } from '../context.js';
import { type ApiOptions, wholeNumber, withApi, withYes } from '../option.js';

interface Client {
  readonly clientid: string;
  readonly username?: string | null;
  readonly ip_address?: string | null;
  readonly port?: number | null;
  readonly connected: boolean;
  readonly proto_ver?: number;
  readonly subscriptions_cnt?: number;
  readonly inflight_cnt?: number;
  readonly mqueue_len?: number;
  readonly connected_at?: string | number | null;
  readonly [field: string]: unknown;
}

interface Subscription {
  readonly clientid: string;
  readonly topic: string;
  readonly qos: number;
  readonly [field: string]: unknown;
}

interface ListOptions extends ApiOptions {
  readonly search?: string;
  readonly username?: string;
  readonly ip?: string;
  readonly state?: string;
  readonly limit: number;
}

const pageSize = 1000;
const listMax = 10_000_000;

/** Adds the commands. */
export function addClients(program: Command, context: CommandContext): void {
  const clients = program.command('clients').alias('client').description('MQTT clients and their sessions');
  addList(clients, context);
  addShow(clients, context);
  addSubscriptions(clients, context);
  addKick(clients, context);
}

function addList(clients: Command, context: CommandContext): void {
  const list = withApi(
    clients.command('list').alias('ls').description('clients, connected or with a session'),
  )
    .option('--search <text>', 'only client ids that contain it')
    .option('--username <name>', 'only this user')
    .option('--ip <address>', 'only this address')
    .addOption(new Option('--state <word>', 'only these').choices(['connected', 'disconnected']))
    .option('--limit <count>', 'most clients to show', wholeNumber(1, listMax), 1000)
    .action(async (options: ListOptions) => {
      const rows = await pages<Client>(await context.api(options), '/clients', options.limit, {
        like_clientid: options.search,
        username: options.username,
        ip_address: options.ip,
        conn_state: options.state,
      });
      context.output(options).list(
        rows,
        [
          { head: 'client id', cell: ({ clientid }) => clientid },
          { head: 'user', cell: ({ username }) => username ?? '-' },
          { head: 'address', cell: addressOf },
          { head: 'state', cell: ({ connected }) => (connected ? 'connected' : 'away') },
          { head: 'mqtt', cell: (client) => versionText(client.proto_ver) },
          { head: 'subscriptions', cell: (client) => client.subscriptions_cnt ?? '-', right: true },
          { head: 'in flight', cell: (client) => client.inflight_cnt ?? '-', right: true },
          { head: 'waiting', cell: (client) => client.mqueue_len ?? '-', right: true },
        ],
        'There are no clients.',
      );
    });
  withExamples(list, 'sluice clients list --state connected', 'sluice clients list --search sensor --json');
}

function addShow(clients: Command, context: CommandContext): void {
  const show = withApi(
    clients.command('show').description('everything about one client').argument('<clientid>', 'client id'),
  ).action(async (clientId: string, options: ApiOptions) => {
    const api = await context.api(options);
    const client = await api.get<Client>(pathOf(clientId), missing(clientId));
    context.output(options).record(
      client,
      Object.entries(client).map(([field, value]) => [
        field,
        typeof value === 'string' ? value : JSON.stringify(value ?? '-'),
      ]),
    );
  });
  withExamples(show, 'sluice clients show sensor-7');
}

function addSubscriptions(clients: Command, context: CommandContext): void {
  const command = withApi(
    clients
      .command('subscriptions')
      .description('what a client is subscribed to; without a client id, all subscriptions')
      .argument('[clientid]', 'client id'),
  )
    .option('--limit <count>', 'most subscriptions to show', wholeNumber(1, listMax), 1000)
    .action(async (clientId: string | undefined, options: ApiOptions & { limit: number }) => {
      const api = await context.api(options);
      const rows =
        clientId === undefined
          ? await pages<Subscription>(api, '/subscriptions', options.limit, {})
          : await api.get<Subscription[]>(`${pathOf(clientId)}/subscriptions`, missing(clientId));
      context.output(options).list(
        rows.slice(0, options.limit),
        [
          { head: 'client id', cell: ({ clientid }) => clientid },
          { head: 'topic filter', cell: ({ topic }) => topic },
          { head: 'qos', cell: ({ qos }) => qos, right: true },
        ],
        'There are no subscriptions.',
      );
    });
  withExamples(command, 'sluice clients subscriptions sensor-7');
}

function addKick(clients: Command, context: CommandContext): void {
  const kick = withYes(
    withApi(
      clients
        .command('kick')
        .description('end the connection of clients')
        .argument('<clientid...>', 'client ids'),
    ),
  ).action(async (clientIds: readonly string[], options: ApiOptions & { yes?: boolean }) => {
    await context.confirm(`Disconnect ${clientIds.join(', ')}?`, options.yes);
    const api = await context.api(options);
    for (const clientId of clientIds) await api.call('DELETE', pathOf(clientId), missing(clientId));
    context.output(options).done({ kicked: clientIds }, `disconnected ${clientIds.join(', ')}`);
  });
  withExamples(kick, 'sluice clients kick sensor-7 --yes');
}

/** Up to `limit` entries of a list that has numbered pages. */
async function pages<Row>(
  api: ApiClient,
  path: string,
  limit: number,
  query: Readonly<Record<string, string | number | undefined>>,
): Promise<Row[]> {
  const rows: Row[] = [];
  const size = Math.min(pageSize, limit);
  for (let page = 1; rows.length < limit; page += 1) {
    const { data } = await api.get<{ data: Row[] }>(path, { query: { ...query, page, limit: size } });
    rows.push(...data);
    if (data.length < size) break;
  }
  return rows.slice(0, limit);
}

function pathOf(clientId: string): string {
  return `/clients/${encodeURIComponent(clientId)}`;
}

function missing(clientId: string): { notFound: string; hint: string } {
  return {
    notFound: `there is no client ${JSON.stringify(clientId)}`,
    hint: '"sluice clients list" shows the clients that exist',
  };
}

function addressOf({ ip_address: address, port }: Client): string {
  if (address === undefined || address === null) return '-';
  return port === undefined || port === null ? address : `${address}:${port}`;
}

function versionText(version: number | undefined): string {
  return { 3: '3.1', 4: '3.1.1', 5: '5.0' }[version ?? 0] ?? '-';
}
