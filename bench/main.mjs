#!/usr/bin/env node
/**
 * Entry of `npm run bench -- <suite> [options]`. Runs in its own process, never inside the broker.
 *
 * Always true: exit code 0 means that the run finished and lost nothing; 1 that it lost something, a client
 * was cut off or the broker did not start; 2 that the command line was wrong. Plain JavaScript, so that
 * every supported Node version runs it without a build step. The measured broker is the compiled one.
 */

/** Suites by name: what it shows, and the module whose `run(argv)` resolves to the exit code. */
const SUITES = {
  jobs: ['the durable path: publishers, one queue, competing consumers', './jobs/run.mjs'],
  retained: ['many subscriptions, many retained messages, another client meanwhile', './retained/run.mjs'],
  fairness: ['one greedy client, and the round trip of another', './fairness/run.mjs'],
  backlog: ['a long backlog: fill, drain by late consumers, memory and disk', './backlog/run.mjs'],
};

const [suiteName, ...argv] = process.argv.slice(2);
const suite = Object.hasOwn(SUITES, suiteName ?? '') ? SUITES[suiteName] : undefined;

if (suite === undefined) {
  const asked = suiteName === undefined || suiteName === '--help' || suiteName === 'help';
  const lines = Object.entries(SUITES).map(([name, [about]]) => `  ${name.padEnd(10)} ${about}`);
  const text = `Usage: npm run bench -- <suite> [options]\n\n${lines.join('\n')}\n\nOptions of a suite: npm run bench -- <suite> --help\n`;
  (asked ? process.stdout : process.stderr).write(asked ? text : `No suite named '${suiteName}'.\n${text}`);
  process.exitCode = asked ? 0 : 2;
} else {
  const { run } = await import(suite[1]);
  process.exitCode = await run(argv);
}
