/**
 * What suites with options of their own have in common: the command line, the help text, the output, the exit code.
 * Runs in the bench's main process.
 *
 * Always true: exit code 0 means that a run had no faults, 1 that it had or that it ended early, 2 that the command line
 * was wrong; the last line of standard output is the result as JSON, and with --json the only one.
 */
import { parseArgs } from 'node:util';
import { OptionError } from '../jobs/options.mjs';

const FLAG = { type: 'boolean', default: false };

/**
 * A suite of `name`: `options` maps a name to [default, placeholder, help], `work(values, target)` resolves to a result
 * with `faults`, `render(result)` is its text. Answers `run(argv)`, which resolves to the exit code, and
 * `measure(given, target)`: one run with `given` over the defaults, against `target` when there is one, else against a
 * broker of its own.
 */
export function suite({ name, options, work, render }) {
  const rows = Object.entries(options);
  const types = rows.map(([option, [value]]) => [option, { type: 'string', default: value }]);
  const defaults = Object.fromEntries(rows.map(([option, [value]]) => [option, value]));
  const parse = (argv) => {
    try {
      const table = { ...Object.fromEntries(types), json: FLAG, help: FLAG };
      return parseArgs({ args: argv, options: table, strict: true }).values;
    } catch (error) {
      throw new OptionError(error.message);
    }
  };
  const run = async (argv) => {
    try {
      const values = parse(argv);
      if (values.help) {
        process.stdout.write(helpText(name, rows));
        return 0;
      }
      const result = await work(values);
      if (!values.json) process.stdout.write(render(result));
      process.stdout.write(`${JSON.stringify(result)}\n`);
      return result.faults.length === 0 ? 0 : 1;
    } catch (error) {
      process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
      return error instanceof OptionError ? 2 : 1;
    }
  };
  return { run, measure: (given, target) => work({ ...defaults, ...given }, target) };
}

function helpText(name, rows) {
  const lines = [
    ...rows.map(([option, [value, placeholder, help]]) => [
      `${option} ${placeholder}`,
      value === '' ? help : `${help} (${value})`,
    ]),
    ['json', 'only the JSON line'],
    ['help', 'this text'],
  ];
  const width = Math.max(...lines.map(([option]) => option.length));
  const text = lines.map(([option, help]) => `  --${option.padEnd(width)}  ${help}\n`).join('');
  return `Usage: npm run bench -- ${name} [options]\n\n${text}`;
}
