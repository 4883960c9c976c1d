/**
 * The command line of the scenarios: `npm run bench -- [name …] [options]`. Runs in the bench's main process.
 *
 * Always true: a wrong option or name is an `OptionError` that names it. Without a name all scenarios run, quickly.
 */
import { parseArgs } from 'node:util';
import { OptionError } from '../jobs/options.mjs';
import { scenarios } from './list.mjs';

/** Option → [type, default, value in the help, help]. */
const TABLE = {
  quick: ['boolean', false, '', 'a short round; the default when no scenario is named'],
  scale: ['number', 1, 'F', 'messages, connections and clients times F'],
  seconds: ['number', 0, 'N', 'length of each timed run'],
  repeat: ['number', 1, 'N', 'runs per case and peer, interleaved; the median counts'],
  peer: ['list', [], 'NAME=COMMAND', 'another MQTT broker; {port} and {dir} are filled in'],
  only: ['list', [], 'NAMES', 'these peers only, separated by commas: sluice,mosquitto'],
  debian: ['boolean', false, '', 'also RabbitMQ, NATS and Redis, where they are installed'],
  install: ['boolean', false, '', "with --debian: install what is missing from Debian's packages"],
  durability: ['string', '', 'D', 'of Sluice where the case does not say: fsync, interval, process'],
  shards: ['number', 0, 'N', 'of Sluice where the case does not say'],
  store: ['string', '', 'S', 'of Sluice: rocksdb, segment, memory'],
  'node-flags': ['string', '', 'FLAGS', 'of the node that runs Sluice'],
  json: ['boolean', false, '', 'print the result as one line of JSON instead of tables'],
  out: ['string', '', 'DIR', 'write JSON, Markdown and HTML there (bench/results when no scenario is named)'],
  help: ['boolean', false, '', 'this text'],
};

/** Options that tell a scenario from a suite of the same name. */
export const SCENARIO_OPTIONS = ['quick', 'scale', 'repeat', 'peer', 'only', 'debian', 'install', 'out'];

/** Help text. */
export function helpText(suites) {
  const names = scenarios.map(({ name, about }) => `  ${name.padEnd(15)} ${about}`);
  const others = Object.entries(suites).map(([name, [about]]) => `  ${name.padEnd(15)} ${about}`);
  const options = Object.entries(TABLE).map(([name, row]) => {
    const [, , value, help] = row.map(String);
    return `  --${`${name} ${value}`.padEnd(22)} ${help}`;
  });
  return `Usage: npm run bench -- [scenario …] [options]      all scenarios, quickly, when none is named
       npm run bench -- <suite> [options]           options of a suite: --help behind its name

Scenarios:
${names.join('\n')}

Suites with options of their own (jobs, backlog and retained are scenarios with --quick or --scale):
${others.join('\n')}

Options of scenarios:
${options.join('\n')}
`;
}

/** Reads `argv`; keys of the result are the camelCased option names, `names` the scenarios. */
export function parseScenarioOptions(argv) {
  const types = Object.entries(TABLE).map(([name, [type]]) => [
    name,
    { type: type === 'boolean' ? 'boolean' : 'string', multiple: type === 'list' },
  ]);
  let parsed;
  try {
    parsed = parseArgs({
      args: argv,
      options: Object.fromEntries(types),
      strict: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw new OptionError(error.message);
  }
  const options = { names: parsed.positionals };
  for (const [name, [type, fallback]] of Object.entries(TABLE)) {
    const value = parsed.values[name];
    const key = name.replaceAll(/-(.)/g, (_, letter) => letter.toUpperCase());
    options[key] = value === undefined ? fallback : type === 'number' ? toNumber(name, value) : value;
  }
  options.only = options.only.flatMap((names) => names.split(',')).filter((name) => name !== '');
  for (const name of options.names)
    if (!scenarios.some((scenario) => scenario.name === name))
      throw new OptionError(`No scenario named '${name}'.`);
  if (!Number.isInteger(options.repeat) || options.repeat < 1)
    throw new OptionError('--repeat takes an integer of at least 1');
  if (options.scale <= 0) throw new OptionError('--scale must be above 0');
  return options;
}

function toNumber(name, text) {
  const number = Number(text.replaceAll('_', ''));
  if (!Number.isFinite(number) || number < 0)
    throw new OptionError(`--${name} takes a number, not '${text}'`);
  return number;
}
