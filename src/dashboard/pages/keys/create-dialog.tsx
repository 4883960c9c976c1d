/**
 * Makes an API key. In the browser.
 *
 * Always true: what the broker would refuse of the name is said while it is typed; a key expires when nothing else is chosen, because
 * forgotten keys are the ones that leak.
 */
import { useState } from 'preact/hooks';

import { messageOf, post } from '../../base/api.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { SelectField, TextField } from '../../components/field.js';
import type { KeyRole, NewKey } from './types.js';

const roles = [
  { value: 'administrator', label: 'Administrator: everything' },
  { value: 'viewer', label: 'Viewer: read only' },
  { value: 'publisher', label: 'Publisher: publish messages only' },
] as const;
const lives = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'One year' },
  { value: '0', label: 'Never' },
] as const;
const dayMs = 86_400_000;

/** See the file header. */
export function CreateKeyDialog(props: { onMade: (made: NewKey) => void; onClose: () => void }) {
  const [name, setName] = useState('');
  const [desc, setDesc] = useState('');
  const [role, setRole] = useState<KeyRole>('administrator');
  const [days, setDays] = useState<(typeof lives)[number]['value']>('90');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const nameFault =
    name === '' || /^[A-Za-z][\w-]{0,63}$/.test(name)
      ? ''
      : 'A letter first, then letters, digits, _ and -, at most 64 characters.';
  const isReady = name !== '' && nameFault === '';
  async function create(): Promise<void> {
    if (isBusy || !isReady) return;
    setBusy(true);
    setFault('');
    const expiry =
      days === '0' ? {} : { expired_at: new Date(Date.now() + Number(days) * dayMs).toISOString() };
    try {
      props.onMade(await post<NewKey>('/api_key', { name, desc, role, enable: true, ...expiry }));
    } catch (error) {
      setFault(messageOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title="Create an API key"
      isBusy={isBusy}
      onClose={props.onClose}
      onSubmit={() => void create()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={!isReady}>
            Create
          </Button>
        </>
      }
    >
      <TextField
        label="Name"
        help="What it is for, such as backup-job."
        fault={nameFault}
        value={name}
        onInput={setName}
        hasFocus
      />
      <TextField label="Description" value={desc} onInput={setDesc} />
      <SelectField label="Role" value={role} options={roles} onChange={setRole} />
      <SelectField label="Expires after" value={days} options={lives} onChange={setDays} />
      <Fault text={fault} />
    </Dialog>
  );
}
