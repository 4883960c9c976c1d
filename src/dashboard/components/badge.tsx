/**
 * A word that says in which state something is. In the browser.
 *
 * Always true: the word alone says it, the colour only repeats it. `good` is as it should be, `warn` wants to be looked at,
 * `bad` is a fault, `plain` is neither.
 */
import type { ComponentChildren } from 'preact';

/** What the state means for who runs the broker. */
export type Tone = 'plain' | 'good' | 'warn' | 'bad';

/** See the file header. */
export function Badge(props: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge ${props.tone ?? 'plain'}`}>{props.children}</span>;
}
