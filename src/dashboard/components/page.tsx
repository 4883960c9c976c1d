/**
 * The frame of every page: its title as the only `h1`, actions beside it, and the faults of what it reads. In the browser.
 *
 * Always true: the title is also the title of the window, and takes the focus after navigation, so that screen readers say
 * where one is. `Panel` is a titled part of a page, `Stat` one figure with its name, `Facts` a list of names and values.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useId } from 'preact/hooks';

import { Fault } from './fault.js';

/** See the file header. `fault` is why the page's data is missing or old. */
export function Page(props: {
  title: string;
  actions?: ComponentChildren;
  fault?: string;
  onRetry?: () => void;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · Sluice`;
  }, [props.title]);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1} id="page-title">
          {props.title}
        </h1>
        <div class="page-actions">{props.actions}</div>
      </div>
      <Fault text={props.fault ?? ''} {...(props.onRetry === undefined ? {} : { onRetry: props.onRetry })} />
      {props.children}
    </>
  );
}

/** A titled part of a page. */
export function Panel(props: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{props.title}</h2>
        <div class="page-actions">{props.actions}</div>
      </div>
      {props.children}
    </section>
  );
}

/** A figure with its name; `note` says what it is made of. Inside of `Stats`. */
export function Stat(props: { label: string; value: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="stat">
      <dt>{props.label}</dt>
      <dd>
        <span class="stat-value">{props.value}</span>
        {props.note === undefined ? null : <span class="stat-note">{props.note}</span>}
      </dd>
    </div>
  );
}

/** A row of `Stat`. */
export function Stats(props: { children: ComponentChildren }) {
  return <dl class="stats">{props.children}</dl>;
}

/** Names and values, one pair per line. */
export function Facts(props: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {props.facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
