/**
 * The dialog that creates a queue or changes one. In the browser.
 *
 * Always true: what is wrong is said under its field while it is typed, and again by the broker when it refuses; the dialog stays
 * open then. What never changes about a queue (name, filter, kind) is shown and cannot be typed into. Faults of empty
 * fields wait until the form is submitted.
 */
import { useState } from 'preact/hooks';

import { ApiError, messageOf, patch, post } from '../../base/api.js';
import { useDebounced } from '../../base/use-debounced.js';
import type { DispatchStrategy } from '../../base/types.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { SelectField, TextField } from '../../components/field.js';
import {
  bodyOf,
  emptyForm,
  type Faults,
  faultsOf,
  fieldOf,
  formOf,
  type QueueDefinition,
  type QueueForm,
} from './definition.js';
import { KeyPreview } from './key-preview.js';
import { TopicCheck, useFilterFault } from './topic-check.js';
import { examplesOf } from './topic-example.js';

const strategies: readonly { value: DispatchStrategy; label: string }[] = [
  { value: 'random', label: 'Random' },
  { value: 'round_robin', label: 'Round robin' },
  { value: 'least_inflight', label: 'Least in flight' },
];

const strategyHelp: Record<DispatchStrategy, string> = {
  random: 'Each message goes to any consumer that has room.',
  round_robin: 'Consumers take turns; one without room is left out.',
  least_inflight:
    'Each message goes to the consumer with the fewest unacknowledged messages: slow ones get fewer.',
};

/** Creates a queue, or changes `queue`. `onDone` is given the queue as it is then. */
export function QueueFormDialog(props: {
  queue?: QueueDefinition;
  onDone: (queue: QueueDefinition) => void;
  onClose: () => void;
}) {
  const { queue } = props;
  const isNew = queue === undefined;
  const before = queue === undefined ? undefined : formOf(queue);
  const [form, setForm] = useState(before ?? emptyForm);
  const [refused, setRefused] = useState<Faults>({});
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [wasSubmitted, setSubmitted] = useState(false);
  const filterFault = useFilterFault(form.topicFilter, isNew);
  const found = faultsOf(form);
  const faults: Faults = {
    ...refused,
    ...(filterFault === '' ? {} : { topicFilter: filterFault }),
    ...found,
  };
  if (!wasSubmitted) {
    if (form.topicFilter === '') delete faults.topicFilter;
    if (form.keyExpression === '') delete faults.keyExpression;
  }
  const exampleTopic = examplesOf(useDebounced(form.topicFilter))[0] ?? 'commands/device1';
  const change = <K extends keyof QueueForm>(field: K) => {
    return (value: QueueForm[K]) => {
      setForm((old) => ({ ...old, [field]: value }));
      setRefused(({ [field]: _gone, ...others }) => others);
    };
  };

  async function submit(): Promise<void> {
    setSubmitted(true);
    if (Object.keys(found).length > 0 || filterFault !== '') {
      // Once the faults are drawn, the first one has the focus.
      requestAnimationFrame(() => {
        document.querySelector<HTMLElement>('dialog [aria-invalid="true"]')?.focus();
      });
      return;
    }
    if (isBusy) return;
    setBusy(true);
    setFault('');
    try {
      const saved =
        queue === undefined
          ? await post<QueueDefinition>('/queues', bodyOf(form))
          : await patch<QueueDefinition>(`/queues/${encodeURIComponent(queue.name)}`, bodyOf(form, before));
      props.onDone(saved);
    } catch (error) {
      const field = error instanceof ApiError ? fieldOf(error.field) : undefined;
      if (field === undefined) setFault(messageOf(error));
      else setRefused({ [field]: messageOf(error) });
      setBusy(false);
    }
  }

  return (
    <Dialog
      title={isNew ? 'Create a queue' : `Change ${queue.name}`}
      isWide
      isBusy={isBusy}
      onClose={props.onClose}
      onSubmit={() => void submit()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" kind="primary" isBusy={isBusy}>
            {isNew ? 'Create queue' : 'Save changes'}
          </Button>
        </>
      }
    >
      <div class="columns">
        <TextField
          label="Topic filter"
          help="Messages that are published to a matching topic are stored."
          value={form.topicFilter}
          onInput={change('topicFilter')}
          fault={faults.topicFilter}
          isReadOnly={!isNew}
          hasFocus={isNew}
          placeholder="jobs/#"
          isRequired
          isCode
        />
        <TextField
          label="Name"
          help={
            form.name === '' && form.topicFilter !== ''
              ? `Left empty: /${form.topicFilter}. Consumers subscribe to $q/${form.topicFilter}.`
              : 'Consumers of a named queue subscribe to $queue/ and its name.'
          }
          value={form.name}
          onInput={change('name')}
          fault={faults.name}
          isReadOnly={!isNew}
          isCode
        />
        <SelectField
          label="Keeps"
          value={form.kind}
          options={[
            { value: 'regular', label: 'Every message, until a consumer acknowledged it' },
            { value: 'lastvalue', label: 'The newest message of each key' },
          ]}
          onChange={change('kind')}
          isDisabled={!isNew}
          help="For work, every message; for the state of devices and commands to them, the newest. Never changes."
        />
        <SelectField
          label="Dispatch strategy"
          value={form.strategy}
          options={strategies}
          onChange={change('strategy')}
          help={strategyHelp[form.strategy]}
        />
      </div>
      {isNew ? <TopicCheck filter={form.topicFilter} /> : null}
      {form.kind === 'lastvalue' ? (
        <>
          <div class="columns">
            <TextField
              label="Key expression"
              help={
                <>
                  A newer message replaces an older one with the same key. <code>message.from</code> is the
                  publisher, <code>message.topic</code> the topic,{' '}
                  <code>message.headers.properties.User-Property.key</code> a user property.
                </>
              }
              value={form.keyExpression}
              onInput={change('keyExpression')}
              fault={faults.keyExpression}
              isCode
            />
            <SelectField
              label="A message without a key"
              value={form.keyErrorPolicy}
              options={[
                { value: 'drop', label: 'is dropped and counted' },
                { value: 'reject', label: 'is refused to its publisher' },
                { value: 'use_empty', label: 'has the empty key' },
              ]}
              onChange={change('keyErrorPolicy')}
            />
          </div>
          <KeyPreview expression={form.keyExpression} topic={exampleTopic} />
        </>
      ) : null}
      <div class="columns">
        <TextField
          label="Keep messages for"
          help="Older messages are deleted, delivered or not."
          value={form.retention}
          onInput={change('retention')}
          fault={faults.retention}
          isCode
        />
        <TextField
          label="Unacknowledged messages per consumer"
          help="Most that any consumer holds. Small values share a backlog more evenly."
          placeholder="10"
          value={form.inFlightMax}
          onInput={change('inFlightMax')}
          fault={faults.inFlightMax}
          isCode
        />
        <TextField
          label="The same for a fast consumer"
          help="One that answers thousands per second may hold so many, as far as it needs 10 ms for them. Empty: as above if that is given."
          placeholder={form.inFlightMax === '' ? '200' : form.inFlightMax}
          value={form.fastInFlightMax}
          onInput={change('fastInFlightMax')}
          fault={faults.fastInFlightMax}
          isCode
        />
        <TextField
          label="Most messages"
          placeholder="no limit"
          value={form.messagesMax}
          onInput={change('messagesMax')}
          fault={faults.messagesMax}
          isCode
        />
        <TextField
          label="Most bytes"
          placeholder="no limit"
          value={form.bytesMax}
          onInput={change('bytesMax')}
          fault={faults.bytesMax}
          isCode
        />
        <SelectField
          label="When it is full"
          value={form.overflow}
          options={[
            { value: 'drop_oldest', label: 'the oldest messages are deleted' },
            { value: 'reject_publish', label: 'new messages are refused' },
          ]}
          onChange={change('overflow')}
        />
        <TextField
          label="Pause before a rejected message returns"
          help="To the same consumer, when there is no other."
          value={form.redispatchInterval}
          onInput={change('redispatchInterval')}
          fault={faults.redispatchInterval}
          isCode
        />
      </div>
      <Fault text={fault} />
    </Dialog>
  );
}
