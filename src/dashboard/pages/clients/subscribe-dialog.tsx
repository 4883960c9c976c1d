/**
 * Subscribes in the name of a client. In the browser.
 *
 * Always true: the broker decides as if the client had asked, and its refusal is shown; the dialog stays open then.
 * Gives up subscription identifiers and the other options that only a client itself can use.
 */
import { useState } from 'preact/hooks';

import { messageOf, post } from '../../base/api.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { SelectField, TextField } from '../../components/field.js';
import { toast } from '../../components/toast.js';

/** Choices of a QoS. */
export const qosOptions = [
  { value: '0', label: '0, at most once' },
  { value: '1', label: '1, at least once' },
  { value: '2', label: '2, exactly once' },
] as const;

/** See the file header. */
export function SubscribeDialog(props: { clientId: string; onClose: () => void }) {
  const [topic, setTopic] = useState('');
  const [qos, setQos] = useState<'0' | '1' | '2'>('1');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  async function subscribe(): Promise<void> {
    if (isBusy || topic === '') return;
    setBusy(true);
    setFault('');
    try {
      await post(`/clients/${encodeURIComponent(props.clientId)}/subscribe`, { topic, qos: Number(qos) });
      toast(`${props.clientId} is subscribed to ${topic}.`);
      props.onClose();
    } catch (error) {
      setFault(messageOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={`Subscribe ${props.clientId}`}
      isBusy={isBusy}
      onClose={props.onClose}
      onSubmit={() => void subscribe()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={topic === ''}>
            Subscribe
          </Button>
        </>
      }
    >
      <TextField
        label="Topic filter"
        help="Such as sensors/+/temperature, or $q/jobs for the queue of the filter jobs."
        value={topic}
        onInput={setTopic}
        isCode
        hasFocus
      />
      <SelectField label="QoS" value={qos} options={qosOptions} onChange={setQos} />
      <Fault text={fault} />
    </Dialog>
  );
}
