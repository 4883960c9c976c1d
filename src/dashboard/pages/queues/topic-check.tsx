/**
 * Which messages a topic filter takes: in words, and on topics that can be changed. In the browser.
 *
 * Always true: the broker says what matches, with the rules that it routes by; what was typed last wins. Topics that were not
 * changed follow the filter. Gives up more than twenty topics at a time.
 */
import { useState } from 'preact/hooks';

import { post } from '../../base/api.js';
import { useDebounced } from '../../base/use-debounced.js';
import { useResource } from '../../base/use-resource.js';
import { Badge } from '../../components/badge.js';
import { TextArea } from '../../components/field.js';
import { examplesOf, inWords } from './topic-example.js';

/** Answer of `POST /topic_filter/check`. */
export interface TopicFilterCheck {
  readonly ok: boolean;
  /** Topics of the question that match. */
  readonly matches?: readonly string[];
  readonly error?: string | { readonly message: string };
}

const topicsMax = 20;

/** What is wrong with a filter, as the broker says; empty when nothing is, or nothing was typed. */
export function useFilterFault(filter: string, isWanted: boolean): string {
  const settled = useDebounced(filter);
  const { data } = useResource(
    async (signal) =>
      settled === '' || !isWanted
        ? undefined
        : await post<TopicFilterCheck>('/topic_filter/check', { filter: settled }, signal),
    [settled, isWanted],
  );
  if (data === undefined || data.ok || settled !== filter) return '';
  return typeof data.error === 'string' ? data.error : (data.error?.message ?? 'This is not a topic filter.');
}

/** See the file header. */
export function TopicCheck(props: { filter: string }) {
  const settled = useDebounced(props.filter);
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const text = typed ?? examplesOf(settled).join('\n');
  const asked = useDebounced(text);
  const topics = asked
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, topicsMax);
  const { data, error } = useResource(
    async (signal) =>
      settled === ''
        ? undefined
        : await post<TopicFilterCheck>('/topic_filter/check', { filter: settled, topics }, signal),
    [settled, asked],
  );
  if (settled === '') return null;
  const matches = new Set(data?.matches);
  return (
    <fieldset>
      <legend>Which messages match</legend>
      <p class="soft">{inWords(settled)}</p>
      <div class="columns">
        <TextArea label="Topics to try, one per line" value={text} onInput={setTyped} isCode />
        <ul class="checked" aria-label="Result" aria-live="polite">
          {error === '' && data?.ok === true
            ? topics.map((topic, index) => (
                <li key={`${index} ${topic}`}>
                  <Badge tone={matches.has(topic) ? 'good' : 'plain'}>
                    {matches.has(topic) ? 'stored' : 'not stored'}
                  </Badge>{' '}
                  <code>{topic}</code>
                </li>
              ))
            : null}
        </ul>
      </div>
    </fieldset>
  );
}
