/**
 * Runs the scenarios that a command line asks for and reports them. Runs in the bench's main process.
 *
 * Always true: exit code 0 means that every promise of QoS and durability was kept by Sluice; a peer's fault is reported
 * and changes nothing. Standard output is the tables or, with --json, one line.
 */
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPeers } from '../peers/list.mjs';
import { runFacts } from '../report/facts.mjs';
import { Progress } from '../report/progress.mjs';
import { renderText } from '../report/text.mjs';
import { writeReports } from '../report/write.mjs';
import { scenarios } from './list.mjs';
import { helpText, parseScenarioOptions } from './options.mjs';
import { runScenarios } from './run.mjs';

const RESULTS_DIRECTORY = fileURLToPath(new URL('../results', import.meta.url));

/** Runs with `argv`; `suites` are for the help text. Resolves to the exit code. */
export async function runScenarioCommand(argv, suites) {
  const options = parseScenarioOptions(argv);
  if (options.help) {
    process.stdout.write(helpText(suites));
    return 0;
  }
  const all = options.names.length === 0;
  const chosen = scenarios.filter(({ name }) => all || options.names.includes(name));
  const context = {
    quick: options.quick || all,
    scale: options.scale,
    seconds: options.seconds,
    cores: os.availableParallelism(),
  };
  const { peers, absent } = findPeers(options);
  const report = { suite: all ? 'round' : options.names.join(' '), ...runFacts(options), absent };
  report.scenarios = await runScenarios(chosen, {
    peers,
    repeat: options.repeat,
    context,
    progress: new Progress(),
  });
  report.faults = faultsOf(report);
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : renderText(report));
  if (all || options.out !== '') {
    const files = await writeReports(report, path.resolve(options.out || RESULTS_DIRECTORY));
    for (const file of files) process.stderr.write(`${path.relative(process.cwd(), file)}\n`);
  }
  return report.faults.length === 0 ? 0 : 1;
}

/** What Sluice did not keep. */
function faultsOf({ scenarios: entries }) {
  return entries.flatMap(({ name, cases }) =>
    cases.flatMap(({ id, rows }) =>
      rows
        .filter(({ peer }) => peer === 'sluice')
        .flatMap(({ faults }) => faults.map((fault) => `${name}/${id}: ${fault}`)),
    ),
  );
}
