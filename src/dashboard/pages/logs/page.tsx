/**
 * The last warnings and errors of the broker, and new ones as they come. In the browser.
 *
 * Always true: the newest stand first; at most `shownMax` are kept. What came while the page is open arrives by the event stream
 * and is announced politely; pausing holds new ones back without losing them.
 */
import { useEffect, useState } from 'preact/hooks';

import { get } from '../../base/api.js';
import { count, dateTime } from '../../base/format.js';
import { watchLog } from '../../base/live.js';
import { place, setQuery } from '../../base/router.js';
import type { LogEntry } from '../../base/types.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import './logs.css';

const shownMax = 500;

/** See the file header. */
export function LogsPage() {
  const { query } = place.value;
  const level = query.get('level') ?? '';
  const search = query.get('search') ?? '';
  const [news, setNews] = useState<readonly LogEntry[]>([]);
  const [isPaused, setPaused] = useState(false);
  const { data, error, reload } = useResource(
    (signal) => get<{ readonly data: readonly LogEntry[] }>('/logs', { level: 'warn', limit: 200 }, signal),
    [],
  );
  useEffect(() => watchLog((entry) => setNews((old) => [...old, entry].slice(-shownMax))), []);
  // What was read again replaces what came by the stream meanwhile.
  useEffect(() => setNews([]), [data]);
  const [held, setHeld] = useState<readonly LogEntry[]>([]);
  const live = isPaused ? held : news;
  const wanted = search.toLowerCase();
  const entries = [...(data?.data ?? []), ...live]
    .slice(-shownMax)
    .toReversed()
    .filter((entry) => level === '' || isError(entry))
    .filter(
      ({ message, module, fields }) =>
        wanted === '' || `${module} ${message} ${JSON.stringify(fields)}`.toLowerCase().includes(wanted),
    );
  return (
    <Page title="Logs" fault={error} onRetry={reload}>
      <div class="toolbar">
        <SearchBox label="Search the log" value={search} onInput={(next) => setQuery({ search: next })} />
        <select
          aria-label="Level"
          value={level}
          onChange={(event) => setQuery({ level: event.currentTarget.value })}
        >
          <option value="">Warnings and errors</option>
          <option value="error">Errors</option>
        </select>
        <Button
          pressed={isPaused}
          onClick={() => {
            setHeld(news);
            setPaused(!isPaused);
          }}
        >
          Pause
        </Button>
        <span class="soft" role="status">
          {isPaused && news.length > held.length ? `${count(news.length - held.length)} more` : ''}
        </span>
      </div>
      {data !== undefined && entries.length === 0 ? (
        <EmptyState
          title={
            search === '' && level === '' ? 'No warning and no error so far.' : 'No entry fits the search.'
          }
        />
      ) : null}
      <ol class="log" aria-label="Log entries, newest first">
        {entries.map((entry, index) => (
          <Entry key={`${entry.time_ms}-${entries.length - index}`} entry={entry} />
        ))}
      </ol>
    </Page>
  );
}

function Entry({ entry }: { entry: LogEntry }) {
  const hasFields = Object.keys(entry.fields).length > 0;
  return (
    <li>
      <span class="soft nowrap">{dateTime(entry.time_ms)}</span>{' '}
      <Badge tone={isError(entry) ? 'bad' : 'warn'}>{isError(entry) ? 'error' : 'warning'}</Badge>{' '}
      <Badge>{entry.module}</Badge> <span>{entry.message}</span>
      {hasFields ? (
        <details>
          <summary>Details</summary>
          <pre tabIndex={0}>{JSON.stringify(entry.fields, null, 2)}</pre>
        </details>
      ) : null}
    </li>
  );
}

function isError({ level }: LogEntry): boolean {
  return level !== 'warn';
}
