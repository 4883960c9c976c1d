/**
 * All queues: what is in them, and the way into each. In the browser.
 *
 * Always true: search, order and page stand in the address; the list comes from the broker page by page, and the rows in view are
 * kept up to date by the event stream, so a thousand queues cost as much as what is seen of them. A sorted list keeps its
 * order until it is read again, so that rows do not jump under the pointer.
 */
import { useCallback, useEffect, useState } from 'preact/hooks';

import { get } from '../../base/api.js';
import { count, duration, rate } from '../../base/format.js';
import { queueRows, queueSamples, watchQueues } from '../../base/live.js';
import { href, place, setQuery } from '../../base/router.js';
import { mayWrite } from '../../base/session.js';
import type { Page as PageOf, QueueRow } from '../../base/types.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { pageOf } from '../../base/use-search.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import { Pager } from '../../components/pager.js';
import { Sparkline } from '../../components/sparkline.js';
import { type Column, type SortOrder, Table } from '../../components/table.js';
import { toast, toastError } from '../../components/toast.js';
import { type QueueDefinition, strategyNames } from './definition.js';
import { DeleteQueueDialog } from './delete-dialog.js';
import { QueueFormDialog } from './queue-form.js';

/** Of columns whose title or values need more than others. */
const widths: Readonly<Record<string, number>> = { consumers: 6.8, oldest_age: 7.5 };
/** New queues of others, and the order, are found at this pace. */
const rereadMs = 10_000;

type Open =
  | { readonly kind: 'create' }
  | { readonly kind: 'edit'; readonly queue: QueueDefinition }
  | { readonly kind: 'delete'; readonly row: QueueRow };

/** See the file header. */
export function QueuesPage() {
  const { query } = place.value;
  const search = query.get('search') ?? '';
  const sort = query.get('sort') ?? 'name';
  const order: SortOrder = query.get('order') === 'desc' ? 'desc' : 'asc';
  const { page, limit } = pageOf(query);
  const asked = useDebounced(search);
  const [open, setOpen] = useState<Open | undefined>(undefined);
  const { data, error, reload } = useResource(
    (signal) =>
      get<PageOf<QueueRow>>('/queues_overview', { search: asked, sort, order, page, limit }, signal),
    [asked, sort, order, page, limit],
    rereadMs,
  );
  const [inView, setInView] = useState<readonly [number, number]>([0, limit]);
  const onRange = useCallback((first: number, last: number) => setInView([first, last]), []);
  const rows = data?.data ?? [];
  const names = rows.slice(inView[0], inView[1] + 1).map(({ name }) => name);
  const watched = useDebounced(names.join('\n'), 300);
  useEffect(() => (watched === '' ? undefined : watchQueues(watched.split('\n'))), [watched]);
  const live = queueRows.value;
  const shown = rows.map((row) => live.get(row.name) ?? row);

  async function edit(row: QueueRow): Promise<void> {
    try {
      const queue = await get<QueueDefinition>(`/queues/${encodeURIComponent(row.name)}`);
      setOpen({ kind: 'edit', queue });
    } catch (failure) {
      toastError(failure);
    }
  }
  function saved(queue: QueueDefinition, text: string): void {
    setOpen(undefined);
    toast(`Queue ${queue.name} ${text}.`);
    reload();
  }

  return (
    <Page
      title="Queues"
      fault={error}
      onRetry={reload}
      actions={
        mayWrite.value ? (
          <Button kind="primary" onClick={() => setOpen({ kind: 'create' })}>
            Create queue
          </Button>
        ) : null
      }
    >
      <div class="toolbar">
        <SearchBox
          label="Search name or filter"
          value={search}
          onInput={(text) => setQuery({ search: text, page: '' })}
        />
      </div>
      <Table
        caption="Queues"
        columns={columnsOf(
          (row) => void edit(row),
          (row) => setOpen({ kind: 'delete', row }),
        )}
        rows={shown}
        rowKey={({ name }) => name}
        sort={{ key: sort, order }}
        onSort={(key, next) => setQuery({ sort: key, order: next, page: '' })}
        onRange={onRange}
        top={`${asked} ${page} ${limit}`}
        empty={data === undefined || data.meta.count > 0 ? null : <Nothing search={asked} />}
      />
      {data === undefined ? null : (
        <Pager
          page={page}
          limit={limit}
          total={data.meta.count}
          onPage={(next) => setQuery({ page: String(next) })}
          onLimit={(next) => setQuery({ limit: String(next), page: '' })}
        />
      )}
      {open?.kind === 'create' ? (
        <QueueFormDialog onClose={() => setOpen(undefined)} onDone={(queue) => saved(queue, 'was created')} />
      ) : null}
      {open?.kind === 'edit' ? (
        <QueueFormDialog
          queue={open.queue}
          onClose={() => setOpen(undefined)}
          onDone={(queue) => saved(queue, 'was changed')}
        />
      ) : null}
      {open?.kind === 'delete' ? (
        <DeleteQueueDialog
          name={open.row.name}
          messages={open.row.ready + open.row.in_flight}
          onClose={() => setOpen(undefined)}
          onDone={reload}
        />
      ) : null}
    </Page>
  );
}

function Nothing(props: { search: string }) {
  if (props.search !== '')
    return <EmptyState title={`No queue has “${props.search}” in its name or filter.`} />;
  return (
    <EmptyState title="There are no queues yet.">
      <p>
        A queue stores the messages of a topic filter until consumers have acknowledged them, whether or not a
        consumer is connected.
      </p>
    </EmptyState>
  );
}

function columnsOf(
  onEdit: (row: QueueRow) => void,
  onDelete: (row: QueueRow) => void,
): readonly Column<QueueRow>[] {
  return [
    {
      key: 'name',
      title: 'Name',
      isSortable: true,
      render: ({ name, paused }) => (
        <>
          <a href={href(['queue', name])} title={name}>
            {name}
          </a>{' '}
          {paused ? <Badge tone="warn">paused</Badge> : null}
        </>
      ),
    },
    {
      key: 'filter',
      title: 'Topic filter',
      priority: 2,
      render: ({ topic_filter }) => <code title={topic_filter}>{topic_filter}</code>,
    },
    {
      key: 'kind',
      title: 'Kind and strategy',
      priority: 3,
      widthRem: 14,
      render: ({ is_lastvalue, dispatch_strategy }) =>
        `${is_lastvalue ? 'last value' : 'regular'}, ${strategyNames[dispatch_strategy]}`,
    },
    numberColumn('ready', 'Ready', 1, ({ ready }) => count(ready)),
    numberColumn('in_flight', 'In flight', 1, ({ in_flight }) => count(in_flight)),
    numberColumn('consumers', 'Consumers', 2, ({ consumers }) => count(consumers)),
    numberColumn('in_rate', 'In', 2, ({ in_rate }) => rate(in_rate)),
    numberColumn('out_rate', 'Out', 2, ({ out_rate }) => rate(out_rate)),
    numberColumn('oldest_age', 'Oldest', 2, ({ oldest_age_ms, ready, in_flight }) =>
      ready + in_flight === 0 ? '–' : duration(Math.floor(oldest_age_ms / 100) * 100),
    ),
    {
      key: 'trend',
      title: 'Depth',
      priority: 2,
      widthRem: 7,
      render: ({ name }) => <Sparkline values={queueSamples(name)?.columns[0] ?? []} />,
    },
    ...(mayWrite.value
      ? [
          {
            key: 'actions',
            title: 'Actions',
            widthRem: 10.5,
            priority: 2 as const,
            render: (row: QueueRow) => (
              <>
                <Button kind="link" label={`Change ${row.name}`} onClick={() => onEdit(row)}>
                  Change
                </Button>
                <Button kind="link" label={`Delete ${row.name}`} onClick={() => onDelete(row)}>
                  Delete
                </Button>
              </>
            ),
          },
        ]
      : []),
  ];
}

function numberColumn(
  key: string,
  title: string,
  priority: 1 | 2 | 3,
  render: (row: QueueRow) => string,
): Column<QueueRow> {
  return {
    key,
    title,
    align: 'end',
    isSortable: true,
    widthRem: widths[key] ?? 5.8,
    priority,
    render,
  };
}
