/**
 * Runs cases against peers, interleaved, and gathers what came out. Runs in the bench's main process.
 *
 * Always true: one broker runs at a time, each run has a fresh one with an empty data directory; peers of a case follow
 * each other at once, and every other repetition goes through them backwards, so that a drift of the machine hits all
 * alike. A run that fails is a fault of its row; the others go on. When the bench is told to end, it ends the broker
 * first.
 */
import { endWith } from '../peers/interrupt.mjs';
import { median } from './median.mjs';

/** Start and end of a broker and of the load, on two cores. */
const AROUND_SECONDS = 2;

/** Runs everything; resolves to one entry per scenario. `progress` is told what happens. */
export async function runScenarios(chosen, { peers, repeat, context, progress }) {
  const entries = chosen.map((scenario) => ({
    name: scenario.name,
    about: scenario.about,
    cases: scenario
      .cases(context)
      .map((test) => ({ test, rows: rowsOf(test, peers) }))
      .filter(({ rows }) => rows.length > 0),
  }));
  const total = entries.flatMap(({ cases }) => cases.flatMap(({ rows }) => rows)).length * repeat;
  progress.start(total, secondsOf(entries) * repeat);
  const running = { opened: undefined };
  const release = endWith(running);
  for (const entry of entries)
    for (let round = 0; round < repeat; round += 1)
      for (const { test, rows } of entry.cases) {
        const order = round % 2 === 0 ? rows : rows.toReversed();
        for (const row of order) await runOnce(entry.name, test, row, progress, running);
      }
  release();
  progress.end();
  return entries.map(({ name, about, cases }) => ({ name, about, cases: cases.map(caseEntry) }));
}

/** What the runs of `entries` take once, about. */
function secondsOf(entries) {
  return entries
    .flatMap(({ cases }) => cases)
    .reduce((sum, { test, rows }) => sum + rows.length * (test.estimateSeconds + AROUND_SECONDS), 0);
}

/** Peers that can do the case, each with room for its runs. */
function rowsOf(test, peers) {
  return peers.filter((peer) => fits(test, peer)).map((peer) => ({ peer, runs: [], faults: [] }));
}

function fits(test, peer) {
  if (peer.kind === 'sluice') return true;
  if (test.peers === 'mqtt') return peer.kind === 'mqtt' && (peer.takes?.(test) ?? true);
  return test.peers === 'queue' && peer.kind === 'queue' && peer.takes(test);
}

async function runOnce(scenario, test, row, progress, running) {
  const { peer } = row;
  progress.begin(`${scenario} · ${test.title}`, peer.name);
  let target;
  try {
    running.opened = peer.open(test.broker);
    target = await running.opened;
    const report = (counts) => progress.update(counts);
    const figures =
      peer.kind === 'queue' ? await peer.measure(target, test.load, report) : await test.run(target, report);
    const faults = test.faults(figures);
    row.runs.push({ value: test.headline(figures), figures });
    row.faults.push(...faults);
    progress.done(test.headline(figures), test.unit, faults);
  } catch (error) {
    row.faults.push(error.message);
    progress.done(undefined, test.unit, [error.message]);
  } finally {
    running.opened = undefined;
    await target?.stop();
  }
}

function caseEntry({ test, rows }) {
  return {
    id: test.id,
    title: test.title,
    unit: test.unit,
    better: test.better,
    chart: test.chart ?? 'bars',
    ...(test.chart === 'split' && { split: test.load.workMs }),
    rows: rows.map((row) => rowEntry(test, row)),
  };
}

/** The row's figures are those of the run whose headline is the median. */
function rowEntry(test, { peer, runs, faults }) {
  const values = runs.map(({ value }) => value).filter((value) => value !== undefined);
  const value = median(values);
  const nearest = runs.toSorted((a, b) => Math.abs(a.value - value) - Math.abs(b.value - value))[0];
  const figures = nearest?.figures;
  return {
    peer: peer.name,
    durability: durabilityOf(test, peer, figures),
    value,
    low: values.length === 0 ? undefined : Math.min(...values),
    high: values.length === 0 ? undefined : Math.max(...values),
    values,
    notes: figures === undefined ? '' : (test.notes?.(figures) ?? ''),
    faults: [...new Set(faults)],
    figures,
  };
}

function durabilityOf(test, peer, figures) {
  if (typeof peer.durability === 'function') return peer.durability(test);
  if (peer.durability !== undefined) return peer.durability;
  return test.durability === 'nothing stored' ? test.durability : (figures?.durability ?? test.durability);
}
