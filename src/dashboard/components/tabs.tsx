/**
 * Parts of a page of which one is shown. In the browser.
 *
 * Always true: keyboard and roles are those of the ARIA pattern: one tab stop, arrow keys, Home and End; the panel is named by
 * its tab. Which one is open is the caller's state, best kept in the query of the address.
 * Source: WAI-ARIA Authoring Practices, tabs with automatic activation.
 */
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';

/** `children` is the panel of the tab `current`. */
export function Tabs<K extends string>(props: {
  label: string;
  tabs: readonly { readonly key: K; readonly title: string }[];
  current: K;
  onChange: (key: K) => void;
  children: ComponentChildren;
}) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const { tabs, current } = props;
  function move(event: KeyboardEvent): void {
    const at = tabs.findIndex(({ key }) => key === current);
    const next = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    const tab = next === undefined ? undefined : tabs[next];
    if (tab === undefined || next === undefined) return;
    event.preventDefault();
    props.onChange(tab.key);
    const button = list.current?.children[next];
    if (button instanceof HTMLElement) button.focus();
  }
  return (
    <>
      <div class="tabs" role="tablist" aria-label={props.label} ref={list} onKeyDown={move}>
        {tabs.map(({ key, title }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`${id}-${key}`}
            aria-selected={key === current}
            aria-controls={`${id}-panel`}
            tabIndex={key === current ? 0 : -1}
            onClick={() => props.onChange(key)}
          >
            {title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${current}`}>
        {props.children}
      </div>
    </>
  );
}
