/**
 * Clients: all of them with search and paging, or one of them. In the browser.
 *
 * Always true: what is searched for and the page stand in the address; the broker searches, so that ten thousand clients cost the
 * browser one page. `#/clients/<client id>` is the page of one.
 */
import { count, dateTime } from '../../base/format.js';
import { href, setQuery } from '../../base/router.js';
import { useSearch } from '../../base/use-search.js';
import { Badge } from '../../components/badge.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import { Pager } from '../../components/pager.js';
import { type Column, Table } from '../../components/table.js';
import type { PageProps } from '../../routes.js';
import { ClientPage } from './client.js';
import { type Client, protocolName } from './types.js';

const refreshMs = 5000;
/** Parameters of the API and their names in the address. */
const names = {
  like_clientid: 'client',
  like_username: 'user',
  ip_address: 'address',
  conn_state: 'state',
} as const;
const states = [
  { value: '', label: 'All' },
  { value: 'connected', label: 'Connected' },
  { value: 'disconnected', label: 'Away' },
] as const;

const columns: readonly Column<Client>[] = [
  {
    key: 'clientid',
    title: 'Client ID',
    render: ({ clientid }) => (
      <a href={href(['clients', clientid])}>{clientid === '' ? '(empty)' : clientid}</a>
    ),
  },
  {
    key: 'state',
    title: 'State',
    widthRem: 7,
    render: ({ connected }) => (connected ? <Badge tone="good">connected</Badge> : <Badge>away</Badge>),
  },
  { key: 'username', title: 'User name', priority: 2, render: ({ username }) => username ?? '' },
  {
    key: 'address',
    title: 'Address',
    priority: 2,
    render: ({ ip_address: address = '', port }) => (port === undefined ? address : `${address}:${port}`),
  },
  { key: 'protocol', title: 'Protocol', priority: 3, widthRem: 7, render: protocolName },
  {
    key: 'subscriptions',
    title: 'Subscriptions',
    align: 'end',
    priority: 3,
    widthRem: 8.5,
    render: (client) => count(client.subscriptions_cnt),
  },
  {
    key: 'inflight',
    title: 'In flight',
    align: 'end',
    priority: 3,
    widthRem: 6,
    render: (client) => count(client.inflight_cnt),
  },
  {
    key: 'waiting',
    title: 'Waiting',
    align: 'end',
    priority: 2,
    widthRem: 6,
    render: (client) => count(client.mqueue_len),
  },
  {
    key: 'since',
    title: 'Connected since',
    priority: 3,
    widthRem: 13,
    render: ({ connected, connected_at: at }) =>
      connected && at !== undefined ? dateTime(Date.parse(at)) : '',
  },
];

/** See the file header. */
export function ClientsPage({ rest: [clientId] }: PageProps) {
  return clientId === undefined ? <ClientList /> : <ClientPage clientId={clientId} />;
}

function ClientList() {
  const { data, error, reload, search, isSearch, page, limit, change } = useSearch<
    Client,
    keyof typeof names
  >('/clients', names, refreshMs);
  return (
    <Page title="Clients" fault={error} onRetry={reload}>
      <div class="toolbar">
        <SearchBox
          label="Client ID contains"
          value={search.like_clientid}
          onInput={(client) => change({ client })}
        />
        <SearchBox
          label="User name contains"
          value={search.like_username}
          onInput={(user) => change({ user })}
        />
        <SearchBox label="IP address" value={search.ip_address} onInput={(address) => change({ address })} />
        <select
          aria-label="State"
          value={search.conn_state}
          onChange={(event) => change({ state: event.currentTarget.value })}
        >
          {states.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <Table
        caption="Clients"
        columns={columns}
        rows={data?.data ?? []}
        rowKey={({ clientid }) => clientid}
        empty={
          data === undefined || data.meta.count > 0 ? undefined : isSearch ? (
            <EmptyState title="No client fits the search." />
          ) : (
            <EmptyState title="No client is connected.">
              <p>
                The <a href={href(['mqtt-client'])}>MQTT client</a> of this dashboard can be the first.
              </p>
            </EmptyState>
          )
        }
      />
      {data === undefined ? null : (
        <Pager
          page={page}
          limit={limit}
          total={data.meta.count}
          onPage={(next) => setQuery({ page: String(next) })}
          onLimit={(next) => change({ limit: String(next) })}
        />
      )}
    </Page>
  );
}
