/**
 * The last warnings and errors of the broker, and new ones as they come. In the browser.
 *
 * Always true: the newest stand first; a bounded number is kept. What came while the page is open arrives by the event stream
 * and is announced politely; what came while there was no stream is read when there is one again; pausing holds new ones back
 * without losing them.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { get } from '../../base/api.js';
import { count, dateTime, time } from '../../base/format.js';
import { streamState, watchLog } from '../../base/live.js';
import { place, setQuery } from '../../base/router.js';
import type { LogEntry } from '../../base/types.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { Button } from '../../components/button.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import { type EntryList, noEntries, withRead, withStreamed } from './entry-list.js';
import './logs.css';

/** See the file header. */
export function LogsPage() {
  const { query } = place.value;
  const level = query.get('level') ?? '';
  const search = query.get('search') ?? '';
  const [list, setList] = useState(noEntries);
  /** While it is paused: what was there when it was. */
  const [held, setHeld] = useState<EntryList | undefined>(undefined);
  const [announced, setAnnounced] = useState('');
  const { data, error, reload } = useResource(
    (signal) => get<{ readonly data: readonly LogEntry[] }>('/logs', { level: 'warn', limit: 200 }, signal),
    [],
  );
  useEffect(() => {
    return watchLog((entry) => {
      setList((old) => withStreamed(old, entry));
      setAnnounced(`${time(entry.time_ms)}, ${levelName(entry)}, ${entry.module}: ${entry.message}`);
    });
  }, []);
  // Before anything is painted, so that what was read is never said to be empty.
  useLayoutEffect(() => {
    if (data !== undefined) setList((old) => withRead(old, data.data));
  }, [data]);
  const stream = streamState.value;
  const streamBefore = useRef(stream);
  useEffect(() => {
    if (stream === 'open' && streamBefore.current !== 'open') reload();
    streamBefore.current = stream;
  }, [stream, reload]);
  const isPaused = held !== undefined;
  const hidden = isPaused ? list.known.filter(({ number }) => number > held.lastNumber).length : 0;
  const wanted = search.toLowerCase();
  const entries = (held ?? list).known
    .toReversed()
    .filter(({ entry }) => level === '' || isError(entry))
    .filter(
      ({ entry: { message, module, fields } }) =>
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
        <Button pressed={isPaused} onClick={() => setHeld(isPaused ? undefined : list)}>
          Pause
        </Button>
        <span class="soft" role="status">
          {hidden > 0 ? `${count(hidden)} more` : ''}
        </span>
      </div>
      <p class="visually-hidden" aria-live="polite">
        {isPaused ? '' : announced}
      </p>
      {data !== undefined && entries.length === 0 ? (
        <EmptyState
          title={
            search === '' && level === '' ? 'No warning and no error so far.' : 'No entry fits the search.'
          }
        />
      ) : null}
      <ol class="log" aria-label="Log entries, newest first">
        {entries.map(({ number, entry }) => (
          <Entry key={number} entry={entry} />
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
      <Badge tone={isError(entry) ? 'bad' : 'warn'}>{levelName(entry)}</Badge> <Badge>{entry.module}</Badge>{' '}
      <span>{entry.message}</span>
      {hasFields ? (
        <details>
          <summary>Details</summary>
          <pre tabIndex={0}>{JSON.stringify(entry.fields, null, 2)}</pre>
        </details>
      ) : null}
    </li>
  );
}

function levelName(entry: LogEntry): string {
  return isError(entry) ? 'error' : 'warning';
}

function isError({ level }: LogEntry): boolean {
  return level !== 'warn';
}
