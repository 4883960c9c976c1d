/**
 * Asks before all messages of a queue are deleted. In the browser.
 *
 * Always true: it says that messages in flight go, too, and afterwards how many went. The queue itself and its consumers stay.
 * A failure stays in the dialog.
 */
import { longTimeoutMs, post } from '../../base/api.js';
import { plural } from '../../base/format.js';
import { ConfirmDialog } from '../../components/dialog.js';
import { toast } from '../../components/toast.js';

/** `path` is the queue's in the API. */
export function PurgeDialog(props: { name: string; path: string; onClose: () => void }) {
  return (
    <ConfirmDialog
      title={`Purge ${props.name}`}
      confirmLabel="Delete all messages"
      onClose={props.onClose}
      onConfirm={async () => {
        const { purged } = await post<{ purged: number }>(
          `${props.path}/purge`,
          undefined,
          undefined,
          longTimeoutMs,
        );
        toast(`${plural(purged, 'message')} deleted.`);
      }}
    >
      <p>All messages are deleted for good, also those that consumers have and have not acknowledged yet.</p>
    </ConfirmDialog>
  );
}
