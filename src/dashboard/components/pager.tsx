/**
 * Steps through the pages of a list whose length is known. In the browser.
 *
 * Always true: it says which entries are shown and of how many; at the first and last page the step that leads nowhere is
 * disabled; a page beyond the last, as after its last entry was deleted, leads to the last. Page numbers begin at 1. The caller
 * keeps page and size, best in the query of the address.
 */
import { useEffect } from 'preact/hooks';

import { count } from '../base/format.js';
import { Button } from './button.js';

const sizes = [50, 100, 500, 1000];

/** `total` entries in pages of `limit`; without `onLimit` the size cannot be chosen. */
export function Pager(props: {
  page: number;
  limit: number;
  total: number;
  onPage: (page: number) => void;
  onLimit?: (limit: number) => void;
}) {
  const { page, limit, total } = props;
  const pages = Math.max(1, Math.ceil(total / limit));
  useEffect(() => {
    if (page > pages) props.onPage(pages);
  }, [page, pages]);
  const first = total === 0 ? 0 : (page - 1) * limit + 1;
  return (
    <nav class="pager" aria-label="Pages of the list">
      <span aria-live="polite">
        {count(first)}–{count(Math.min(page * limit, total))} of {count(total)}
      </span>
      <Button isDisabled={page <= 1} onClick={() => props.onPage(page - 1)}>
        Previous
      </Button>
      <Button isDisabled={page >= pages} onClick={() => props.onPage(page + 1)}>
        Next
      </Button>
      {props.onLimit === undefined ? null : (
        <label>
          Rows{' '}
          <select
            value={String(limit)}
            onChange={(event) => props.onLimit?.(Number(event.currentTarget.value))}
          >
            {sizes.map((size) => (
              <option key={size} value={String(size)}>
                {size}
              </option>
            ))}
          </select>
        </label>
      )}
    </nav>
  );
}
