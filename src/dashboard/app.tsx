/**
 * The dashboard: the login page, or the page that the address names. In the browser.
 *
 * Always true: without a login nothing but the login page is shown and nothing is asked of the broker; the old page stays until
 * the new one is loaded; after navigation the focus is on the new page's title. A page that throws takes only itself down.
 */
import { Component, type ComponentChildren, type ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

import { apiUrl, authorization, messageOf } from './base/api.js';
import { place } from './base/router.js';
import { endSession, session } from './base/session.js';
import { Button } from './components/button.js';
import { EmptyState } from './components/empty-state.js';
import { Layout } from './components/layout.js';
import { Page } from './components/page.js';
import { Toaster } from './components/toast.js';
import { LoginPage } from './pages/login/page.js';
import { type PageProps, type RouteEntry, routes } from './routes.js';

const loaded = new Map<string, ComponentType<PageProps>>();

/** See the file header. */
export function App() {
  return (
    <>
      {session.value === undefined ? <LoginPage /> : <Inside />}
      <Toaster />
    </>
  );
}

function Inside() {
  const { segments } = place.value;
  const [first = routes[0]?.name ?? '', ...rest] = segments;
  const route = routes.find(({ name }) => name === first);
  return (
    <Layout routes={routes} current={first} onLogout={() => void logout()}>
      {route === undefined ? <NoSuchPage /> : <Loaded route={route} rest={rest} />}
    </Layout>
  );
}

function Loaded(props: { route: RouteEntry; rest: readonly string[] }) {
  const { route, rest } = props;
  const [shown, setShown] = useState<readonly [RouteEntry, readonly string[]] | undefined>(undefined);
  const [fault, setFault] = useState('');
  const isFirst = useRef(true);
  const address = `${route.name}/${rest.join('/')}`;
  useEffect(() => {
    let isWanted = true;
    const load = loaded.has(route.name)
      ? Promise.resolve()
      : route.load().then((page) => {
          loaded.set(route.name, page);
        });
    load.then(
      () => {
        if (isWanted) setShown([route, rest]);
        if (isWanted) setFault('');
      },
      (error: unknown) => {
        if (isWanted) setFault(messageOf(error));
      },
    );
    return () => {
      isWanted = false;
    };
  }, [address]);
  useEffect(() => {
    if (shown === undefined) return;
    window.scrollTo(0, 0);
    // Whoever has just opened the dashboard is left where the browser begins.
    if (!isFirst.current) document.querySelector<HTMLElement>('#page-title')?.focus({ preventScroll: true });
    isFirst.current = false;
  }, [shown]);
  if (fault !== '') return <LoadFault text={fault} />;
  const View = shown === undefined ? undefined : loaded.get(shown[0].name);
  if (shown === undefined || View === undefined) return null;
  return (
    <Boundary key={`${shown[0].name}/${shown[1].join('/')}`}>
      <View rest={shown[1]} />
    </Boundary>
  );
}

function LoadFault(props: { text: string }) {
  return (
    <Page title="This page could not be loaded" fault={props.text}>
      <EmptyState title="The broker may have been updated since the dashboard was opened.">
        <Button kind="primary" onClick={() => location.reload()}>
          Load again
        </Button>
      </EmptyState>
    </Page>
  );
}

function NoSuchPage() {
  return (
    <Page title="No such page">
      <EmptyState title="The address names no page of this dashboard." />
    </Page>
  );
}

/** Catches what a page throws while it is drawn. */
class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  override componentDidCatch(error: unknown): void {
    this.setState({ error });
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <Page title="This page failed" fault={messageOf(this.state.error)}>
        <EmptyState title="The other pages still work.">
          <Button onClick={() => this.setState({ error: undefined })}>Try again</Button>
        </EmptyState>
      </Page>
    );
  }
}

async function logout(): Promise<void> {
  const headers = authorization();
  // First here, so that the event stream is closed by us and not cut off by the broker.
  endSession();
  try {
    await fetch(apiUrl('/logout'), { method: 'POST', headers, credentials: 'omit' });
  } catch {
    // The token ends by itself within the hour.
  }
}
