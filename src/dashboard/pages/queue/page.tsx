/**
 * One queue: figures and charts, consumers, messages, and everything that can be done to it. In the browser.
 *
 * Always true: figures come from the event stream, what belongs to a tab is read when the tab is open; the open tab stands in the
 * address. What loses messages asks first. Whoever may only look sees no buttons that change something.
 */
import { useEffect, useState } from 'preact/hooks';

import { get, post } from '../../base/api.js';
import { count, duration, rate, shortCount } from '../../base/format.js';
import { queueRows, queueSamples, watchQueues } from '../../base/live.js';
import { navigate, place, setQuery } from '../../base/router.js';
import { mayWrite } from '../../base/session.js';
import type { QueueRow } from '../../base/types.js';
import { useResource } from '../../base/use-resource.js';
import type { PageProps } from '../../routes.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { type LiveChart, LiveCharts } from '../../components/live-charts.js';
import { Facts, Page, Stat, Stats } from '../../components/page.js';
import { Tabs } from '../../components/tabs.js';
import { attempt, toast } from '../../components/toast.js';
import { DeleteQueueDialog } from '../queues/delete-dialog.js';
import { type QueueDefinition, strategyNames } from '../queues/definition.js';
import { QueueFormDialog } from '../queues/queue-form.js';
import { Consumers } from './consumers.js';
import { Messages } from './messages.js';
import { MoveDialog } from './move-dialog.js';
import { PublishForm } from './publish-form.js';
import { PurgeDialog } from './purge-dialog.js';

const tabs = [
  { key: 'charts', title: 'Charts' },
  { key: 'consumers', title: 'Consumers' },
  { key: 'messages', title: 'Messages' },
  { key: 'settings', title: 'Settings' },
] as const;
const publishTab = { key: 'publish', title: 'Publish' } as const;
type TabKey = (typeof tabs)[number]['key'] | 'publish';

const charts: readonly LiveChart[] = [
  {
    title: 'Depth',
    format: shortCount,
    topMin: 10,
    lines: [
      ['ready', 0],
      ['in flight', 1],
    ],
  },
  {
    title: 'Rates',
    format: rate,
    topMin: 10,
    lines: [
      ['in', 2],
      ['out', 3],
    ],
  },
  { title: 'Oldest message', format: duration, topMin: 1000, steps: 'time', lines: [['age', 4]] },
];

/** See the file header. The rest of the address is the queue's name. */
export function QueuePage(props: PageProps) {
  const [name = ''] = props.rest;
  const path = `/queues/${encodeURIComponent(name)}`;
  const [open, setOpen] = useState<'edit' | 'delete' | 'purge' | 'move' | undefined>(undefined);
  const {
    data: queue,
    error,
    reload,
  } = useResource((signal) => get<QueueDefinition>(path, {}, signal), [name]);
  useEffect(() => (queue === undefined ? undefined : watchQueues([queue.name])), [queue?.name]);
  const row = queue === undefined ? undefined : queueRows.value.get(queue.name);
  const shownTabs = mayWrite.value ? [...tabs, publishTab] : tabs;
  const asked = place.value.query.get('tab');
  const tab: TabKey = shownTabs.find(({ key }) => key === asked)?.key ?? 'charts';

  async function setPaused(isPaused: boolean): Promise<void> {
    await attempt(
      () => post(`${path}/${isPaused ? 'pause' : 'resume'}`),
      isPaused ? 'Paused: messages are stored and wait.' : 'Resumed: messages are delivered again.',
    );
    reload();
  }

  if (queue === undefined) {
    return (
      <Page title={name} fault={error} onRetry={reload}>
        {null}
      </Page>
    );
  }
  return (
    <Page
      title={queue.name}
      fault={error}
      onRetry={reload}
      actions={
        mayWrite.value ? (
          <>
            <Button onClick={() => void setPaused(!queue.paused)}>{queue.paused ? 'Resume' : 'Pause'}</Button>
            <Button onClick={() => setOpen('edit')}>Change</Button>
            <Button onClick={() => setOpen('move')}>Move messages</Button>
            <Button onClick={() => setOpen('purge')}>Purge</Button>
            <Button kind="danger" onClick={() => setOpen('delete')}>
              Delete
            </Button>
          </>
        ) : null
      }
    >
      <p class="queue-facts">
        <code>{queue.topic_filter}</code> <Badge>{queue.is_lastvalue ? 'last value' : 'regular'}</Badge>{' '}
        <Badge>{strategyNames[queue.dispatch_strategy]}</Badge>{' '}
        {queue.paused ? <Badge tone="warn">paused</Badge> : null}
      </p>
      <Figures row={row} />
      <Tabs label="Queue" tabs={shownTabs} current={tab} onChange={(key) => setQuery({ tab: key })}>
        {tab === 'charts' ? (
          <LiveCharts charts={charts} history={queueSamples(queue.name)} version={queueRows.value} />
        ) : null}
        {tab === 'consumers' ? <Consumers path={path} /> : null}
        {tab === 'messages' ? <Messages path={path} isLastvalue={queue.is_lastvalue} /> : null}
        {tab === 'settings' ? <Settings queue={queue} /> : null}
        {tab === 'publish' ? <PublishForm filter={queue.topic_filter} /> : null}
      </Tabs>
      {open === 'edit' ? (
        <QueueFormDialog
          queue={queue}
          onClose={() => setOpen(undefined)}
          onDone={() => {
            setOpen(undefined);
            toast(`Queue ${queue.name} was changed.`);
            reload();
          }}
        />
      ) : null}
      {open === 'delete' ? (
        <DeleteQueueDialog
          name={queue.name}
          messages={(row?.ready ?? 0) + (row?.in_flight ?? 0)}
          onClose={() => setOpen(undefined)}
          onDone={() => navigate(['queues'])}
        />
      ) : null}
      {open === 'purge' ? (
        <PurgeDialog name={queue.name} path={path} onClose={() => setOpen(undefined)} />
      ) : null}
      {open === 'move' ? (
        <MoveDialog name={queue.name} path={path} onClose={() => setOpen(undefined)} />
      ) : null}
    </Page>
  );
}

function Figures(props: { row: QueueRow | undefined }) {
  const { row } = props;
  const isEmpty = row === undefined || row.ready + row.in_flight === 0;
  return (
    <Stats>
      <Stat label="Ready" value={count(row?.ready)} />
      <Stat label="In flight" value={count(row?.in_flight)} />
      <Stat label="Consumers" value={count(row?.consumers)} />
      <Stat label="In" value={rate(row?.in_rate)} />
      <Stat label="Out" value={rate(row?.out_rate)} />
      <Stat
        label="Oldest message"
        value={isEmpty ? '–' : duration(Math.floor(row.oldest_age_ms / 100) * 100)}
      />
    </Stats>
  );
}

function Settings(props: { queue: QueueDefinition }) {
  const { queue } = props;
  const limit = (value: number | 'infinity') => (value === 'infinity' ? 'no limit' : count(value));
  return (
    <Facts
      facts={[
        ['Subscribe to', <code key="subscribe">{subscriptionOf(queue)}</code>],
        ...(queue.is_lastvalue
          ? ([
              ['Key expression', <code key="key">{queue.key_expression}</code>],
              ['A message without a key', queue.on_key_error],
            ] as const)
          : []),
        ['Keeps messages for', duration(queue.data_retention_period)],
        ['Most messages', limit(queue.max_messages)],
        ['Most bytes', limit(queue.max_bytes)],
        ['When it is full', queue.overflow === 'drop_oldest' ? 'deletes the oldest' : 'refuses new messages'],
        ['Unacknowledged per consumer', inFlightMax(queue)],
        ['Pause before a rejected message returns', duration(queue.redispatch_interval)],
      ]}
    />
  );
}

function inFlightMax({ local_max_inflight: all, fast_max_inflight: fast }: QueueDefinition): string {
  return fast > all ? `${count(all)}, a fast one ${count(fast)}` : count(all);
}

function subscriptionOf(queue: QueueDefinition): string {
  return queue.name.startsWith('/') ? `$q${queue.name}` : `$queue/${queue.name}`;
}
