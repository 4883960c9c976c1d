/**
 * Retained messages: search by topic filter, look at one, clear one or all. In the browser.
 *
 * Always true: what is searched for and the page stand in the address; the list has no payloads, one message is fetched when it
 * is looked at. What is cleared cannot come back, so it is asked about first; clearing all needs a word to be typed.
 */
import { useState } from 'preact/hooks';

import { get, remove } from '../../base/api.js';
import { bytes, duration, plural } from '../../base/format.js';
import { place, setQuery } from '../../base/router.js';
import { mayWrite } from '../../base/session.js';
import type { Page as ApiPage } from '../../base/types.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { pageOf } from '../../base/use-search.js';
import { Button } from '../../components/button.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import { Pager } from '../../components/pager.js';
import { type Column, Table } from '../../components/table.js';
import { toast } from '../../components/toast.js';
import { MessageDialog } from './message-dialog.js';
import type { Retained } from './types.js';

type Open =
  | { readonly what: 'nothing' | 'clear-all' }
  | { readonly what: 'view' | 'clear'; readonly topic: string };

/** See the file header. */
export function RetainedPage() {
  const { query } = place.value;
  const filter = query.get('topic') ?? '';
  const { page, limit } = pageOf(query);
  const topic = useDebounced(filter);
  const [open, setOpen] = useState<Open>({ what: 'nothing' });
  const { data, error, reload } = useResource(
    (signal) => get<ApiPage<Retained>>('/mqtt/retainer/messages', { topic, page, limit }, signal),
    [topic, page, limit],
  );
  const close = (): void => {
    setOpen({ what: 'nothing' });
    reload();
  };
  const columns: readonly Column<Retained>[] = [
    {
      key: 'topic',
      title: 'Topic',
      render: (message) => (
        <Button kind="link" onClick={() => setOpen({ what: 'view', topic: message.topic })}>
          <code>{message.topic}</code>
        </Button>
      ),
    },
    { key: 'qos', title: 'QoS', align: 'end', widthRem: 4.5, render: ({ qos }) => qos },
    {
      key: 'size',
      title: 'Size',
      align: 'end',
      widthRem: 6,
      priority: 2,
      render: ({ payload_size: size }) => bytes(size),
    },
    {
      key: 'expires',
      title: 'Expires in',
      align: 'end',
      widthRem: 8,
      priority: 2,
      render: ({ message_expiry_interval: seconds }) =>
        seconds === undefined ? 'never' : duration(seconds * 1000),
    },
    ...(mayWrite.value
      ? [
          {
            key: 'act',
            title: 'Action',
            widthRem: 6,
            render: (message: Retained) => (
              <Button
                kind="link"
                label={`Clear ${message.topic}`}
                onClick={() => setOpen({ what: 'clear', topic: message.topic })}
              >
                Clear
              </Button>
            ),
          },
        ]
      : []),
  ];
  const total = data?.meta.count ?? 0;
  return (
    <Page
      title="Retained messages"
      fault={error}
      onRetry={reload}
      actions={
        mayWrite.value ? (
          <Button kind="danger" isDisabled={total === 0} onClick={() => setOpen({ what: 'clear-all' })}>
            Clear all
          </Button>
        ) : undefined
      }
    >
      <div class="toolbar">
        <SearchBox
          label="Topic filter, as sensors/#"
          value={filter}
          onInput={(next) => setQuery({ topic: next, page: '' })}
        />
        <Button onClick={reload}>Read again</Button>
      </div>
      <Table
        caption="Retained messages"
        columns={columns}
        rows={data?.data ?? []}
        rowKey={(message) => message.topic}
        empty={
          data === undefined || data.meta.count > 0 ? undefined : (
            <EmptyState
              title={filter === '' ? 'No message is retained.' : 'No retained message matches this filter.'}
            />
          )
        }
      />
      {data === undefined ? null : (
        <Pager
          page={page}
          limit={limit}
          total={total}
          onPage={(next) => setQuery({ page: String(next) })}
          onLimit={(next) => setQuery({ limit: String(next), page: '' })}
        />
      )}
      {open.what === 'view' ? (
        <MessageDialog topic={open.topic} onClose={() => setOpen({ what: 'nothing' })} />
      ) : null}
      {open.what === 'clear' ? (
        <ConfirmDialog
          title={`Clear ${open.topic}?`}
          confirmLabel="Clear"
          onConfirm={async () => {
            await remove(`/mqtt/retainer/message/${encodeURIComponent(open.topic)}`);
            toast(`${open.topic} is cleared.`);
          }}
          onClose={close}
        >
          <p>New subscribers will not get it any more.</p>
        </ConfirmDialog>
      ) : null}
      {open.what === 'clear-all' ? (
        <ConfirmDialog
          title="Clear all retained messages?"
          confirmLabel="Clear all"
          typed="clear all"
          onConfirm={async () => {
            await remove('/mqtt/retainer/messages');
            toast('All retained messages are cleared.');
          }}
          onClose={close}
        >
          <p>
            {filter === ''
              ? `${plural(total, 'message')} ${total === 1 ? 'is' : 'are'}`
              : 'All messages, not only those of this filter, are'}{' '}
            lost. Messages in queues stay.
          </p>
        </ConfirmDialog>
      ) : null}
    </Page>
  );
}
