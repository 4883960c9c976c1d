/**
 * Where the person is: the part of the address after `#`, as path and query. In the browser.
 *
 * Always true: the address is the only state of navigation, so that back, forward, reload and a copied link work; `place`
 * changes only when the address does. Path segments are percent-encoded in the address and plain here, so a queue
 * that is called `/a/#` is one segment. Gives up addresses without `#`, which would need rewriting in every proxy.
 */
import { signal } from '@preact/signals';

/** A parsed address. */
export interface Place {
  /** Decoded segments of the path: `#/queues/jobs` is `['queues', 'jobs']`. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

/** Where the person is now. */
export const place = signal<Place>(parse(location.hash));

window.addEventListener('hashchange', () => {
  place.value = parse(location.hash);
});

/** The address of a page, for `href`: `href(['queues', name], { tab: 'messages' })`. */
export function href(segments: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const path = segments.map((segment) => encodeURIComponent(segment)).join('/');
  const search = new URLSearchParams(query).toString();
  return `#/${path}${search === '' ? '' : `?${search}`}`;
}

/** Goes to a page; it becomes a step of the history. */
export function navigate(segments: readonly string[], query: Readonly<Record<string, string>> = {}): void {
  location.hash = href(segments, query);
}

/** Changes the query of the current page without a step in the history; an empty value takes its name away. */
export function setQuery(changes: Readonly<Record<string, string>>): void {
  const query = new URLSearchParams(place.value.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') query.delete(name);
    else query.set(name, value);
  }
  const next = href(place.value.segments, Object.fromEntries(query));
  history.replaceState(null, '', next);
  place.value = parse(next);
}

function parse(hash: string): Place {
  const [path, search] = split(hash.replace(/^#\/?/, ''));
  return {
    segments: path === '' ? [] : path.split('/').map((segment) => decode(segment)),
    query: new URLSearchParams(search),
  };
}

function split(text: string): [string, string] {
  const at = text.indexOf('?');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
