/**
 * The command line of `bench:compare`: a revision, own options, then the bench to run with its own. Pure.
 *
 * Always true: own options stand before the name of the bench, everything behind it is passed on as it is; a wrong
 * command line is a `CompareOptionError` that says what is wrong.
 */
import { parseArgs } from 'node:util';

/** The command line is wrong; the text says how. */
export class CompareOptionError extends Error {}

/** Own options: default, help. */
const OPTIONS = {
  pairs: ['6', 'pairs of runs; a verdict takes at least 5'],
  warmup: ['1', 'runs of each side that are thrown away first'],
  threshold: ['1', 'least difference in percent that counts'],
  metric: ['', 'part of the names of the figures that decide'],
  json: ['', 'also write everything to this file'],
};

/** Help text. */
export function helpText() {
  const lines = Object.entries(OPTIONS).map(
    ([name, [value, help]]) => `  --${`${name}=…`.padEnd(13)} ${help}${value === '' ? '' : ` (${value})`}`,
  );
  return `Usage: npm run bench:compare -- <revision> [options] [suite [options of the suite]]

Runs a bench against the working tree and against <revision>, in turn, and tells whether the change is faster or
slower beyond noise. The suite is one of \`npm run bench\` (default: jobs), scenarios (\`pair share --only=sluice\`) or
\`micro\` with names of micro benches. A run that loses a message ends the comparison.

${lines.join('\n')}
  --all         show every figure, not only those that decide or changed
  --own-bench   the base is loaded by its own bench code instead of that of the working tree

Exit code: 0 same or faster, 1 slower or a run failed, 2 wrong command line, 3 too few pairs for a verdict.
`;
}

/** Reads `argv`; undefined when help is asked for. */
export function parseOptions(argv) {
  const own = [];
  const rest = [...argv];
  let revision;
  while (rest.length > 0 && (rest[0].startsWith('-') || revision === undefined)) {
    const argument = rest.shift();
    if (argument.startsWith('-')) own.push(argument);
    else revision = argument;
  }
  let values;
  try {
    const strings = Object.entries(OPTIONS).map(([name, [value]]) => [
      name,
      { type: 'string', default: value },
    ]);
    ({ values } = parseArgs({
      args: own,
      options: {
        ...Object.fromEntries(strings),
        'own-bench': { type: 'boolean', default: false },
        all: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new CompareOptionError(error.message);
  }
  if (values.help) return undefined;
  if (revision === undefined)
    throw new CompareOptionError('Name the revision to compare with, for example HEAD.');
  return {
    revision,
    pairs: integer('pairs', values.pairs, 1),
    warmup: integer('warmup', values.warmup, 0),
    threshold: percent(values.threshold),
    metric: values.metric,
    json: values.json,
    ownBench: values['own-bench'],
    all: values.all,
    suite: rest[0] ?? 'jobs',
    suiteArguments: rest.slice(1),
  };
}

function integer(name, text, min) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > 1000)
    throw new CompareOptionError(`--${name} takes ${min} to 1000, not '${text}'`);
  return value;
}

function percent(text) {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value < 100))
    throw new CompareOptionError(`--threshold takes 0 to 100, not '${text}'`);
  return value / 100;
}

/** The program of `suite` inside a side, and its arguments. */
export function commandOf({ suite, suiteArguments }) {
  if (suite === 'micro') return ['bench/micro/main.mjs', ...suiteArguments, '--json'];
  // The suite `jobs` prints its line anyway, and its --json takes a file.
  const hasJson = suite === 'jobs' || suiteArguments.some((argument) => argument.startsWith('--json'));
  return ['bench/main.mjs', suite, ...suiteArguments, ...(hasJson ? [] : ['--json'])];
}
