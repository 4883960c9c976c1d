/**
 * Modal dialogs on the browser's own `<dialog>`. In the browser.
 *
 * Always true: the focus stays inside while it is open and returns to where it was; Escape and the close button both call
 * `onClose`; the page behind is inert. A confirmation of something that cannot be undone may ask for a name to be typed; its
 * button works only then. While an action runs (`isBusy`) nothing closes the dialog, and it shows why the action failed if it did.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

import { messageOf } from '../base/api.js';
import { Button } from './button.js';
import { TextField } from './field.js';
import { Fault } from './fault.js';

/** Open as long as it is rendered. `onSubmit` makes its content a form: Enter submits. */
export function Dialog(props: {
  title: string;
  /** An action runs: the dialog stays until its outcome is known. */
  isBusy?: boolean;
  onClose: () => void;
  onSubmit?: () => void;
  isWide?: boolean;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const isBusy = props.isBusy === true;
  const isOpen = useRef(false);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    isOpen.current = true;
    return () => {
      isOpen.current = false;
      element?.close();
      // What opened it may be gone with what was deleted.
      const after = before?.isConnected === true ? before : document.querySelector('#page-title');
      if (after instanceof HTMLElement) after.focus();
    };
  }, []);
  const content = (
    <>
      <div class="dialog-body">{props.children}</div>
      {props.actions === undefined ? null : <div class="dialog-actions">{props.actions}</div>}
    </>
  );
  return (
    <dialog
      ref={dialog}
      class={props.isWide === true ? 'wide' : undefined}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        if (!isBusy) props.onClose();
      }}
      onClose={() => {
        // A second Escape closes it whatever the handler above says.
        if (!isOpen.current) return;
        if (isBusy) dialog.current?.showModal();
        else props.onClose();
      }}
    >
      <div class="dialog-head">
        <h2 id={titleId}>{props.title}</h2>
        <Button kind="link" label="Close" isDisabled={isBusy} onClick={props.onClose}>
          ×
        </Button>
      </div>
      {props.onSubmit === undefined ? (
        content
      ) : (
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            props.onSubmit?.();
          }}
        >
          {content}
        </form>
      )}
    </dialog>
  );
}

/** Asks before something that cannot be undone. `typed` is the text that has to be typed first. */
export function ConfirmDialog(props: {
  title: string;
  confirmLabel: string;
  typed?: string;
  isDanger?: boolean;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const [text, setText] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState('');
  const isReady = props.typed === undefined || text === props.typed;
  async function confirm(): Promise<void> {
    if (!isReady || isBusy) return;
    setBusy(true);
    setFault('');
    try {
      await props.onConfirm();
      props.onClose();
    } catch (error) {
      setFault(messageOf(error));
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={props.title}
      isBusy={isBusy}
      onClose={props.onClose}
      onSubmit={() => void confirm()}
      actions={
        <>
          <Button isDisabled={isBusy} onClick={props.onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            kind={props.isDanger === false ? 'primary' : 'danger'}
            isBusy={isBusy}
            isDisabled={!isReady}
          >
            {props.confirmLabel}
          </Button>
        </>
      }
    >
      {props.children}
      {props.typed === undefined ? null : (
        <TextField label={`Type ${props.typed} to confirm`} value={text} onInput={setText} isCode hasFocus />
      )}
      <Fault text={fault} />
    </Dialog>
  );
}
