/**
 * All scenarios in the order of a round.
 *
 * Always true: names are unique and none is a name of a suite with options of its own, but for `jobs`, `backlog` and
 * `retained`, which are both (see main.mjs).
 */
import { articleScenarios } from './article.mjs';
import { connectionScenarios } from './connections.mjs';
import { durableScenarios } from './durable.mjs';
import { latencyScenarios } from './latency.mjs';
import { throughputScenarios } from './throughput.mjs';
import { wrappedScenarios } from './wrapped.mjs';

export const scenarios = [
  ...throughputScenarios,
  ...articleScenarios,
  ...durableScenarios,
  ...latencyScenarios,
  ...wrappedScenarios,
  ...connectionScenarios,
];
