/**
 * The configuration that is in force, and where each value came from. In the browser.
 *
 * Always true: nothing is changed here, because settings come from the environment of the process; those that can be changed while
 * it runs say so. Secrets are hidden by the broker and never come here. Searching looks at names, values and explanations.
 */
import { get } from '../../base/api.js';
import { count } from '../../base/format.js';
import { place, setQuery } from '../../base/router.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { EmptyState } from '../../components/empty-state.js';
import { SearchBox } from '../../components/field.js';
import { Page } from '../../components/page.js';
import './settings.css';

/** One setting, as `GET /configs` tells it. */
interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly source: 'default' | 'environment' | 'file';
  readonly help: string;
  readonly unit?: string;
  /** True when a change takes effect without a restart. */
  readonly live?: boolean;
}

const sources = [
  { value: '', label: 'From everywhere' },
  { value: 'environment', label: 'From the environment' },
  { value: 'file', label: 'From a file' },
  { value: 'default', label: 'Default' },
] as const;

/** See the file header. */
export function SettingsPage() {
  const { query } = place.value;
  const search = query.get('search') ?? '';
  const source = query.get('source') ?? '';
  const { data, error, reload } = useResource(
    (signal) => get<{ readonly data: readonly Setting[] }>('/configs', {}, signal),
    [],
  );
  const all = data?.data ?? [];
  const wanted = search.toLowerCase();
  const shown = all.filter(
    (setting) =>
      (source === '' || setting.source === source) &&
      (wanted === '' ||
        `${setting.name} ${textOf(setting.value)} ${setting.help}`.toLowerCase().includes(wanted)),
  );
  return (
    <Page title="Settings" fault={error} onRetry={reload}>
      <div class="toolbar">
        <SearchBox label="Search settings" value={search} onInput={(next) => setQuery({ search: next })} />
        <select
          aria-label="Source"
          value={source}
          onChange={(event) => setQuery({ source: event.currentTarget.value })}
        >
          {sources.map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <span class="soft" role="status">
          {data === undefined ? '' : `${count(shown.length)} of ${count(all.length)}`}
        </span>
      </div>
      {data !== undefined && shown.length === 0 ? <EmptyState title="No setting fits the search." /> : null}
      <ul class="settings">
        {shown.map((setting) => (
          <li key={setting.name}>
            <h2>
              <code>{setting.name}</code>
            </h2>
            <p class="setting-value">
              <code>{textOf(setting.value)}</code>{' '}
              {setting.source === 'default' ? (
                <Badge>default</Badge>
              ) : (
                <>
                  <Badge tone="good">from the {setting.source}</Badge>{' '}
                  <span class="soft">
                    default: <code>{textOf(setting.default)}</code>
                  </span>
                </>
              )}{' '}
              {setting.live === true ? <Badge>can be changed while it runs</Badge> : null}
            </p>
            <p class="help">{setting.help.replaceAll('`', '')}</p>
          </li>
        ))}
      </ul>
    </Page>
  );
}

function textOf(value: unknown): string {
  if (value === undefined || value === null || value === '') return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
