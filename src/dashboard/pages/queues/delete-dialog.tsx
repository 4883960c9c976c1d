/**
 * Asks before a queue is deleted. In the browser.
 *
 * Always true: the name has to be typed, because neither the queue nor its messages come back; how many messages are lost is
 * said. A failure stays in the dialog.
 */
import { remove } from '../../base/api.js';
import { plural } from '../../base/format.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { toast } from '../../components/toast.js';

/** `messages` waiting or in flight, as far as is known. */
export function DeleteQueueDialog(props: {
  name: string;
  messages: number;
  onClose: () => void;
  onDone: () => void;
}) {
  const { name, messages } = props;
  return (
    <ConfirmDialog
      title={`Delete ${name}`}
      confirmLabel="Delete queue"
      typed={name}
      onClose={props.onClose}
      onConfirm={async () => {
        await remove(`/queues/${encodeURIComponent(name)}`);
        toast(`Queue ${name} was deleted.`);
        props.onDone();
      }}
    >
      <p>
        The queue and its {plural(messages, 'message')} are deleted for good. New messages of its topics are
        no longer stored.
      </p>
    </ConfirmDialog>
  );
}
