#!/usr/bin/env node
/**
 * Entry of `npm run bench -- [scenario … | suite] [options]`. Runs in its own process, never inside the broker.
 *
 * Always true: exit code 0 means that the run finished and kept every promise; 1 that something was lost, a client was
 * cut off or the broker did not start; 2 that the command line was wrong. Plain JavaScript, so that every supported Node
 * version runs it without a build step. The measured broker is the compiled one.
 */
import { OptionError } from './jobs/options.mjs';
import { scenarios } from './scenarios/list.mjs';
import { runScenarioCommand } from './scenarios/main.mjs';
import { SCENARIO_OPTIONS } from './scenarios/options.mjs';

/** Suites with options of their own: what it shows, and the module whose `run(argv)` resolves to the exit code. */
const SUITES = {
  jobs: ['the durable path: publishers, one queue, competing consumers', './jobs/run.mjs'],
  retained: ['many subscriptions, many retained messages, another client meanwhile', './retained/run.mjs'],
  http: ['REST and metrics under load while messages flow', './http/run.mjs'],
  fairness: ['one greedy client, and the round trip of another', './fairness/run.mjs'],
  growth: [
    'the cost of a message against the number of queues, consumers, topics, bytes …',
    './growth/run.mjs',
  ],
  backlog: ['a long backlog: fill, drain by late consumers, memory and disk', './backlog/run.mjs'],
};

const argv = process.argv.slice(2);
const [first, ...rest] = argv;
/** `jobs`, `backlog` and `retained` are scenarios, too: with other names or an option that only scenarios have. */
const isScenario = scenarios.some(({ name }) => name === first);
const asScenario =
  isScenario &&
  rest.some((word) =>
    !word.startsWith('-') ? rest.indexOf(word) === 0 : SCENARIO_OPTIONS.includes(word.slice(2).split('=')[0]),
  );

try {
  if (Object.hasOwn(SUITES, first ?? '') && !asScenario) {
    const { run } = await import(SUITES[first][1]);
    process.exitCode = await run(rest);
  } else process.exitCode = await runScenarioCommand(first === 'help' ? ['--help'] : argv, SUITES);
} catch (error) {
  process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
  process.exitCode = error instanceof OptionError ? 2 : 1;
}
