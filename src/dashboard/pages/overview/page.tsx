/**
 * The state of the broker at a glance. In the browser.
 *
 * Always true: every figure comes from the one event stream, nothing is polled; charts begin when the dashboard was opened and
 * keep ten minutes. What a shard does is a table, because shards are few and names matter.
 */
import { bytes, count, duration, percent, plural, rate, shortCount } from '../../base/format.js';
import { overview, samples } from '../../base/live.js';
import { session } from '../../base/session.js';
import type { ShardReading } from '../../base/types.js';
import { Badge } from '../../components/badge.js';
import { EmptyState } from '../../components/empty-state.js';
import { type LiveChart, LiveCharts } from '../../components/live-charts.js';
import { Page, Panel, Stat, Stats } from '../../components/page.js';
import { type Column, Table } from '../../components/table.js';

/** Title, unit, and lines as label and column of `samples`. */
const charts: readonly LiveChart[] = [
  {
    title: 'Messages',
    format: rate,
    topMin: 10,
    lines: [
      ['in', 1],
      ['out', 2],
    ],
  },
  {
    title: 'Queue depth',
    format: shortCount,
    topMin: 10,
    lines: [
      ['ready', 3],
      ['in flight', 4],
    ],
  },
  { title: 'Oldest waiting message', format: duration, topMin: 1000, steps: 'time', lines: [['age', 5]] },
  { title: 'Connections', format: shortCount, topMin: 10, lines: [['open', 0]] },
  {
    title: 'Load',
    format: percent,
    topMin: 1,
    lines: [
      ['main thread', 6],
      ['busiest shard', 7],
    ],
  },
  {
    title: 'Memory',
    format: bytes,
    topMin: 1,
    steps: 'bytes',
    lines: [
      ['process', 8],
      ['heap', 9],
    ],
  },
  { title: 'Disk', format: bytes, topMin: 1, steps: 'bytes', lines: [['used by queues', 10]] },
  {
    title: 'Traffic',
    format: (value: number | undefined) => `${bytes(value)}/s`,
    topMin: 1024,
    steps: 'bytes',
    lines: [
      ['in', 11],
      ['out', 12],
    ],
  },
];

const columns: readonly Column<ShardReading>[] = [
  { key: 'id', title: 'Shard', render: ({ id }) => id, widthRem: 5 },
  {
    key: 'state',
    title: 'State',
    render: ({ state }) => <Badge tone={state === 'up' ? 'good' : 'bad'}>{state}</Badge>,
    widthRem: 7,
  },
  { key: 'load', title: 'Load', align: 'end', render: ({ load }) => percent(load) },
  {
    key: 'ring',
    title: 'Ring filled',
    align: 'end',
    priority: 2,
    render: ({ ring_fill }) => percent(ring_fill),
  },
  {
    key: 'delay',
    title: 'Loop delay',
    align: 'end',
    priority: 2,
    render: ({ event_loop_delay_ms }) => duration(event_loop_delay_ms),
  },
  {
    key: 'commit',
    title: 'Commit p99',
    align: 'end',
    render: ({ commit_p99_ms }) => duration(commit_p99_ms),
  },
];

/** See the file header. */
export function OverviewPage() {
  const now = overview.value;
  if (now === undefined) {
    return (
      <Page title="Overview">
        <EmptyState title="Waiting for the first reading of the broker." />
      </Page>
    );
  }
  return (
    <Page title="Overview">
      <Stats>
        <Stat label="Connections" value={count(now.connections)} note={plural(now.sessions, 'session')} />
        <Stat
          label="Messages in"
          value={rate(now.messages_in_per_s)}
          note={`${bytes(now.bytes_in_per_s)}/s`}
        />
        <Stat
          label="Messages out"
          value={rate(now.messages_out_per_s)}
          note={`${bytes(now.bytes_out_per_s)}/s`}
        />
        <Stat label="Waiting" value={count(now.queues.ready)} note={plural(now.queues.count, 'queue')} />
        <Stat label="In flight" value={count(now.queues.in_flight)} note="not yet acknowledged" />
        <Stat label="Oldest waiting" value={duration(now.queues.oldest_age_ms)} />
        <Stat
          label="Subscriptions"
          value={count(now.subscriptions)}
          note={`${count(now.retained)} retained`}
        />
        <Stat
          label="Up for"
          value={duration(Math.floor(now.uptime_ms / 1000) * 1000)}
          {...noteOf(session.value?.version)}
        />
      </Stats>
      <LiveCharts charts={charts} history={samples} version={now} />
      <Panel title="Shards">
        <Table caption="Shards" columns={columns} rows={now.shards} rowKey={({ id }) => String(id)} />
      </Panel>
    </Page>
  );
}

function noteOf(version: string | undefined): { note?: string } {
  return version === undefined ? {} : { note: `version ${version}` };
}
