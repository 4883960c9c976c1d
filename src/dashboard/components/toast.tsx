/**
 * Short messages about what was just done, at the edge of the window. In the browser.
 *
 * Always true: they are live regions that exist from the start, polite for what worked, assertive for what failed; they take no
 * focus; at most four are shown; what worked goes after 5 s, a fault stays until it is closed.
 */
import { signal } from '@preact/signals';

import { messageOf } from '../base/api.js';
import { Button } from './button.js';

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly isFault: boolean;
}

const shownMax = 4;
const shownMs = 5000;
const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

/** Tells that something worked. */
export function toast(text: string): void {
  const id = show(text, false);
  setTimeout(() => close(id), shownMs);
}

/** Tells that something failed, with the reason. */
export function toastError(error: unknown): void {
  show(messageOf(error), true);
}

/** Runs an action and tells how it went; true when it worked. */
export async function attempt(action: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await action();
    toast(done);
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}

/** The place where they are shown; once per page. */
export function Toaster() {
  return (
    <div class="toaster">
      <div role="status" aria-live="polite">
        {toasts.value.filter(({ isFault }) => !isFault).map(toView)}
      </div>
      <div role="alert" aria-live="assertive">
        {toasts.value.filter(({ isFault }) => isFault).map(toView)}
      </div>
    </div>
  );
}

function toView({ id, text, isFault }: Toast) {
  return (
    <div key={id} class={`toast notice ${isFault ? 'bad' : 'good'}`}>
      {text}
      <Button kind="link" label="Close message" onClick={() => close(id)}>
        ×
      </Button>
    </div>
  );
}

function show(text: string, isFault: boolean): number {
  lastId += 1;
  toasts.value = [...toasts.value, { id: lastId, text, isFault }].slice(-shownMax);
  return lastId;
}

function close(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
