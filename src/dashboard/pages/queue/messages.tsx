/**
 * The messages that a queue holds, oldest first, page by page. In the browser.
 *
 * Always true: looking takes no message away and changes no delivery; the list stands still until it is read again. Pages are
 * known by their cursors, so going back shows what stands there now.
 */
import { useMemo, useState } from 'preact/hooks';

import { get } from '../../base/api.js';
import { bytes, count, duration } from '../../base/format.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { Fault } from '../../components/fault.js';
import { fromBase64, textOf } from '../../components/payload-view.js';
import { type Column, Table } from '../../components/table.js';
import { MessageDialog, type QueuedMessage } from './message-dialog.js';

interface MessagePage {
  readonly data: readonly QueuedMessage[];
  readonly meta: { readonly hasnext: boolean; readonly cursor?: string };
}

const pageSize = 50;
const previewCharsMax = 80;
/** Of the payload as base64, a multiple of 4: enough for the preview, however many bytes a character takes. */
const previewBase64Max = 480;

/** `path` is the queue's in the API. */
export function Messages(props: { path: string; isLastvalue: boolean }) {
  // Cursors of the pages so far; the first page has none.
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const [open, setOpen] = useState<QueuedMessage | undefined>(undefined);
  const cursor = cursors.at(-1) ?? '';
  const { data, error, reload, isLoading } = useResource(
    async (signal) => {
      const query = { limit: pageSize, payload: 'base64', cursor };
      const page = await get<MessagePage>(`${props.path}/messages`, query, signal);
      return { ...page, readAtMs: Date.now() };
    },
    [props.path, cursor],
  );
  const next = data?.meta.cursor;
  // The page around it is drawn with every reading of the figures, the rows only when they were read again.
  const table = useMemo(
    () => (
      <Table
        caption="Messages"
        columns={columnsOf(data?.readAtMs ?? 0, props.isLastvalue, setOpen)}
        rows={data?.data ?? []}
        rowKey={({ offset }) => String(offset)}
        empty={data === undefined ? null : <EmptyState title="The queue holds no messages." />}
      />
    ),
    [data, props.isLastvalue],
  );
  return (
    <>
      <div class="toolbar">
        <Button onClick={reload} isBusy={isLoading}>
          Read again
        </Button>
        <Button isDisabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>
          Older
        </Button>
        <Button
          isDisabled={next === undefined}
          onClick={() => {
            if (next !== undefined) setCursors([...cursors, next]);
          }}
        >
          Newer
        </Button>
        <span class="soft">Oldest first. Looking takes nothing away.</span>
      </div>
      <Fault text={error} onRetry={reload} />
      {table}
      {open === undefined ? null : <MessageDialog message={open} onClose={() => setOpen(undefined)} />}
    </>
  );
}

function columnsOf(
  nowMs: number,
  isLastvalue: boolean,
  onOpen: (message: QueuedMessage) => void,
): readonly Column<QueuedMessage>[] {
  return [
    {
      key: 'offset',
      title: 'Offset',
      align: 'end',
      widthRem: 6.5,
      render: (message) => (
        <Button kind="link" label={`${message.offset}, show message`} onClick={() => onOpen(message)}>
          {message.offset}
        </Button>
      ),
    },
    { key: 'topic', title: 'Topic', render: ({ topic }) => <code title={topic}>{topic}</code> },
    ...(isLastvalue
      ? [
          {
            key: 'key',
            title: 'Key',
            widthRem: 9,
            render: ({ key }: QueuedMessage) => <code title={key}>{key === '' ? '(empty)' : key}</code>,
          },
        ]
      : []),
    { key: 'payload', title: 'Payload', priority: 2, render: (message) => <code>{preview(message)}</code> },
    {
      key: 'size',
      title: 'Size',
      align: 'end',
      widthRem: 6,
      priority: 3,
      render: ({ payload_size }) => bytes(payload_size),
    },
    {
      key: 'from',
      title: 'From',
      priority: 3,
      widthRem: 10,
      render: ({ from }) => <span title={from}>{from}</span>,
    },
    {
      key: 'age',
      title: 'Age',
      align: 'end',
      widthRem: 7,
      render: ({ timestamp }) => duration(Math.max(0, nowMs - timestamp)),
    },
    {
      key: 'attempts',
      title: 'Attempts',
      align: 'end',
      widthRem: 6.5,
      priority: 2,
      render: ({ delivery_attempt }) => count(delivery_attempt),
    },
    {
      key: 'state',
      title: 'State',
      priority: 2,
      widthRem: 6.5,
      render: ({ state }) => (
        <Badge tone={state === 'ready' ? 'plain' : 'warn'}>{state === 'ready' ? 'ready' : 'in flight'}</Badge>
      ),
    },
  ];
}

function preview(message: QueuedMessage): string {
  const isCut = message.payload.length > previewBase64Max;
  const text = textOf(fromBase64(message.payload.slice(0, previewBase64Max)), isCut);
  if (text === undefined) return `${message.payload_size} bytes of binary data`;
  return isCut || text.length > previewCharsMax ? `${text.slice(0, previewCharsMax)}…` : text;
}
