/**
 * Moves waiting messages to another queue. In the browser.
 *
 * Always true: the target is one of the queues that exist; how many were moved is said, also when fewer were there than asked for.
 * The broker stores each message in the target before it leaves this queue, so a failure loses nothing.
 */
import { useState } from 'preact/hooks';

import { get, messageOf, post } from '../../base/api.js';
import { plural } from '../../base/format.js';
import type { Page, QueueRow } from '../../base/types.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { SearchBox, SelectField, TextField } from '../../components/field.js';
import { toast } from '../../components/toast.js';

const choicesMax = 100;

/** `path` is the queue's in the API. */
export function MoveDialog(props: { name: string; path: string; onClose: () => void }) {
  const [search, setSearch] = useState('');
  const [chosen, setChosen] = useState('');
  const [amount, setAmount] = useState('');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const asked = useDebounced(search);
  const { data, error } = useResource(
    (signal) => get<Page<QueueRow>>('/queues_overview', { search: asked, limit: choicesMax }, signal),
    [asked],
  );
  const targets = (data?.data ?? []).filter(({ name }) => name !== props.name);
  const target = targets.some(({ name }) => name === chosen) ? chosen : (targets[0]?.name ?? '');
  const amountFault =
    amount === '' || /^[1-9]\d*$/.test(amount) ? '' : 'A whole number of at least 1, or empty for all.';
  async function move(): Promise<void> {
    if (isBusy || target === '' || amountFault !== '') return;
    setBusy(true);
    setFault('');
    try {
      const body = { to: target, ...(amount === '' ? {} : { count: Number(amount) }) };
      const { moved } = await post<{ moved: number }>(`${props.path}/move`, body);
      toast(`${plural(moved, 'message')} moved to ${target}.`);
      props.onClose();
    } catch (failure) {
      setFault(messageOf(failure));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={`Move messages of ${props.name}`}
      onClose={props.onClose}
      onSubmit={() => void move()}
      actions={
        <>
          <Button onClick={props.onClose}>Cancel</Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={target === ''}>
            Move
          </Button>
        </>
      }
    >
      <div class="toolbar">
        <SearchBox label="Search queues" value={search} onInput={setSearch} />
      </div>
      <SelectField
        label="To"
        value={target}
        options={targets.map(({ name }) => ({ value: name, label: name }))}
        onChange={setChosen}
        help={data !== undefined && targets.length === 0 ? 'There is no other queue.' : undefined}
      />
      <TextField
        label="Most messages"
        placeholder="all that wait"
        help="The oldest are moved first; messages in flight stay."
        value={amount}
        onInput={setAmount}
        fault={amountFault}
        isCode
      />
      <Fault text={fault === '' ? error : fault} />
    </Dialog>
  );
}
