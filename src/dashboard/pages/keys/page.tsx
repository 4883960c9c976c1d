/**
 * API keys: list, create, switch off, delete. In the browser.
 *
 * Always true: a secret is shown once, right after its key was made, and is gone from the page when that dialog closes. Viewers see
 * the list and nothing that changes it. Keys of the key file are not here; they are changed there.
 */
import { useState } from 'preact/hooks';

import { get, put, remove } from '../../base/api.js';
import { dateTime } from '../../base/format.js';
import { mayWrite } from '../../base/session.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { EmptyState } from '../../components/empty-state.js';
import { Page } from '../../components/page.js';
import { type Column, Table } from '../../components/table.js';
import { attempt, toast } from '../../components/toast.js';
import { CreateKeyDialog } from './create-dialog.js';
import { SecretDialog } from './secret-dialog.js';
import { expiryOf, type Key, type NewKey, roleNames } from './types.js';

type Open =
  | { readonly what: 'nothing' | 'create' }
  | { readonly what: 'secret'; readonly made: NewKey }
  | { readonly what: 'delete'; readonly name: string };

/** See the file header. */
export function KeysPage() {
  const [open, setOpen] = useState<Open>({ what: 'nothing' });
  const { data, error, reload } = useResource((signal) => get<readonly Key[]>('/api_key', {}, signal), []);
  const close = (): void => {
    setOpen({ what: 'nothing' });
    reload();
  };
  const toggle = async ({ name, enable }: Key): Promise<void> => {
    await attempt(
      () => put(`/api_key/${encodeURIComponent(name)}`, { enable: !enable }),
      enable ? `${name} is switched off.` : `${name} is switched on.`,
    );
    reload();
  };
  const columns: readonly Column<Key>[] = [
    { key: 'name', title: 'Name', render: ({ name }) => name },
    { key: 'state', title: 'State', widthRem: 7, render: stateOf },
    { key: 'role', title: 'Role', widthRem: 9, priority: 2, render: ({ role }) => roleNames[role] ?? role },
    { key: 'key', title: 'API key', priority: 3, render: (key) => <code>{key.api_key}</code> },
    { key: 'desc', title: 'Description', priority: 3, render: ({ desc }) => desc },
    {
      key: 'expires',
      title: 'Expires',
      widthRem: 13,
      priority: 2,
      render: (key) => {
        const expiresMs = expiryOf(key);
        return expiresMs === undefined ? 'never' : dateTime(expiresMs);
      },
    },
    ...(mayWrite.value
      ? [
          {
            key: 'act',
            title: 'Actions',
            widthRem: 13,
            render: (key: Key) => (
              <>
                <Button
                  kind="link"
                  label={`Switch ${key.enable ? 'off' : 'on'} ${key.name}`}
                  onClick={() => void toggle(key)}
                >
                  {key.enable ? 'Switch off' : 'Switch on'}
                </Button>
                <Button
                  kind="link"
                  label={`Delete ${key.name}`}
                  onClick={() => setOpen({ what: 'delete', name: key.name })}
                >
                  Delete
                </Button>
              </>
            ),
          },
        ]
      : []),
  ];
  return (
    <Page
      title="API keys"
      fault={error}
      onRetry={reload}
      actions={
        mayWrite.value ? (
          <Button kind="primary" onClick={() => setOpen({ what: 'create' })}>
            Create key
          </Button>
        ) : undefined
      }
    >
      <Table
        caption="API keys"
        columns={columns}
        rows={data ?? []}
        rowKey={({ name }) => name}
        empty={
          data === undefined ? undefined : (
            <EmptyState title="No API key was made here.">
              <p>Programs that use the REST API or the command line from elsewhere need one.</p>
            </EmptyState>
          )
        }
      />
      {open.what === 'create' ? (
        <CreateKeyDialog
          onMade={(made) => {
            setOpen({ what: 'secret', made });
            reload();
          }}
          onClose={close}
        />
      ) : null}
      {open.what === 'secret' ? <SecretDialog made={open.made} onClose={close} /> : null}
      {open.what === 'delete' ? (
        <ConfirmDialog
          title={`Delete the API key ${open.name}?`}
          confirmLabel="Delete"
          onConfirm={async () => {
            await remove(`/api_key/${encodeURIComponent(open.name)}`);
            toast(`${open.name} is deleted.`);
          }}
          onClose={close}
        >
          <p>Programs that use it are refused from now on.</p>
        </ConfirmDialog>
      ) : null}
    </Page>
  );
}

function stateOf(key: Key) {
  const expiresMs = expiryOf(key);
  if (expiresMs !== undefined && expiresMs <= Date.now()) return <Badge tone="warn">expired</Badge>;
  return key.enable ? <Badge tone="good">on</Badge> : <Badge>off</Badge>;
}
