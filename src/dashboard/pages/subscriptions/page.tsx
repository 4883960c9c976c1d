/**
 * Subscriptions of all clients, with search and paging. In the browser.
 *
 * Always true: what is searched for and the page stand in the address; the broker searches. A topic without wildcards finds
 * everybody who would get a message of that topic.
 */
import { href, setQuery } from '../../base/router.js';
import { useSearch } from '../../base/use-search.js';
import { Badge } from '../../components/badge.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import { Pager } from '../../components/pager.js';
import { type Column, Table } from '../../components/table.js';
import type { Subscription } from '../clients/types.js';

const refreshMs = 5000;
/** Parameters of the API and their names in the address. */
const names = { match_topic: 'topic', clientid: 'client', share_group: 'group', qos: 'qos' } as const;

const columns: readonly Column<Subscription>[] = [
  { key: 'topic', title: 'Topic filter', render: ({ topic }) => <code title={topic}>{topic}</code> },
  {
    key: 'clientid',
    title: 'Client ID',
    render: ({ clientid }) => (
      <a href={href(['clients', clientid])}>{clientid === '' ? '(empty)' : clientid}</a>
    ),
  },
  { key: 'qos', title: 'QoS', align: 'end', widthRem: 4.5, render: ({ qos }) => qos },
  { key: 'kind', title: 'Kind', priority: 2, widthRem: 11, render: kindOf },
];

/** See the file header. */
export function SubscriptionsPage() {
  const { data, error, reload, search, isSearch, page, limit, change } = useSearch<
    Subscription,
    keyof typeof names
  >('/subscriptions', names, refreshMs);
  return (
    <Page title="Subscriptions" fault={error} onRetry={reload}>
      <div class="toolbar">
        <SearchBox
          label="Topic that is matched"
          value={search.match_topic}
          onInput={(topic) => change({ topic })}
        />
        <SearchBox label="Client ID" value={search.clientid} onInput={(client) => change({ client })} />
        <SearchBox label="Share group" value={search.share_group} onInput={(group) => change({ group })} />
        <select
          aria-label="QoS"
          value={search.qos}
          onChange={(event) => change({ qos: event.currentTarget.value })}
        >
          <option value="">Any QoS</option>
          {[0, 1, 2].map((qos) => (
            <option key={qos} value={String(qos)}>
              QoS {qos}
            </option>
          ))}
        </select>
      </div>
      <Table
        caption="Subscriptions"
        columns={columns}
        rows={data?.data ?? []}
        rowKey={({ clientid, topic }) => `${clientid}\n${topic}`}
        empty={
          data === undefined || data.meta.count > 0 ? undefined : (
            <EmptyState
              title={isSearch ? 'No subscription fits the search.' : 'Nobody has subscribed to anything.'}
            />
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

function kindOf({ topic, queue_state: queue }: Subscription) {
  if (queue === 'waiting') return <Badge tone="warn">no such queue yet</Badge>;
  if (queue !== undefined) return <Badge tone="good">queue</Badge>;
  return topic.startsWith('$share/') ? <Badge>shared</Badge> : <Badge>live</Badge>;
}
