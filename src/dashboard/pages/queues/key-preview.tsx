/**
 * The key that a key expression gives for a message that can be changed. In the browser.
 *
 * Always true: the broker evaluates the expression, with the code that it evaluates messages with; what was typed last wins. A
 * fault in the expression says where it is, and shows the place.
 */
import { useState } from 'preact/hooks';

import { post } from '../../base/api.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { TextArea, TextField } from '../../components/field.js';

/** Answer of `POST /key_expression/check`. */
export interface KeyExpressionCheck {
  readonly ok: boolean;
  readonly key?: string;
  readonly error?: { readonly message: string; readonly position?: number };
}

interface Sample {
  readonly topic: string;
  readonly clientId: string;
  readonly username: string;
  readonly payload: string;
  readonly propertyName: string;
  readonly propertyValue: string;
}

const start: Omit<Sample, 'topic'> = {
  clientId: 'device1',
  username: '',
  payload: '{"color":"blue"}',
  propertyName: 'key',
  propertyValue: 'set-color',
};

/** See the file header. `topic` is a topic that the queue takes. */
export function KeyPreview(props: { expression: string; topic: string }) {
  const [changes, setChanges] = useState<Partial<Sample>>({});
  const sample: Sample = { ...start, topic: props.topic, ...changes };
  const question = useDebounced(JSON.stringify({ expression: props.expression, message: messageOf(sample) }));
  const { data, error } = useResource(
    (signal) => post<KeyExpressionCheck>('/key_expression/check', JSON.parse(question), signal),
    [question],
  );
  const change = (field: keyof Sample) => (value: string) => setChanges({ ...changes, [field]: value });
  return (
    <fieldset>
      <legend>Key of a sample message</legend>
      <p class="key-result" role="status">
        {error === '' ? <Result check={data} expression={props.expression} /> : error}
      </p>
      <div class="columns">
        <TextField label="Topic" value={sample.topic} onInput={change('topic')} isCode />
        <TextField label="Client id" value={sample.clientId} onInput={change('clientId')} isCode />
        <TextField label="User name" value={sample.username} onInput={change('username')} isCode />
        <TextField
          label="User property: name"
          value={sample.propertyName}
          onInput={change('propertyName')}
          isCode
        />
        <TextField
          label="User property: value"
          value={sample.propertyValue}
          onInput={change('propertyValue')}
          isCode
        />
        <TextArea label="Payload" rows={2} value={sample.payload} onInput={change('payload')} isCode />
      </div>
    </fieldset>
  );
}

function Result(props: { check: KeyExpressionCheck | undefined; expression: string }) {
  const { check, expression } = props;
  if (check === undefined) return null;
  if (check.ok) {
    return (
      <>
        <Badge tone="good">Key</Badge> <code>{check.key === '' ? '(empty text)' : check.key}</code>
      </>
    );
  }
  const position = check.error?.position;
  return (
    <>
      <Badge tone="bad">No key</Badge> {check.error?.message}
      {position === undefined ? null : (
        <code class="pointed">
          {expression.slice(0, position)}
          <mark>{expression.slice(position, position + 1) || '\u00a0'}</mark>
          {expression.slice(position + 1)}
        </code>
      )}
    </>
  );
}

function messageOf(sample: Sample) {
  return {
    topic: sample.topic,
    clientid: sample.clientId,
    ...(sample.username === '' ? {} : { username: sample.username }),
    qos: 1,
    payload: sample.payload,
    user_properties: sample.propertyName === '' ? {} : { [sample.propertyName]: sample.propertyValue },
  };
}
