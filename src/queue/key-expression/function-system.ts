/**
 * Random, time, environment, and topics. Shard worker.
 *
 * Always true: the clock and the dice are the context's. An environment variable is read once and keeps its
 * value; only names with our prefixes can be reached, so an expression cannot show other secrets.
 */
import { remembered, type KeyFunction } from './function.js';
import { countArg, isList, listArg, scalarText, textArg, type ValueList } from './value.js';

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Longest random text. */
const randomCharsMax = 1_024;

/** Does `topic` match `filter`? [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.2-1] */
function isTopicMatch(topic: string, filter: string): boolean {
  const names = topic.split('/');
  const levels = filter.split('/');
  if (topic.startsWith('$') && (levels[0] === '+' || levels[0] === '#')) return false;
  for (const [index, level] of levels.entries()) {
    if (level === '#') return true;
    if (index >= names.length || (level !== '+' && level !== names[index])) return false;
  }
  return names.length === levels.length;
}

function joinedTopic(args: ValueList): string {
  const words = args.length === 1 ? listArg(args, 0) : args;
  return words.flatMap((word) => (isList(word) ? word.map(scalarText) : [scalarText(word)])).join('/');
}

/** Random, time, environment, topics. */
export const systemFunctions: readonly KeyFunction[] = [
  {
    name: 'rand_str',
    arities: [1],
    group: 'Random and system',
    parameters: '(length)',
    help: `Random letters and digits, 1 to ${randomCharsMax}.`,
    uses: 'random',
    prepare: () => (args, context) => {
      const length = countArg(args, 0, 1, randomCharsMax);
      let text = '';
      while (text.length < length) text += base62.charAt(Math.floor(context.random() * base62.length));
      return text;
    },
  },
  {
    name: 'rand_int',
    arities: [1],
    group: 'Random and system',
    parameters: '(max)',
    help: 'A random integer from 1 to `max`.',
    uses: 'random',
    prepare: () => (args, context) => {
      const max = countArg(args, 0, 1, Number.MAX_SAFE_INTEGER);
      return Math.min(max, Math.floor(context.random() * max) + 1);
    },
  },
  {
    name: 'timestamp_s',
    arities: [0],
    group: 'Random and system',
    parameters: '()',
    help: 'Now, in seconds since the epoch.',
    uses: 'clock',
    prepare: () => (_args, context) => Math.floor(context.nowMs() / 1000),
  },
  {
    name: 'timestamp_ms',
    arities: [0],
    group: 'Random and system',
    parameters: '()',
    help: 'Now, in milliseconds since the epoch.',
    uses: 'clock',
    prepare: () => (_args, context) => Math.floor(context.nowMs()),
  },
  {
    name: 'getenv',
    arities: [1],
    group: 'Random and system',
    parameters: '(name)',
    help: 'The environment variable `SLUICEVAR_<name>` or else `EMQXVAR_<name>`, "" when there is neither. Read once.',
    prepare: (_constants, environment) => {
      const variable = remembered(
        (name) => environment[`SLUICEVAR_${name}`] ?? environment[`EMQXVAR_${name}`] ?? '',
      );
      return (args) => variable(textArg(args, 0));
    },
  },
  {
    name: 'topic_join',
    arities: [1, 2],
    group: 'Topics',
    parameters: '(list) or (a, b)',
    help: 'Levels joined with "/".',
    prepare: () => joinedTopic,
  },
  {
    name: 'topic_match',
    arities: [2],
    group: 'Topics',
    parameters: '(topic, filter)',
    help: 'Does the topic match the topic filter?',
    prepare: () => (args) => isTopicMatch(textArg(args, 0), textArg(args, 1)),
  },
  {
    name: 'topic_split',
    arities: [1],
    group: 'Topics',
    parameters: '(topic)',
    help: 'List of the levels, empty ones included.',
    prepare: () => (args) => textArg(args, 0).split('/'),
  },
];
