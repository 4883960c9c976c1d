/**
 * Creates an account, or changes its role and description. In the browser.
 *
 * Always true: what the broker would refuse is said while it is typed, and what it refuses all the same is shown; the password is
 * kept nowhere after the dialog closes.
 */
import { useState } from 'preact/hooks';

import { messageOf, post, put } from '../../base/api.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { SelectField, TextField } from '../../components/field.js';
import { toast } from '../../components/toast.js';
import { type Account, type AccountRole, passwordFault, roleOptions, usernameFault } from './types.js';

/** Without `account` a new one is made. */
export function AccountDialog({ account, onClose }: { account?: Account; onClose: () => void }) {
  const [username, setUsername] = useState(account?.username ?? '');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<AccountRole>(account?.role ?? 'viewer');
  const [description, setDescription] = useState(account?.description ?? '');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const isNew = account === undefined;
  const nameFault = isNew ? usernameFault(username) : '';
  const wordFault = passwordFault(password, username);
  const isReady = nameFault === '' && (!isNew || (username !== '' && password !== '' && wordFault === ''));
  async function save(): Promise<void> {
    if (isBusy || !isReady) return;
    setBusy(true);
    setFault('');
    try {
      if (isNew) await post('/users', { username, password, role, description });
      else await put(`/users/${encodeURIComponent(username)}`, { role, description });
      toast(isNew ? `${username} is created.` : `${username} is changed.`);
      onClose();
    } catch (error) {
      setFault(messageOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={isNew ? 'Create a user' : `Edit ${username}`}
      isBusy={isBusy}
      onClose={onClose}
      onSubmit={() => void save()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={!isReady}>
            {isNew ? 'Create' : 'Save'}
          </Button>
        </>
      }
    >
      {isNew ? (
        <>
          <TextField
            label="User name"
            fault={nameFault}
            value={username}
            onInput={setUsername}
            autocomplete="off"
            hasFocus
          />
          <TextField
            label="Password"
            type="password"
            help="At least 8 characters. The user can change it."
            fault={wordFault}
            value={password}
            onInput={setPassword}
            autocomplete="new-password"
          />
        </>
      ) : null}
      <SelectField label="Role" value={role} options={roleOptions} onChange={setRole} />
      <TextField label="Description" value={description} onInput={setDescription} />
      <Fault text={fault} />
    </Dialog>
  );
}
