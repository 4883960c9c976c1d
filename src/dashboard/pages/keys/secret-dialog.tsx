/**
 * Shows the secret of a new API key, once. In the browser.
 *
 * Always true: nothing of it stays in the page after the dialog is closed. Where the browser does not let pages copy, as over plain
 * HTTP from another machine, the text can be selected.
 */
import { useState } from 'preact/hooks';

import { Button } from '../../components/button.js';
import { Dialog } from '../../components/dialog.js';
import { TextField } from '../../components/field.js';
import './keys.css';
import type { NewKey } from './types.js';

/** See the file header. */
export function SecretDialog({ made, onClose }: { made: NewKey; onClose: () => void }) {
  return (
    <Dialog
      title={`The API key ${made.name}`}
      onClose={onClose}
      actions={
        <Button kind="primary" onClick={onClose}>
          I have kept the secret
        </Button>
      }
    >
      <p>The secret is shown this once. The broker keeps no copy that could be read.</p>
      <CopyField label="API key" value={made.api_key} />
      <CopyField label="Secret" value={made.api_secret} />
      <p class="help">
        For example: <code>curl -u {made.api_key}:… http://…/api/v5/queues</code>
      </p>
    </Dialog>
  );
}

function CopyField({ label, value }: { label: string; value: string }) {
  const [state, setState] = useState('');
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(value);
      setState('Copied.');
    } catch {
      setState('The browser does not allow it; select the text and copy it.');
    }
  }
  return (
    <div class="copy-field">
      <TextField label={label} value={value} onInput={() => undefined} isReadOnly isCode />
      <Button label={`Copy ${label}`} onClick={() => void copy()}>
        Copy
      </Button>
      <span role="status" class="soft">
        {state}
      </span>
    </div>
  );
}
