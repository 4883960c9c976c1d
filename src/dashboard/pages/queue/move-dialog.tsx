/**
 * Moves waiting messages to another queue. In the browser.
 *
 * Always true: names of queues that exist are suggested while one is typed; how many were moved is said, also when fewer were there than asked for.
 * The broker stores each message in the target before it leaves this queue, so a failure loses nothing.
 */
import { useState } from 'preact/hooks';

import { get, longTimeoutMs, messageOf, post } from '../../base/api.js';
import { plural } from '../../base/format.js';
import type { Page, QueueRow } from '../../base/types.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { TextField } from '../../components/field.js';
import { toast } from '../../components/toast.js';

const suggestionsMax = 20;

/** `path` is the queue's in the API. */
export function MoveDialog(props: { name: string; path: string; onClose: () => void }) {
  const [target, setTarget] = useState('');
  const [amount, setAmount] = useState('');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const asked = useDebounced(target);
  const { data, error } = useResource(
    (signal) => get<Page<QueueRow>>('/queues_overview', { search: asked, limit: suggestionsMax }, signal),
    [asked],
  );
  const names = (data?.data ?? []).map(({ name }) => name).filter((name) => name !== props.name);
  const targetFault = target === props.name ? 'The messages are there already.' : '';
  const amountFault =
    amount === '' || /^[1-9]\d*$/.test(amount) ? '' : 'A whole number of at least 1, or empty for all.';
  async function move(): Promise<void> {
    if (isBusy || target === '' || targetFault !== '' || amountFault !== '') return;
    setBusy(true);
    setFault('');
    try {
      const body = { to: target, ...(amount === '' ? {} : { count: Number(amount) }) };
      const { moved } = await post<{ moved: number }>(`${props.path}/move`, body, undefined, longTimeoutMs);
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
      isBusy={isBusy}
      onClose={props.onClose}
      onSubmit={() => void move()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={target === ''}>
            Move
          </Button>
        </>
      }
    >
      <TextField
        label="To queue"
        help={data?.meta.count === 1 && target === '' ? 'There is no other queue.' : 'Its name.'}
        value={target}
        onInput={setTarget}
        fault={targetFault}
        suggestions={names}
        hasFocus
        isRequired
        isCode
      />
      <TextField
        label="Most messages"
        placeholder="all that wait"
        help="The oldest are moved first, and begin anew: age and attempts count from zero. Messages in flight stay."
        value={amount}
        onInput={setAmount}
        fault={amountFault}
        isCode
      />
      <Fault text={fault === '' ? error : fault} />
    </Dialog>
  );
}
