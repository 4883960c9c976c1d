/**
 * One retained message with its payload. In the browser.
 *
 * Always true: it is read when the dialog opens; when it is gone by then, that is what is shown.
 * Gives up following changes: it is the message of the moment.
 */
import { get } from '../../base/api.js';
import { duration } from '../../base/format.js';
import { useResource } from '../../base/use-resource.js';
import { Dialog } from '../../components/dialog.js';
import { Fault } from '../../components/fault.js';
import { Facts } from '../../components/page.js';
import { fromBase64, PayloadView } from '../../components/payload-view.js';
import type { RetainedContent } from './types.js';

/** See the file header. */
export function MessageDialog(props: { topic: string; onClose: () => void }) {
  const { data, error } = useResource(
    (signal) => get<RetainedContent>(`/mqtt/retainer/message/${encodeURIComponent(props.topic)}`, {}, signal),
    [props.topic],
  );
  return (
    <Dialog title={props.topic} onClose={props.onClose} isWide>
      <Fault text={error} />
      {data === undefined ? null : (
        <>
          <PayloadView payload={fromBase64(data.payload)} />
          <Facts facts={factsOf(data)} />
        </>
      )}
    </Dialog>
  );
}

function factsOf(message: RetainedContent): (readonly [string, string])[] {
  const { qos, message_expiry_interval: seconds, properties = {} } = message;
  const optional: readonly (readonly [string, string | undefined])[] = [
    ['Content type', properties.content_type],
    ['Response topic', properties.response_topic],
    ...Object.entries(properties.user_properties ?? {}).map(
      ([name, value]) => [`User property ${name}`, [value].flat().join(', ')] as const,
    ),
  ];
  return [
    ['QoS', String(qos)],
    ['Expires in', seconds === undefined ? 'never' : duration(seconds * 1000)],
    ...optional.flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, value] as const],
    ),
  ];
}
