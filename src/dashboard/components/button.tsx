/**
 * Buttons. In the browser.
 *
 * Always true: a button that is busy cannot be pressed twice, keeps its width and says so to screen readers; the kind says what
 * it does to the broker: `primary` is what the page is for, `danger` loses something, `plain` is everything else.
 */
import type { ComponentChildren } from 'preact';

/** What a press does. */
export type ButtonKind = 'primary' | 'danger' | 'plain' | 'link';

/** See the file header. `label` names a button whose content is not text. */
export function Button(props: {
  kind?: ButtonKind;
  type?: 'button' | 'submit';
  isBusy?: boolean;
  isDisabled?: boolean;
  label?: string;
  pressed?: boolean;
  expanded?: boolean;
  controls?: string;
  onClick?: () => void;
  children: ComponentChildren;
}) {
  const { kind = 'plain', type = 'button', isBusy = false, isDisabled = false } = props;
  return (
    <button
      type={type}
      class={`button ${kind}`}
      disabled={isDisabled}
      aria-disabled={isBusy}
      aria-busy={isBusy}
      aria-label={props.label}
      aria-pressed={props.pressed}
      aria-expanded={props.expanded}
      aria-controls={props.controls}
      onClick={(event) => {
        // A busy button stays focusable, so that the focus is not lost; it only does nothing.
        if (isBusy) event.preventDefault();
        else props.onClick?.();
      }}
    >
      {props.children}
    </button>
  );
}
