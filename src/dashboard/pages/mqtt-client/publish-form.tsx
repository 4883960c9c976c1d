/**
 * Publishes messages: one, or many in a row. In the browser.
 *
 * Always true: what has become of them is counted and announced; the client keeps what stands in the form, so that the same message can be sent again.
 * User properties are offered only where the protocol has them.
 */
import { count as countText } from '../../base/format.js';
import { Button } from '../../components/button.js';
import { CheckField, SelectField, TextArea, TextField } from '../../components/field.js';
import { Panel } from '../../components/page.js';
import { qosOptions } from '../clients/subscribe-dialog.js';
import { wholeNumber } from './connect-form.js';
import type { Draft, PageClient } from './page-client.js';
import type { PublishProgress } from './repeat.js';

const countMax = 100_000;
const intervalMaxMs = 60_000;

/** See the file header. */
export function PublishForm({ client }: { client: PageClient }) {
  const { topic, payload, qos, retain, userProperties, count, intervalMs } = client.draft.value;
  const progress = client.repeater.progress.value;
  const isRunning = progress.state === 'running';
  const isConnected = client.state.value === 'connected';
  const topicFault = /[+#]/.test(topic) ? 'A topic has no + and no #; those are for subscriptions.' : '';
  const isReady = isConnected && topic !== '' && topicFault === '';
  const change = (changes: Partial<Draft>): void => {
    client.draft.value = { ...client.draft.value, ...changes };
  };
  const setProperty = (index: number, next: readonly [string, string] | undefined): void =>
    change({
      userProperties: userProperties.flatMap((old, at) =>
        at !== index ? [old] : next === undefined ? [] : [next],
      ),
    });
  function publish(): void {
    if (!isReady || isRunning) return;
    const named = userProperties.filter(([name]) => name !== '');
    const times = Math.max(1, wholeNumber(count, countMax));
    void client.repeater.run(times, wholeNumber(intervalMs, intervalMaxMs), (number) =>
      client.publish({
        topic,
        payload: payload.replaceAll('{n}', String(number)),
        qos: Number(qos) as 0 | 1 | 2,
        retain,
        userProperties: named,
      }),
    );
  }
  return (
    <Panel title="Publish">
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          publish();
        }}
      >
        <TextField
          label="Topic"
          fault={topicFault}
          value={topic}
          onInput={(next) => change({ topic: next })}
          isCode
        />
        <TextArea
          label="Payload"
          help="{n} becomes the number of the message."
          value={payload}
          onInput={(next) => change({ payload: next })}
          rows={3}
          isCode
        />
        <div class="columns">
          <SelectField
            label="QoS"
            value={qos}
            options={qosOptions}
            onChange={(next) => change({ qos: next })}
          />
          <TextField
            label="How many"
            type="number"
            min={1}
            max={countMax}
            value={count}
            onInput={(next) => change({ count: next })}
          />
          <TextField
            label="Pause between two, ms"
            type="number"
            min={0}
            max={intervalMaxMs}
            value={intervalMs}
            onInput={(next) => change({ intervalMs: next })}
          />
        </div>
        <CheckField
          label="Retain"
          help="New subscribers of the topic get the last such message."
          isChecked={retain}
          onChange={(next) => change({ retain: next })}
        />
        {client.settings.value.version === '5' ? (
          <fieldset class="properties">
            <legend>User properties</legend>
            {userProperties.map(([name, value], index) => (
              <div class="property" key={index}>
                <input
                  aria-label={`Name of user property ${index + 1}`}
                  value={name}
                  onInput={(event) => setProperty(index, [event.currentTarget.value, value])}
                />
                <input
                  aria-label={`Value of user property ${index + 1}`}
                  value={value}
                  onInput={(event) => setProperty(index, [name, event.currentTarget.value])}
                />
                <Button
                  kind="link"
                  label={`Remove user property ${index + 1}`}
                  onClick={() => setProperty(index, undefined)}
                >
                  Remove
                </Button>
              </div>
            ))}
            <Button onClick={() => change({ userProperties: [...userProperties, ['', '']] })}>
              Add a user property
            </Button>
          </fieldset>
        ) : null}
        <div class="page-actions">
          <Button type="submit" kind="primary" isBusy={isRunning} isDisabled={!isReady}>
            Publish
          </Button>
          {isRunning ? <Button onClick={() => client.repeater.stop()}>Stop</Button> : null}
          <span role="status">{progressText(progress)}</span>
        </div>
      </form>
    </Panel>
  );
}

function progressText({ state, sent, done, failed, note }: PublishProgress): string {
  if (sent === 0) return '';
  const parts = [
    `${countText(sent)} sent`,
    `${countText(done)} done`,
    ...(failed > 0 ? [`${countText(failed)} failed`] : []),
    ...(note === '' ? [] : [note]),
  ];
  return `${parts.join(', ')}${state === 'running' ? ' …' : '.'}`;
}
