/**
 * One client: what it is, what it has subscribed to, and the ways to act on it. In the browser.
 *
 * Always true: it is read again every two seconds; a client that is gone meanwhile is said to be gone, with its last state still
 * shown. Buttons that change something are there for administrators only, and what cannot be undone is asked about first.
 */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { get, post, remove } from '../../base/api.js';
import { bytes, count, dateTime, duration } from '../../base/format.js';
import { href } from '../../base/router.js';
import { mayWrite } from '../../base/session.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { EmptyState } from '../../components/empty-state.js';
import { Facts, Page, Panel } from '../../components/page.js';
import { type Column, Table } from '../../components/table.js';
import { attempt, toast } from '../../components/toast.js';
import { SubscribeDialog } from './subscribe-dialog.js';
import { type Client, type Subscription, protocolName } from './types.js';

const refreshMs = 2000;
type Open = 'nothing' | 'disconnect' | 'subscribe';

/** See the file header. */
export function ClientPage({ clientId }: { clientId: string }) {
  const path = `/clients/${encodeURIComponent(clientId)}`;
  const [open, setOpen] = useState<Open>('nothing');
  const client = useResource((signal) => get<Client>(path, {}, signal), [path], refreshMs);
  const subscriptions = useResource(
    (signal) => get<readonly Subscription[]>(`${path}/subscriptions`, {}, signal),
    [path],
    refreshMs,
  );
  const { data } = client;
  const isConnected = data?.connected === true;
  const reload = (): void => {
    client.reload();
    subscriptions.reload();
  };
  const unsubscribe = async (topic: string): Promise<void> => {
    await attempt(
      () => post(`${path}/unsubscribe`, { topic }),
      `${clientId} has unsubscribed from ${topic}.`,
    );
    subscriptions.reload();
  };
  const columns: readonly Column<Subscription>[] = [
    { key: 'topic', title: 'Topic filter', render: ({ topic }) => <code title={topic}>{topic}</code> },
    { key: 'qos', title: 'QoS', align: 'end', widthRem: 5, render: ({ qos }) => qos },
    { key: 'options', title: 'Options', priority: 2, render: optionText },
    ...(mayWrite.value
      ? [
          {
            key: 'act',
            title: 'Action',
            widthRem: 9.5,
            render: ({ topic }: Subscription) => (
              <Button kind="link" label={`Unsubscribe ${topic}`} onClick={() => void unsubscribe(topic)}>
                Unsubscribe
              </Button>
            ),
          },
        ]
      : []),
  ];
  const actions = mayWrite.value ? (
    <>
      <Button isDisabled={!isConnected} onClick={() => setOpen('subscribe')}>
        Subscribe
      </Button>
      <Button kind="danger" isDisabled={data === undefined} onClick={() => setOpen('disconnect')}>
        {data?.connected === false ? 'End session' : 'Disconnect'}
      </Button>
    </>
  ) : undefined;
  return (
    <Page title={`Client ${clientId}`} actions={actions} fault={client.error} onRetry={reload}>
      <p class="soft">
        <a href={href(['clients'])}>All clients</a>
      </p>
      {data === undefined ? null : (
        <div class="columns">
          <Panel title="Connection">
            <Facts facts={connectionFacts(data)} />
          </Panel>
          <Panel title="Session">
            <Facts facts={sessionFacts(data)} />
          </Panel>
        </div>
      )}
      <Panel title="Subscriptions">
        <Table
          caption={`Subscriptions of ${clientId}`}
          columns={columns}
          rows={subscriptions.data ?? []}
          rowKey={({ topic }) => topic}
          empty={subscriptions.data === undefined ? undefined : <EmptyState title="It has none." />}
        />
      </Panel>
      {open === 'subscribe' ? (
        <SubscribeDialog
          clientId={clientId}
          onClose={() => {
            setOpen('nothing');
            subscriptions.reload();
          }}
        />
      ) : null}
      {open === 'disconnect' ? (
        <ConfirmDialog
          title={isConnected ? `Disconnect ${clientId}?` : `End the session of ${clientId}?`}
          confirmLabel={isConnected ? 'Disconnect' : 'End session'}
          onConfirm={async () => {
            await remove(path);
            toast(`${clientId} was disconnected.`);
          }}
          onClose={() => {
            setOpen('nothing');
            reload();
          }}
        >
          <p>
            {isConnected
              ? 'The connection is closed, and a session that does not outlive its connection ends with it. Messages of queues that it has not acknowledged go to other consumers. Most clients connect again by themselves.'
              : 'Its subscriptions and the messages that wait for it are lost.'}
          </p>
        </ConfirmDialog>
      ) : null}
    </Page>
  );
}

function connectionFacts(client: Client): (readonly [string, ComponentChildren])[] {
  const { connected, ip_address: address, port, listener, keepalive } = client;
  return [
    ['State', connected ? <Badge tone="good">connected</Badge> : <Badge>away</Badge>],
    ['User name', client.username ?? '–'],
    ['Address', address === undefined ? '–' : port === undefined ? address : `${address}:${port}`],
    ['Listener', listener ?? '–'],
    ['Protocol', protocolName(client) || '–'],
    ['Keep alive', keepalive === undefined ? '–' : keepalive === 0 ? 'off' : duration(keepalive * 1000)],
    ['Connected since', timeOf(client.connected_at)],
    ...(connected ? [] : [['Away since', timeOf(client.disconnected_at)] as const]),
  ];
}

function sessionFacts(client: Client): (readonly [string, ComponentChildren])[] {
  return [
    ['Began', timeOf(client.created_at)],
    ['Clean start', client.clean_start === undefined ? '–' : client.clean_start ? 'yes' : 'no'],
    ['Outlives its connection by', expiryText(client.expiry_interval)],
    ['In flight', `${count(client.inflight_cnt)} of at most ${count(client.inflight_max)}`],
    ['Waiting', count(client.mqueue_len)],
    ['Survives a restart of the broker', client.durable ? 'yes' : 'no'],
    ['Received from it', bytes(client.recv_oct)],
    ['Sent to it', bytes(client.send_oct)],
  ];
}

function expiryText(seconds: number): string {
  if (seconds === 0) return 'not at all';
  // The value that says "never" in MQTT 5.
  return seconds === 0xffff_ffff ? 'any time' : duration(seconds * 1000);
}

function timeOf(text: string | undefined): string {
  return text === undefined ? '–' : dateTime(Date.parse(text));
}

function optionText({ nl, rap, rh, queue_state: queue }: Subscription): string {
  const words = [
    queue === 'waiting' ? 'waits for its queue to be created' : '',
    nl === 1 ? 'no local' : '',
    rap === 1 ? 'retain as published' : '',
    rh === 1 ? 'retained only when new' : rh === 2 ? 'no retained messages' : '',
  ];
  return words.filter((word) => word !== '').join(', ');
}
