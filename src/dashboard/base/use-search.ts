/**
 * A list that the broker searches and pages, with what is searched for in the address. In the browser.
 *
 * Always true: the address alone says what is shown, so that a reload and a link show the same; a page or a limit in it that is no
 * number counts as none; a change of the search begins at the first page.
 */
import { get } from './api.js';
import { place, setQuery } from './router.js';
import type { Page } from './types.js';
import { useDebounced } from './use-debounced.js';
import { type Resource, useResource } from './use-resource.js';

/** Number of the page, from 1, and its rows at most, as the address has them. */
export function pageOf(query: URLSearchParams): { readonly page: number; readonly limit: number } {
  const number = (name: string, otherwise: number): number => {
    const value = Number(query.get(name) ?? otherwise);
    return Number.isInteger(value) && value > 0 ? value : otherwise;
  };
  return { page: number('page', 1), limit: number('limit', 50) };
}

/** What such a list shows. */
export interface Search<Row, Parameter extends string> extends Resource<Page<Row>> {
  /** By parameter of the API; '' is not searched for. */
  readonly search: Readonly<Record<Parameter, string>>;
  readonly isSearch: boolean;
  readonly page: number;
  readonly limit: number;
  /** Changes the address, by its names. */
  readonly change: (changes: Readonly<Record<string, string>>) => void;
}

/** Reads `path` every `intervalMs`. `names`: parameter of the API → its name in the address. */
export function useSearch<Row, Parameter extends string>(
  path: string,
  names: Readonly<Record<Parameter, string>>,
  intervalMs: number,
): Search<Row, Parameter> {
  const { query } = place.value;
  const entries = Object.entries<string>(names).map(([parameter, name]) => [
    parameter,
    query.get(name) ?? '',
  ]);
  const search = Object.fromEntries(entries) as Record<Parameter, string>;
  const { page, limit } = pageOf(query);
  const settled = useDebounced(JSON.stringify(search));
  const resource = useResource(
    (signal) =>
      get<Page<Row>>(path, { ...(JSON.parse(settled) as Record<string, string>), page, limit }, signal),
    [settled, page, limit],
    intervalMs,
  );
  return {
    ...resource,
    search,
    isSearch: entries.some(([, value]) => value !== ''),
    page,
    limit,
    change: (changes) => setQuery({ page: '', ...changes }),
  };
}
