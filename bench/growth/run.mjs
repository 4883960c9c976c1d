/**
 * `bench growth`: what a message costs the broker, against the number of queues, consumers, subscriptions, retained
 * topics, waiting messages, bytes and connections. Runs in the bench's main process.
 *
 * Always true: the cost is CPU of the broker's process per message, which a busy machine moves less than it moves a rate;
 * a lost message is a fault of its table and makes the exit code 1; a table that fails leaves the others alone.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { OptionError } from '../jobs/options.mjs';
import { endWith } from '../peers/interrupt.mjs';
import { runFacts } from '../report/facts.mjs';
import { growthText } from '../report/growth.mjs';
import { Progress } from '../report/progress.mjs';
import { gridTables } from './grid.mjs';
import { storedTables } from './stored.mjs';
import { writeDocs, writeGrowth } from './write.mjs';

const RESULTS_DIRECTORY = fileURLToPath(new URL('../results', import.meta.url));
/** What a point takes beside its load: start, connections, end. Seconds on two cores. */
const AROUND_SECONDS = { quick: 1.5, full: 2.5 };

/** All tables, in the order of the documents. */
export const growthTables = [...gridTables, ...storedTables];

const HELP = `Usage: npm run bench -- growth [options]

  --table NAMES       only these: ${growthTables.map(({ name }) => name).join(', ')}
  --quick             fewer and smaller sizes, below 20 s per table
  --largest N         only sizes up to this one
  --seconds N         length of each timed point (5; quick: 1.2)
  --store S           of Sluice: rocksdb, segment, memory
  --node-flags FLAGS  of the node that runs Sluice
  --out DIR           where JSON, Markdown, HTML and charts go (bench/results)
  --write-docs        put tables and charts into docs/performance.md
  --json              print the result as one line of JSON instead of tables
  --help              this text
`;

/** Runs the suite with `argv`; resolves to the exit code. */
export async function run(argv) {
  const options = readOptions(argv);
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const context = { ...options, running: { opened: undefined } };
  const chosen = growthTables.filter(({ name }) => options.tables.includes(name));
  const report = { suite: 'growth', ...runFacts({ ...options, out: '' }), absent: [], tables: [] };
  const progress = new Progress();
  progress.start(...planOf(chosen, context));
  const release = endWith(context.running);
  try {
    for (const table of chosen) report.tables.push(await runTable(table, context, progress));
  } finally {
    release();
  }
  progress.end();
  report.faults = report.tables.flatMap(({ name, faults }) =>
    faults.map((fault) => [name, fault].join(': ')),
  );
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : growthText(report));
  const files = await writeGrowth(report, path.resolve(options.out || RESULTS_DIRECTORY));
  if (options.writeDocs) files.push(...(await writeDocs(report)));
  for (const file of files) process.stderr.write(`${path.relative(process.cwd(), file)}\n`);
  return report.faults.length === 0 ? 0 : 1;
}

/** Number of points and the seconds that they will take, about. */
function planOf(chosen, context) {
  const points = chosen.reduce((sum, { sizes, series }) => sum + sizes(context).length * series.length, 0);
  const { quick, seconds } = context;
  const each = (seconds || (quick ? 1.2 : 5)) + (quick ? AROUND_SECONDS.quick : AROUND_SECONDS.full);
  return [points, points * each];
}

function readOptions(argv) {
  const text = { type: 'string', default: '' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: {
        table: { type: 'string', multiple: true, default: [] },
        seconds: { type: 'string', default: '0' },
        largest: { type: 'string', default: '0' },
        store: text,
        'node-flags': text,
        out: text,
        quick: flag,
        'write-docs': flag,
        json: flag,
        help: flag,
      },
    }));
  } catch (error) {
    throw new OptionError(error.message);
  }
  const [seconds, largest] = ['seconds', 'largest'].map((name) => numberOf(name, String(values[name])));
  const names = growthTables.map(({ name }) => name);
  const wanted = values.table.flatMap((list) => list.split(',')).filter((name) => name !== '');
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new OptionError(`No growth table named '${unknown}'; there are ${names.join(', ')}.`);
  const { quick, json, help, out, store } = values;
  return {
    tables: wanted.length === 0 ? names : wanted,
    quick,
    seconds,
    largest,
    store,
    nodeFlags: values['node-flags'],
    out,
    writeDocs: values['write-docs'],
    json,
    help,
  };
}

function numberOf(name, text) {
  const number = Number(text.replaceAll('_', ''));
  if (!Number.isFinite(number) || number < 0)
    throw new OptionError(`--${name} takes a number, not '${text}'`);
  return number;
}

/** Runs one table; a point that fails is a fault, and so are the points that need it. */
async function runTable(table, context, progress) {
  const { name, axis, scale, series, memory } = table;
  const rows = [];
  const faults = [];
  const note = async (size, key, work) => {
    const shown = series.find((entry) => entry.key === key).name;
    const title = `${name} · ${size.toLocaleString('en-US')} ${axis}`;
    progress.begin(title, shown);
    let cell;
    try {
      cell = await work();
    } catch (error) {
      cell = { faults: [error.message] };
    }
    if (rows.at(-1)?.size !== size) rows.push({ size, cells: {} });
    rows.at(-1).cells[key] = cell;
    faults.push(...cell.faults.map((fault) => `${size} ${axis}, ${shown}: ${fault}`));
    progress.done(cell.costUs && Number(cell.costUs.toPrecision(3)), 'µs per message', cell.faults);
  };
  try {
    await table.run(context, note);
  } catch (error) {
    faults.push(error.message);
  }
  return {
    name,
    axis,
    scale,
    memory,
    series: series.map(({ key, name: shown }) => ({ key, name: shown })),
    rows,
    faults,
  };
}
