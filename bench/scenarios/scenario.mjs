/**
 * What scenarios are made of: cases, each one kind of run with one headline figure. Runs in the bench's main process.
 *
 * A scenario is `{ name, about, cases(context) }`; `context` is `{ quick, scale, seconds, cores }`. A case is
 *   id, title        inside the scenario; the title says the load in words
 *   unit, better     of the headline: 'higher' or 'lower'
 *   peers            'mqtt': every broker; 'queue': those with durable queues; 'sluice'
 *   estimateSeconds  how long a run takes, about, without start and end of the broker
 *   broker           settings of Sluice for this case
 *   run(target, onProgress)  → figures
 *   headline(figures), faults(figures) → list of texts
 * Always true: a fault is something that QoS and durability promise and that was not kept; a low figure is none.
 */
import { completeLoad } from '../load/load.mjs';
import { measure } from '../load/run.mjs';

/** How long a case publishes and how much of it is warm-up, seconds. */
export function timesOf({ quick, seconds }) {
  if (seconds > 0) return { seconds, warmup: Math.min(seconds / 3, 2) };
  return quick ? { seconds: 2.5, warmup: 0.8 } : { seconds: 8, warmup: 2 };
}

/** `count` scaled, at least `least`. */
export function scaled(count, { scale }, least = 1) {
  return Math.max(least, Math.round(count * scale));
}

/** A case that is one load; the headline is the rate of messages that were acknowledged and delivered. */
export function loadCase({ load, ...rest }) {
  const complete = completeLoad(load);
  return {
    unit: 'messages/s',
    better: 'higher',
    peers: complete.mode === 'queue' ? 'queue' : 'mqtt',
    broker: {},
    load: complete,
    estimateSeconds: estimateSeconds(complete),
    run: (target, onProgress) => measure(target, load, onProgress),
    headline: (figures) => rateOf(figures, complete),
    faults: (figures) => faultsOf(figures, complete),
    ...rest,
    notes: (figures) => [rest.notes?.(figures), countsText(figures, complete)].filter(Boolean).join('; '),
  };
}

/** Of loads without time or rate, a guess. */
function estimateSeconds({ seconds, count, rate, late }) {
  if (seconds > 0) return seconds;
  return (rate > 0 ? count / rate : count / 100_000) * (late ? 2 : 1);
}

/**
 * The steady rate of deliveries, with QoS 1 and 2 and with queues not above what was acknowledged for them. Without a
 * steady time: every message over the time until the last one was acknowledged and delivered.
 */
function rateOf({ steady, endToEndPerSecond }, { mode, qos, consumers }) {
  if (steady === undefined) return endToEndPerSecond;
  const each = mode === 'broadcast' ? consumers : 1;
  return qos === 0
    ? steady.deliveredPerSecond
    : Math.min(steady.deliveredPerSecond, steady.ackedPerSecond * each);
}

/** Failures of clients always; loss where the QoS forbids it; a run that stopped moving. */
export function faultsOf(figures, { qos, mode, lasting }) {
  const faults = [...figures.failures];
  const promised = qos > 0;
  if (promised && figures.loss > 0) faults.push(`${figures.loss} acknowledged messages were not delivered`);
  if (promised && figures.ended === 'idle') faults.push('nothing moved any more before the run was complete');
  if (figures.failed > 0) faults.push(`${figures.failed} messages were refused`);
  if ((qos === 2 || (mode === 'queue' && !lasting)) && figures.duplicates > 0)
    faults.push(`${figures.duplicates} messages were delivered more than once`);
  return faults;
}

/** What was lost (where all is expected), came twice or late, and what a message cost the broker and the generator in CPU. */
export function countsText({ loss, duplicates, outOfOrder, steady, cpuSecondsPerMillion }, { expected }) {
  const counts = [
    [expected === undefined ? loss : 0, 'lost'],
    [duplicates, 'repeated'],
    [outOfOrder, 'out of order'],
  ].flatMap(([count, word]) => (count > 0 ? [`${digits(count)} ${word}`] : []));
  const load = steady?.loadCpuUsPerMessage;
  if (load !== undefined && cpuSecondsPerMillion !== undefined)
    counts.push(`CPU per message: broker ${cpuSecondsPerMillion} µs, generator ${load} µs`);
  return counts.join('; ');
}

/** A number as people read it. */
export function digits(value) {
  return value === undefined ? 'not measured' : value.toLocaleString('en-US');
}
