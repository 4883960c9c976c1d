/**
 * Accounts of the dashboard: list, create, change, delete; and the own password. In the browser.
 *
 * Always true: viewers see the list and may change their own password only. A change of somebody's role or password ends their
 * logins; the broker keeps the last administrator, whatever is asked of it.
 */
import { useState } from 'preact/hooks';

import { get, remove } from '../../base/api.js';
import { mayWrite, session } from '../../base/session.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { Page } from '../../components/page.js';
import { type Column, Table } from '../../components/table.js';
import { toast } from '../../components/toast.js';
import { AccountDialog } from './account-dialog.js';
import { PasswordDialog } from './password-dialog.js';
import type { Account } from './types.js';

type Open =
  | { readonly what: 'nothing' | 'create' | 'password' }
  | { readonly what: 'edit' | 'delete'; readonly account: Account };

/** See the file header. */
export function UsersPage() {
  const [open, setOpen] = useState<Open>({ what: 'nothing' });
  const { data, error, reload } = useResource((signal) => get<readonly Account[]>('/users', {}, signal), []);
  const own = session.value?.username;
  const close = (): void => {
    setOpen({ what: 'nothing' });
    reload();
  };
  const columns: readonly Column<Account>[] = [
    {
      key: 'username',
      title: 'User name',
      render: ({ username }) => (
        <>
          {username} {username === own ? <Badge>you</Badge> : null}
        </>
      ),
    },
    {
      key: 'role',
      title: 'Role',
      widthRem: 9,
      render: ({ role }) => (role === 'administrator' ? 'Administrator' : 'Viewer'),
    },
    { key: 'description', title: 'Description', priority: 2, render: ({ description }) => description },
    ...(mayWrite.value
      ? [
          {
            key: 'act',
            title: 'Actions',
            widthRem: 10,
            render: (account: Account) => (
              <>
                <Button
                  kind="link"
                  label={`Edit ${account.username}`}
                  onClick={() => setOpen({ what: 'edit', account })}
                >
                  Edit
                </Button>
                {account.username === own ? null : (
                  <Button
                    kind="link"
                    label={`Delete ${account.username}`}
                    onClick={() => setOpen({ what: 'delete', account })}
                  >
                    Delete
                  </Button>
                )}
              </>
            ),
          },
        ]
      : []),
  ];
  return (
    <Page
      title="Users"
      fault={error}
      onRetry={reload}
      actions={
        <>
          <Button onClick={() => setOpen({ what: 'password' })}>Change my password</Button>
          {mayWrite.value ? (
            <Button kind="primary" onClick={() => setOpen({ what: 'create' })}>
              Create user
            </Button>
          ) : null}
        </>
      }
    >
      <Table caption="Users" columns={columns} rows={data ?? []} rowKey={({ username }) => username} />
      {open.what === 'create' ? <AccountDialog onClose={close} /> : null}
      {open.what === 'edit' ? <AccountDialog account={open.account} onClose={close} /> : null}
      {open.what === 'password' ? <PasswordDialog onClose={close} /> : null}
      {open.what === 'delete' ? (
        <ConfirmDialog
          title={`Delete ${open.account.username}?`}
          confirmLabel="Delete"
          onConfirm={async () => {
            await remove(`/users/${encodeURIComponent(open.account.username)}`);
            toast(`${open.account.username} is deleted.`);
          }}
          onClose={close}
        >
          <p>Whoever is logged in by this account is logged out at once.</p>
        </ConfirmDialog>
      ) : null}
    </Page>
  );
}
