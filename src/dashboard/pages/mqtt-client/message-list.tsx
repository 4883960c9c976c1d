/**
 * The messages that a client has received, newest first. In the browser.
 *
 * Always true: at most `rowsMax` are in the document, whatever comes in; a row opens to its payload and properties. Holding the list
 * still does not hold back the client.
 */
import { useState } from 'preact/hooks';

import { bytes, count, time } from '../../base/format.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { Facts, Panel } from '../../components/page.js';
import { PayloadView, textOf } from '../../components/payload-view.js';
import type { PageClient } from './page-client.js';
import type { ReceivedMessage } from './received.js';

const rowsMax = 100;
const previewChars = 120;

/** See the file header. */
export function MessageList({ client }: { client: PageClient }) {
  const [held, setHeld] = useState<readonly ReceivedMessage[] | undefined>(undefined);
  const [openNumber, setOpen] = useState(0);
  const { list, total } = client.received;
  const shown = (held ?? list.value).slice(0, rowsMax);
  return (
    <Panel
      title="Received messages"
      actions={
        <>
          <span role="status" class="soft">
            {count(total.value)} received
            {total.value > shown.length ? `, the last ${count(shown.length)} are shown` : ''}
          </span>
          <Button
            pressed={held !== undefined}
            onClick={() => setHeld(held === undefined ? list.value : undefined)}
          >
            Hold
          </Button>
          <Button
            isDisabled={total.value === 0}
            onClick={() => {
              setHeld(undefined);
              client.received.clear();
            }}
          >
            Clear
          </Button>
        </>
      }
    >
      {shown.length === 0 ? <EmptyState title="Nothing has been received." /> : null}
      <ol class="messages" aria-label="Received messages, newest first">
        {shown.map((message) => (
          <li key={message.number}>
            <button
              type="button"
              class="message"
              aria-expanded={message.number === openNumber}
              onClick={() => setOpen(message.number === openNumber ? 0 : message.number)}
            >
              <span class="soft nowrap">
                {count(message.number)} · {time(message.timeMs)}
              </span>
              <code class="message-topic">{message.topic}</code>
              <span class="message-preview">{preview(message)}</span>
              <span class="nowrap">
                <Badge>QoS {message.qos}</Badge>
                {message.retain ? <Badge>retained</Badge> : null}
                {message.dup ? <Badge tone="warn">repeated</Badge> : null}
              </span>
            </button>
            {message.number === openNumber ? <Opened message={message} /> : null}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Opened({ message }: { message: ReceivedMessage }) {
  const { userProperties, contentType } = message;
  return (
    <div class="message-opened">
      <PayloadView payload={message.payload} totalBytes={message.payloadBytes} />
      <Facts
        facts={[
          ...(contentType === '' ? [] : [['Content type', contentType] as const]),
          ...userProperties.map(([name, value]) => [`User property ${name}`, value] as const),
        ]}
      />
    </div>
  );
}

function preview({ payload, payloadBytes }: ReceivedMessage): string {
  if (payloadBytes === 0) return '(empty)';
  const text = textOf(payload.subarray(0, previewChars * 4), true);
  return text === undefined ? `(${bytes(payloadBytes)} of binary data)` : text.slice(0, previewChars);
}
