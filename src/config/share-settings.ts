/**
 * Settings of shared subscriptions: `$share/<name>/<filter>`. Main thread.
 *
 * Always true: with the defaults a group shares live messages as MQTT 5 says; only `SLUICE_SHARE_QUEUE` makes it
 * durable. Patterns are read once, at start. Source: docs/shared-subscriptions.md.
 */
import { UnitError } from './unit.js';
import { choice, type Variable } from './variable.js';

/** How a share group chooses the member that gets a message. */
export type ShareStrategy =
  | 'round_robin'
  | 'random'
  | 'least_inflight'
  | 'sticky'
  | 'hash_clientid'
  | 'hash_topic';

/**
 * Which groups are durable queues: none, all, or those of which a pattern matches `<name>/<filter>`; in a pattern
 * `*` stands for any text, and everything else, `+` and `#` too, for itself.
 */
export type ShareQueueChoice = 'off' | 'on' | readonly string[];

const patternsMax = 64;
const patternCharsMax = 1024;

/** See the file header. */
export const share = {
  shareStrategy: choice<ShareStrategy>('SLUICE_SHARE_STRATEGY', {
    words: ['round_robin', 'random', 'least_inflight', 'sticky', 'hash_clientid', 'hash_topic'],
    fallback: 'round_robin',
    help: 'How a shared subscription chooses the member that gets a message. `sticky` stays with one until it goes; the hashes keep the messages of a publisher or a topic with one member.',
  }),
  shareQueue: sharePatterns('SLUICE_SHARE_QUEUE', {
    help: 'Shared subscriptions that are durable queues: `off`, `on`, or a list of `<name>/<filter>` with commas between, in which `*` stands for any text, such as `jobs/*,*/orders/#`.',
  }),
};

function sharePatterns(name: string, { help }: { help: string }): Variable<ShareQueueChoice> {
  return {
    name,
    alias: undefined,
    type: 'list',
    range: 'off, on, or patterns separated by commas',
    unit: '',
    defaultText: 'off',
    help,
    fallback: () => 'off',
    parse: (given) => {
      const word = given.trim().toLowerCase();
      if (word === 'off' || word === 'on') return word;
      const patterns = given.split(',').map((pattern) => pattern.trim());
      if (patterns.length > patternsMax) throw new UnitError(`more than ${patternsMax} patterns`);
      for (const pattern of patterns) checkPattern(pattern);
      return patterns;
    },
  };
}

function checkPattern(pattern: string): void {
  const slash = pattern.indexOf('/');
  if (slash < 1 || slash === pattern.length - 1) {
    throw new UnitError(`${JSON.stringify(pattern)} is not <name>/<filter>`);
  }
  if (pattern.length > patternCharsMax) {
    throw new UnitError(`a pattern has more than ${patternCharsMax} characters`);
  }
}
