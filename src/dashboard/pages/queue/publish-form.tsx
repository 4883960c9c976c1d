/**
 * Publishes a test message to a topic of the queue. In the browser.
 *
 * Always true: it is an ordinary publish: every queue and subscriber that matches gets it; how the broker answered is said. The
 * form keeps its texts, so that several can be sent.
 */
import { useState } from 'preact/hooks';

import { messageOf, post } from '../../base/api.js';
import { Button } from '../../components/button.js';
import { Fault } from '../../components/fault.js';
import { CheckField, SelectField, TextArea, TextField } from '../../components/field.js';
import { toast } from '../../components/toast.js';
import { examplesOf } from '../queues/topic-example.js';

/** `filter` is the queue's topic filter. */
export function PublishForm(props: { filter: string }) {
  const [topic, setTopic] = useState(examplesOf(props.filter)[0] ?? '');
  const [payload, setPayload] = useState('{"hello":"world"}');
  const [qos, setQos] = useState<'0' | '1' | '2'>('1');
  const [isRetained, setRetained] = useState(false);
  const [propertyName, setPropertyName] = useState('');
  const [propertyValue, setPropertyValue] = useState('');
  const [fault, setFault] = useState('');
  const [isBusy, setBusy] = useState(false);
  const topicFault = /[+#]/.test(topic) ? 'A topic that is published to has no wildcards.' : '';
  async function publish(): Promise<void> {
    if (isBusy || topic === '' || topicFault !== '') return;
    setBusy(true);
    setFault('');
    try {
      const answer = await post<{ message?: string }>('/publish', {
        topic,
        payload,
        payload_encoding: 'plain',
        qos: Number(qos),
        retain: isRetained,
        ...(propertyName === ''
          ? {}
          : { properties: { user_properties: { [propertyName]: propertyValue } } }),
      });
      toast(answer.message === undefined ? `Published to ${topic}.` : `Published: ${answer.message}.`);
    } catch (error) {
      setFault(messageOf(error));
    }
    setBusy(false);
  }
  return (
    <form
      class="panel"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void publish();
      }}
    >
      <div class="columns">
        <TextField label="Topic" value={topic} onInput={setTopic} fault={topicFault} isRequired isCode />
        <SelectField
          label="QoS"
          value={qos}
          options={[
            { value: '0', label: '0, at most once' },
            { value: '1', label: '1, at least once' },
            { value: '2', label: '2, exactly once' },
          ]}
          onChange={setQos}
        />
        <TextField label="User property: name" value={propertyName} onInput={setPropertyName} isCode />
        <TextField label="User property: value" value={propertyValue} onInput={setPropertyValue} isCode />
      </div>
      <TextArea label="Payload" value={payload} onInput={setPayload} isCode />
      <CheckField
        label="Retain"
        help="New subscribers of the topic get it, too."
        isChecked={isRetained}
        onChange={setRetained}
      />
      <Fault text={fault} />
      <Button type="submit" kind="primary" isBusy={isBusy} isDisabled={topic === ''}>
        Publish
      </Button>
    </form>
  );
}
