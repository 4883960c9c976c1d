/**
 * What stands around every page: skip link, navigation, connection state, theme, logout. In the browser.
 *
 * Always true: landmarks are header, nav and main; the first tab stop skips to the page; the current page is marked for screen
 * readers, too. On a phone the navigation folds behind a button, and folds again when a page was chosen.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { streamState } from '../base/live.js';
import { href, place } from '../base/router.js';
import { session } from '../base/session.js';
import { type Theme, theme } from '../base/theme.js';
import type { RouteEntry } from '../routes.js';
import { Badge } from './badge.js';
import { Button } from './button.js';

const groups = ['Messages', 'Clients', 'Broker'] as const;

/** See the file header. */
export function Layout(props: {
  routes: readonly RouteEntry[];
  current: string;
  onLogout: () => void;
  children: ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(false);
  const address = place.value;
  useEffect(() => setOpen(false), [address]);
  return (
    <div class="shell">
      <a
        class="skip"
        href="#page-title"
        onClick={(event) => {
          // The address after # is the router's.
          event.preventDefault();
          document.querySelector('main')?.focus();
        }}
      >
        Skip to the page
      </a>
      <header class="top">
        <Button kind="link" expanded={isOpen} controls="navigation" onClick={() => setOpen(!isOpen)}>
          <span class="menu-only">Menu</span>
        </Button>
        <a class="brand" href={href(['overview'])}>
          Sluice
        </a>
        <ConnectionState />
        <span class="top-space" />
        <ThemeChoice />
        <span class="who">{session.value?.username}</span>
        <Button onClick={props.onLogout}>Log out</Button>
      </header>
      <nav id="navigation" class={isOpen ? 'open' : undefined} aria-label="Pages">
        {groups.map((group) => {
          const pages = props.routes.filter((route) => route.group === group);
          if (pages.length === 0) return null;
          return (
            <div key={group} class="nav-group">
              <h2 id={`nav-${group}`}>{group}</h2>
              <ul aria-labelledby={`nav-${group}`}>
                {pages.map((route) => (
                  <li key={route.name}>
                    <a
                      href={href([route.name])}
                      aria-current={route.name === props.current ? 'page' : undefined}
                    >
                      {route.title}
                    </a>
                  </li>
                ))}
                {group === 'Broker' ? (
                  <li>
                    <a href="../api-docs">REST API</a>
                  </li>
                ) : null}
              </ul>
            </div>
          );
        })}
      </nav>
      <main tabIndex={-1}>{props.children}</main>
    </div>
  );
}

function ConnectionState() {
  const state = streamState.value;
  return (
    <span role="status" class="connection">
      {state === 'open' ? <Badge tone="good">Live</Badge> : null}
      {state === 'connecting' ? <Badge>Connecting</Badge> : null}
      {state === 'waiting' ? <Badge tone="bad">Connection lost, trying again</Badge> : null}
    </span>
  );
}

function ThemeChoice() {
  return (
    <select
      class="theme"
      aria-label="Colours"
      value={theme.value}
      onChange={(event) => (theme.value = event.currentTarget.value as Theme)}
    >
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}
