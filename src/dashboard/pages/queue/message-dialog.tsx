/**
 * One message of a queue with everything that came with it. In the browser.
 *
 * Always true: user properties keep their order and duplicates; what the publisher did not set is not shown. Times are the
 * reader's own.
 */
import { bytes, count, dateTime, duration } from '../../base/format.js';
import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { Facts } from '../../components/page.js';
import { fromBase64, PayloadView } from '../../components/payload-view.js';

/** A message as the API shows it; `payload` is base64. */
export interface QueuedMessage {
  readonly offset: number;
  readonly topic: string;
  readonly from: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly timestamp: number;
  readonly message_expiry_interval?: number;
  readonly delivery_attempt: number;
  readonly state: 'ready' | 'in_flight';
  readonly key?: string;
  readonly properties: {
    readonly payload_format_indicator?: number;
    readonly content_type?: string;
    readonly response_topic?: string;
    readonly correlation_data?: string;
    readonly user_properties?: readonly { readonly key: string; readonly value: string }[];
  };
  readonly payload: string;
  readonly payload_size: number;
}

/** See the file header. */
export function MessageDialog(props: { message: QueuedMessage; onClose: () => void }) {
  const { message } = props;
  const { properties } = message;
  const optional = [
    ['Key', message.key],
    [
      'Expires in',
      message.message_expiry_interval === undefined
        ? undefined
        : duration(message.message_expiry_interval * 1000),
    ],
    ['Content type', properties.content_type],
    ['Response topic', properties.response_topic],
    ['Correlation data (base64)', properties.correlation_data],
  ] as const;
  const users = properties.user_properties ?? [];
  return (
    <Dialog
      title={`Message ${message.offset}`}
      isWide
      onClose={props.onClose}
      actions={<Button onClick={props.onClose}>Close</Button>}
    >
      <Facts
        facts={[
          ['Topic', <code key="topic">{message.topic}</code>],
          ['From client', <code key="from">{message.from}</code>],
          [
            'Arrived',
            `${dateTime(message.timestamp)}, ${duration(Math.max(0, Date.now() - message.timestamp))} ago`,
          ],
          ['State', message.state === 'ready' ? 'ready' : 'in flight'],
          ['Delivery attempts', count(message.delivery_attempt)],
          ['QoS', `${message.qos}${message.retain ? ', retained' : ''}`],
          ['Size', bytes(message.payload_size)],
          ...optional.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
        ]}
      />
      {users.length === 0 ? null : (
        <>
          <h3>User properties</h3>
          <ul class="pairs">
            {users.map(({ key, value }, index) => (
              <li key={`${index} ${key}`}>
                <code>{key}</code> <code>{value}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>Payload</h3>
      <PayloadView payload={fromBase64(message.payload)} />
    </Dialog>
  );
}
