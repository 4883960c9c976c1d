/**
 * What is shown where there is nothing to show. In the browser.
 *
 * Always true: it says why there is nothing and what to do about it, and is not shown before an answer of the broker says that
 * there is nothing.
 */
import type { ComponentChildren } from 'preact';

/** A title, an explanation, and perhaps the button that changes it. */
export function EmptyState(props: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children}
    </div>
  );
}
