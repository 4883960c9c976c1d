/**
 * Changes the password of whoever is logged in. In the browser.
 *
 * Always true: the old password is asked for, so that an unlocked screen is not enough; the new one is typed twice. The broker ends
 * all logins of the account, so the login page follows.
 */
import { useState } from 'preact/hooks';

import { messageOf, post } from '../../base/api.js';
import { endSession, session } from '../../base/session.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { TextField } from '../../components/field.js';
import { passwordFault } from './types.js';

/** See the file header. */
export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const username = session.value?.username ?? '';
  const [oldPassword, setOld] = useState('');
  const [newPassword, setNew] = useState('');
  const [again, setAgain] = useState('');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const newFault = passwordFault(newPassword, username);
  const againFault = again === '' || again === newPassword ? '' : 'It is not the same.';
  const isReady = oldPassword !== '' && newPassword !== '' && newFault === '' && again === newPassword;
  async function change(): Promise<void> {
    if (isBusy || !isReady) return;
    setBusy(true);
    setFault('');
    try {
      await post(`/users/${encodeURIComponent(username)}/change_pwd`, {
        old_pwd: oldPassword,
        new_pwd: newPassword,
      });
      // The dialog goes with the page.
      endSession('Your password is changed. Log in with the new one.');
    } catch (error) {
      setFault(messageOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title="Change my password"
      isBusy={isBusy}
      onClose={onClose}
      onSubmit={() => void change()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={!isReady}>
            Change
          </Button>
        </>
      }
    >
      <TextField
        label="Current password"
        type="password"
        value={oldPassword}
        onInput={setOld}
        autocomplete="current-password"
        hasFocus
      />
      <TextField
        label="New password"
        type="password"
        fault={newFault}
        value={newPassword}
        onInput={setNew}
        autocomplete="new-password"
      />
      <TextField
        label="New password again"
        type="password"
        fault={againFault}
        value={again}
        onInput={setAgain}
        autocomplete="new-password"
      />
      <Fault text={fault} />
    </Dialog>
  );
}
