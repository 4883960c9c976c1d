/**
 * What a client has subscribed to, and how long it works on a message. In the browser.
 *
 * Always true: the list is what the broker has granted; a refusal is shown with its reason and changes nothing. The working time counts
 * from the next message on.
 */
import { useState } from 'preact/hooks';

import { messageOf } from '../../base/api.js';
import { Button } from '../../components/button.js';
import { Fault } from '../../components/fault.js';
import { SelectField, TextField } from '../../components/field.js';
import { Panel } from '../../components/page.js';
import { toastError } from '../../components/toast.js';
import { qosOptions } from '../clients/subscribe-dialog.js';
import { wholeNumber } from './connect-form.js';
import type { PageClient } from './page-client.js';

const workMaxMs = 10_000;

/** See the file header. */
export function SubscribeForm({ client }: { client: PageClient }) {
  const [filter, setFilter] = useState('');
  const [qos, setQos] = useState<'0' | '1' | '2'>('1');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const isConnected = client.state.value === 'connected';
  async function subscribe(): Promise<void> {
    if (isBusy || !isConnected || filter === '') return;
    setBusy(true);
    setFault('');
    try {
      await client.subscribe(filter, Number(qos) as 0 | 1 | 2);
      setFilter('');
    } catch (error) {
      setFault(messageOf(error));
    }
    setBusy(false);
  }
  return (
    <Panel title="Subscriptions">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void subscribe();
        }}
      >
        <TextField
          label="Topic filter"
          help={
            <>
              <code>$q/jobs</code> consumes the queue of the filter jobs, <code>$queue/name</code> a queue by
              its name, <code>sensors/#</code> gets messages live.
            </>
          }
          value={filter}
          onInput={setFilter}
          isCode
        />
        <div class="columns">
          <SelectField label="QoS" value={qos} options={qosOptions} onChange={setQos} />
          <TextField
            label="Working time, ms"
            help="How long it takes for a message before it acknowledges it; one after the other."
            type="number"
            min={0}
            max={workMaxMs}
            value={String(client.workMs.value)}
            onInput={(text) => (client.workMs.value = wholeNumber(text, workMaxMs))}
          />
        </div>
        <Fault text={fault} />
        <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={!isConnected || filter === ''}>
          Subscribe
        </Button>
      </form>
      <ul class="held" aria-label="Subscriptions of this client">
        {client.subscriptions.value.map((held) => (
          <li key={held.filter}>
            <code>{held.filter}</code> <span class="soft">QoS {held.qos}</span>
            <Button
              kind="link"
              label={`Unsubscribe ${held.filter}`}
              isDisabled={!isConnected}
              onClick={() => {
                client.unsubscribe(held.filter).catch(toastError);
              }}
            >
              Unsubscribe
            </Button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
