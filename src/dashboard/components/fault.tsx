/**
 * What went wrong, where it went wrong. In the browser.
 *
 * Always true: it is announced to screen readers when it appears; the live region exists before its text, because a region
 * that arrives with its text is often not read. An empty text takes no room. Gives up telling faults apart by colour only.
 */
import { Button } from './button.js';

/** A message in the place of what failed; with `onRetry` also the button to try again. */
export function Fault(props: { text: string; onRetry?: () => void }) {
  return (
    <div role="alert" class={props.text === '' ? undefined : 'notice bad'}>
      {props.text}
      {props.text === '' || props.onRetry === undefined ? null : (
        <Button kind="link" onClick={props.onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
