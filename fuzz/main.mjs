/**
 * The fuzzer: seeded mutations of MQTT packets, WebSocket frames, PROXY headers, TLS records and HTTP requests against a
 * real broker.
 *
 *   npm run fuzz -- --seconds 60 --seed 7 --target all      (or some of the targets, by commas)
 *   npm run fuzz -- --replay 'mqtt:101100044d5154…,3003…'    (writes by commas, cases by semicolons)
 *
 * A run is good when the broker lives, logs no error, keeps its memory, serves two healthy clients all the while,
 * and has no connection left at the end. A bad one prints the smallest input that was found, exit code 1.
 */
import { parseArgs } from 'node:util';

import { availableTargets, startBroker } from './broker-process.mjs';
import { caseOf, targetNames } from './case.mjs';
import { play } from './driver.mjs';
import { minimise } from './minimise.mjs';
import { packetsOf } from './mutation.mjs';
import { startObserver } from './observer.mjs';
import { judgeDelays, judgeLive, judgeMemory, median, megabytes, quantile } from './verdict.mjs';

const concurrency = 12;
const rememberedCases = 200;
const sampleMs = 250;
/** A collection stops the broker for some milliseconds. */
const heapSampleMsMin = 1000;
const heapSamples = 60;
const reportMs = 10_000;
const settleMs = 100;
const endMsMax = 15_000;
const triesMax = 200;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    target: { type: 'string', default: 'all' },
    'delay-max': { type: 'string', default: '10000' },
    'delay-99': { type: 'string', default: '2000' },
    replay: { type: 'string' },
  },
});

const targets = await chosenTargets(values.target);
const exitCode = await (values.replay === undefined ? fuzz() : replay(parseCases(values.replay)));
// Left to itself Node closes what it still holds, and may spin for ever over a TLS handshake that was cut off.
process.exit(exitCode);

function say(text) {
  process.stdout.write(`${text}\n`);
}

async function chosenTargets(text) {
  const available = await availableTargets(targetNames);
  const asked = text === 'all' ? available : text.split(',');
  const unknown = asked.filter((name) => !available.includes(name));
  if (unknown.length > 0)
    throw new Error(`no target ${unknown.join(', ')}; there are ${available.join(', ')}`);
  return asked;
}

async function fuzz() {
  const seed = Number(values.seed);
  const seconds = Number(values.seconds);
  say(`fuzz: seed ${seed}, ${seconds} s, targets ${targets.join(', ')}`);
  const broker = await startBroker(targets);
  const recent = [];
  const rss = [];
  const live = [];
  let iterations = 0;
  const outcomes = { refused: 0, silent: 0, answered: 0 };
  let trouble;
  let observer;
  try {
    observer = await startObserver(broker.ports.mqtt, Number(values['delay-max']));
    const startedAt = performance.now();
    const end = startedAt + seconds * 1000;
    const sampler = setInterval(() => {
      broker.rssBytes().then(
        (bytes) => bytes !== undefined && rss.push(bytes),
        () => {},
      );
    }, sampleMs);
    const heapSampler = setInterval(
      () => {
        const connections = iterations;
        broker.liveBytes().then(
          (bytes) => bytes !== undefined && live.push({ connections, bytes }),
          () => {},
        );
      },
      Math.max(heapSampleMsMin, (seconds * 1000) / heapSamples),
    );
    let reportAt = startedAt + reportMs;
    const worker = async () => {
      while (trouble === undefined && performance.now() < end) {
        const one = caseOf(seed, iterations++, targets);
        recent.push(one);
        if (recent.length > rememberedCases) recent.shift();
        const outcome = await play(one, broker.placeOf(one.target));
        outcomes[outcome]++;
        trouble ??= broker.trouble ?? observer.trouble;
        if (performance.now() > reportAt) {
          reportAt += reportMs;
          report(iterations, performance.now() - startedAt, rss, live, observer.delays);
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    clearInterval(sampler);
    clearInterval(heapSampler);
    report(iterations, performance.now() - startedAt, rss, live, observer.delays);
    say(
      `fuzz: ${outcomes.answered} connections got an answer, ${outcomes.silent} none, ${outcomes.refused} were refused`,
    );
    if (trouble === undefined && outcomes.answered === 0) trouble = 'no connection got an answer';
    await observer.stop();
    trouble ??= await reach(broker);
    trouble ??=
      observer.trouble ??
      judgeDelays(observer.delays, Number(values['delay-99'])) ??
      (await leftConnections(broker)) ??
      judgeMemory(rss).trouble ??
      judgeLive(live).trouble ??
      broker.trouble;
  } catch (error) {
    trouble ??= broker.trouble ?? `the fuzzer could not go on: ${error.stack}`;
  }
  await broker.stop();
  trouble ??= broker.trouble;
  if (trouble === undefined) {
    say(`fuzz: all good, ${iterations} connections`);
    return 0;
  }
  say(`fuzz: FAILED after ${iterations} connections (seed ${seed}):\n${trouble}`);
  await tellSmallest(recent);
  return 1;
}

function report(iterations, elapsedMs, rss, live, delays) {
  const { bytesPerConnection } = judgeLive(live);
  const { firstBytes, lastBytes } = judgeMemory(rss);
  const memory =
    firstBytes === undefined
      ? `${megabytes(median(rss.slice(-8)))} MB`
      : `${megabytes(firstBytes)} MB early, ${megabytes(lastBytes)} MB late`;
  const kept =
    live.length === 0
      ? ''
      : `, alive ${megabytes(live.at(-1).bytes)} MB` +
        (bytesPerConnection === undefined ? '' : ` (${bytesPerConnection.toFixed(1)} bytes per connection)`);
  say(
    `fuzz: ${(elapsedMs / 1000).toFixed(0)} s, ${iterations} connections, ` +
      `${Math.round((iterations * 1000) / elapsedMs)}/s; memory ${memory}${kept}; healthy clients: ` +
      `${delays.length} messages, median ${median(delays).toFixed(1)} ms, 99 % below ` +
      `${quantile(delays, 0.99).toFixed(1)} ms, longest ${quantile(delays, 1).toFixed(1)} ms`,
  );
}

/** Says how deep the cases have got; a run that reached nothing has proved nothing. */
async function reach(broker) {
  const counters = await broker.counters();
  const of = (name) => counters.get(name) ?? 0;
  const packets = of('sluice_packets_received_total');
  const faults = of('sluice_protocol_errors_total');
  const refusals = of('sluice_connections_refused_total');
  say(
    `fuzz: the broker took ${packets} packets, answered ${faults} faults of its peers and refused ${refusals} connections`,
  );
  // Packets are the healthy clients' as well; the API does not count what it refuses.
  return faults + refusals > 0 || targets.every((target) => target === 'http')
    ? undefined
    : 'the cases reached no fault';
}

/** Every connection has been closed from here; the broker must come to know it. */
async function leftConnections(broker) {
  const deadline = performance.now() + endMsMax;
  for (;;) {
    const count = (await broker.counters()).get('sluice_connections');
    if (count === 0) return undefined;
    if (performance.now() > deadline) return `${count} connections are left at the end`;
    await new Promise((resolve) => setTimeout(resolve, settleMs));
  }
}

/** Plays cases one after the other against one broker; what went wrong, or undefined. */
async function playAll(cases, broker) {
  const observer = await startObserver(broker.ports.mqtt, Number(values['delay-max']));
  for (const one of cases) {
    await play(one, broker.placeOf(one.target));
    if (broker.trouble !== undefined) break;
  }
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  await observer.stop().catch(() => {});
  return broker.trouble ?? observer.trouble;
}

async function tellSmallest(recent) {
  let broker;
  const fails = async (cases) => {
    broker ??= await startBroker(targets);
    const trouble = await playAll(cases, broker).catch(() => broker.trouble ?? 'the broker does not answer');
    if (trouble === undefined) return false;
    await broker.stop();
    broker = undefined;
    return true;
  };
  try {
    if (!(await fails(recent))) {
      say('fuzz: the last connections alone do not repeat it; run the seed again to see it');
      return;
    }
    const smallest = await minimise(recent, fails, piecesOf, triesMax);
    say(`fuzz: smallest input found, ${smallest.length} connection(s):`);
    for (const { target, writes, end } of smallest) {
      say(`  ${target}, ${end}: ${writes.map((bytes) => bytes.toString('hex')).join(',')}`);
    }
    say(`fuzz: again with\n  npm run fuzz -- --replay '${formatCases(smallest)}'`);
  } finally {
    await broker?.stop();
  }
}

function piecesOf(bytes, target) {
  return target === 'mqtt' ? packetsOf(bytes) : [bytes];
}

function formatCases(cases) {
  return cases
    .map(({ target, writes }) => `${target}:${writes.map((bytes) => bytes.toString('hex')).join(',')}`)
    .join(';');
}

function parseCases(text) {
  return text.split(';').map((one) => {
    const [, target = 'mqtt', hex = ''] = /^(?:(\w+):)?([0-9a-f,]*)$/.exec(one) ?? [];
    return { target, writes: hex.split(',').map((write) => Buffer.from(write, 'hex')), end: 'wait' };
  });
}

async function replay(cases) {
  const broker = await startBroker([...new Set(cases.map(({ target }) => target))]);
  const trouble = await playAll(cases, broker).catch((error) => broker.trouble ?? error.message);
  await broker.stop();
  say(trouble === undefined ? 'fuzz: the replay does no harm' : `fuzz: the replay FAILED:\n${trouble}`);
  return trouble === undefined ? 0 : 1;
}
