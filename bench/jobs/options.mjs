/**
 * The command line of `bench jobs`: one table of name, type, default and help. Runs in the bench's main process.
 *
 * Always true: the frozen object that `parseOptions` answers is complete and consistent; anything else is an
 * `OptionError` that names the fault. What it gives up: no abbreviations.
 */
import { parseArgs } from 'node:util';
import { STAMP_BYTES } from '../load/wire.mjs';

/** The command line is wrong; the text says how. */
export class OptionError extends Error {}

/** Option name → [kind, default, help]. Kinds: count (integer ≥ 0), word, list of words, flag. */
const TABLE = {
  publishers: ['count', 10, 'publishing connections'],
  consumers: ['count', 10, 'consuming connections'],
  payload: ['count', 256, `payload bytes, at least ${STAMP_BYTES}`],
  qos: ['count', 1, 'publish QoS: 0 or 1'],
  'in-flight': ['count', 200, 'unacknowledged messages per publisher'],
  window: ['count', 0, "the queue's local_max_inflight; 0 = its default"],
  count: ['count', 1_000_000, 'messages in total'],
  seconds: ['count', 0, 'publish for so long instead of --count'],
  rate: ['count', 0, 'messages per second in total; 0 = as fast as acknowledged'],
  strategy: ['word', 'least_inflight', 'random | round_robin | least_inflight'],
  mode: ['word', 'queue', 'queue ($q/…) | pubsub (plain topics, each publisher has one consumer)'],
  broker: ['word', 'spawn', 'spawn | mosquitto | HOST:PORT of a running broker'],
  api: ['word', '', 'URL of the REST API of a running broker'],
  'api-key': ['word', '', 'key:secret for the REST API'],
  'broker-pid': ['count', 0, 'process id of a running broker, for its CPU and memory'],
  durability: ['word', '', 'fsync | interval | process, for the spawned broker'],
  shards: ['count', 0, 'shards of the spawned broker; 0 = its default'],
  store: ['word', '', 'rocksdb | segment | memory, for the spawned broker'],
  'node-flags': ['word', '', 'flags of the node binary for the spawned broker'],
  topic: ['word', 'bench', 'publisher n publishes to <topic>/n'],
  protocol: ['count', 4, 'MQTT version: 4 (3.1.1) or 5'],
  processes: ['count', 1, 'load processes'],
  'ledger-publishers': ['count', 0, 'publisher numbers that may be met; 0 = --publishers'],
  'idle-timeout': ['count', 15, 'seconds without progress after which the run ends'],
  baseline: ['word', '', 'mosquitto: the same load, one publisher to one subscriber, in the same run'],
  json: ['word', '', 'also write the result to this file'],
  quiet: ['flag', false, 'no table, only the JSON line'],
  help: ['flag', false, 'this text'],
};

/** Help text. */
export function helpText() {
  const lines = Object.entries(TABLE).map(([name, [kind, value, help]]) => {
    const shown = value === '' || kind === 'flag' ? '' : ` (${value})`;
    return `  --${name.padEnd(18)} ${help}${shown}`;
  });
  return `Usage: npm run bench -- jobs [options]\n\n${lines.join('\n')}\n`;
}

function camelCase(name) {
  return name.replaceAll(/-(.)/g, (_, letter) => letter.toUpperCase());
}

function check(condition, text) {
  if (!condition) throw new OptionError(text);
}

/** Reads `argv`; keys of the result are the camelCased option names. */
export function parseOptions(argv) {
  const options = Object.fromEntries(
    Object.entries(TABLE).map(([name, [kind]]) => [name, { type: kind === 'flag' ? 'boolean' : 'string' }]),
  );
  let values;
  try {
    ({ values } = parseArgs({ args: argv, options, strict: true, allowPositionals: false }));
  } catch (error) {
    throw new OptionError(error.message);
  }
  const result = {};
  for (const [name, [kind, fallback]] of Object.entries(TABLE)) {
    const given = values[name];
    if (given === undefined) result[camelCase(name)] = fallback;
    else if (kind === 'count') {
      const text = String(given);
      const number = Number(text.replaceAll('_', ''));
      check(
        Number.isSafeInteger(number) && number >= 0,
        `--${name} takes an integer of at least 0, not '${text}'`,
      );
      result[camelCase(name)] = number;
    } else result[camelCase(name)] = given;
  }
  check(result.payload >= STAMP_BYTES, `--payload must be at least ${STAMP_BYTES}`);
  check(result.qos <= 1, '--qos must be 0 or 1');
  check(result.inFlight >= 1 && result.inFlight <= 65535, '--in-flight must be 1 to 65535');
  check(result.protocol === 4 || result.protocol === 5, '--protocol must be 4 or 5');
  check(result.mode === 'queue' || result.mode === 'pubsub', '--mode must be queue or pubsub');
  check(result.publishers + result.consumers > 0, 'a run needs publishers or consumers');
  check(result.processes >= 1, '--processes must be at least 1');
  check(result.baseline === '' || result.baseline === 'mosquitto', '--baseline must be mosquitto');
  check(
    result.publishers > 0 || result.ledgerPublishers > 0,
    'a run without publishers needs --ledger-publishers',
  );
  if (result.mode === 'pubsub' && result.publishers > 0 && result.consumers > 0) {
    check(result.consumers <= result.publishers, '--mode pubsub needs at least one publisher per consumer');
  }
  return Object.freeze(result);
}
