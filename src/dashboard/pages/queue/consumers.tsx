/**
 * The connected consumers of a queue: their windows, what they have done, and how fast they acknowledge. In the browser.
 *
 * Always true: read every two seconds while it is shown; a full window is called full, because it is why a consumer gets nothing
 * more. Ack times are means of the last half minute.
 */
import { useRef } from 'preact/hooks';

import { get } from '../../base/api.js';
import { count, duration, rate } from '../../base/format.js';
import { href } from '../../base/router.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { EmptyState } from '../../components/empty-state.js';
import { Fault } from '../../components/fault.js';
import { type Column, Table } from '../../components/table.js';
import { AckTimes, type QueueConsumer } from './ack-time.js';

const readMs = 2000;

/** `path` is the queue's in the API. */
export function Consumers(props: { path: string }) {
  const times = useRef(new AckTimes());
  const { data, error, reload } = useResource(
    async (signal) => {
      const answer = await get<{ data: readonly QueueConsumer[] }>(`${props.path}/consumers`, {}, signal);
      times.current.add(performance.now(), answer.data);
      return answer.data;
    },
    [props.path],
    readMs,
  );
  return (
    <>
      <Fault text={error} onRetry={reload} />
      <Table
        caption="Consumers"
        columns={columnsOf(times.current)}
        rows={data ?? []}
        rowKey={({ clientid }) => clientid}
        empty={data === undefined ? null : <EmptyState title="No consumer is connected." />}
      />
    </>
  );
}

function columnsOf(times: AckTimes): readonly Column<QueueConsumer>[] {
  return [
    {
      key: 'client',
      title: 'Client',
      render: ({ clientid }) => <a href={href(['clients', clientid])}>{clientid}</a>,
    },
    {
      key: 'window',
      title: 'In flight',
      widthRem: 9,
      render: ({ in_flight, window }) => (
        <>
          {count(in_flight)} of {count(window)}{' '}
          {in_flight >= window && window > 0 ? <Badge tone="warn">full</Badge> : null}
        </>
      ),
    },
    {
      key: 'time',
      title: 'Ack time',
      align: 'end',
      widthRem: 7,
      render: ({ clientid }) => duration(times.of(clientid).ackTimeMs),
    },
    {
      key: 'rate',
      title: 'Acks',
      align: 'end',
      widthRem: 6,
      priority: 2,
      render: ({ clientid }) => rate(times.of(clientid).ackRate),
    },
    numberColumn('Delivered', ({ delivered }) => delivered),
    numberColumn('Acknowledged', ({ acked }) => acked),
    numberColumn('Rejected', ({ rejected }) => rejected),
  ];
}

function numberColumn(title: string, value: (row: QueueConsumer) => number): Column<QueueConsumer> {
  return { key: title, title, align: 'end', widthRem: 8.5, priority: 2, render: (row) => count(value(row)) };
}
