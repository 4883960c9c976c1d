/**
 * The command queue example, end to end: a broker process and the example's own Python programs. The
 * application speaks MQTT 5 and names the key of a command in a user property; the device speaks 3.1.1 and
 * subscribes with QoS 0.
 */
import { expect, test } from 'vitest';
import { startBroker } from '../harness/broker.js';
import { fullSize } from '../harness/environment.js';
import { pythonFor, runExample } from '../harness/example.js';
import type { Script } from '../harness/script.js';
import { testScope } from '../harness/scope.js';
import { sleep } from '../harness/wait.js';

const INTERVAL_S = fullSize ? 0.5 : 0.05;
const WHILE_AWAY = 10;
const LIVE = 10;

function sentNumbers(producer: Script): number[] {
  return producer.matching(/Sent /).map(({ text }) => Number(/"n": (\d+)/.exec(text)?.[1]));
}

function shownNumbers(device: Script): number[] {
  return device.matching(/Now I am/).map(({ text }) => Number(/command (\d+)/.exec(text)?.[1]));
}

test('a device gets exactly the last command sent while it was away, then live ones [queue-69]', async (context) => {
  const python = await pythonFor(context);
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('commands/device1', {
    is_lastvalue: true,
    key_expression: 'message.headers.properties.User-Property.key',
    dispatch_strategy: 'random',
  });

  const before = runExample(scope, python, broker, 'command-queue/producer/command-producer.py', [
    `--interval=${INTERVAL_S}`,
    `--count=${WHILE_AWAY}`,
  ]);
  expect(await before.finished(60_000)).toBe(0);
  expect(sentNumbers(before)).toHaveLength(WHILE_AWAY);

  const device = runExample(scope, python, broker, 'command-queue/consumer/consumer.py');
  await device.waitFor(/Now I am/);
  // Time for commands that must not come: the overwritten ones.
  await sleep(500);
  expect(shownNumbers(device)).toEqual([WHILE_AWAY]);

  const live = runExample(scope, python, broker, 'command-queue/producer/command-producer.py', [
    `--interval=${INTERVAL_S}`,
    `--count=${LIVE}`,
  ]);
  expect(await live.finished(60_000)).toBe(0);
  await device.waitFor(/Now I am/, 1 + LIVE);
  expect(shownNumbers(device)).toEqual([WHILE_AWAY, ...sentNumbers(live)]);
}, 180_000);

test('a device that comes while commands are being sent starts with the newest and skips none after it [queue-69]', async (context) => {
  const python = await pythonFor(context);
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('commands/device1', {
    is_lastvalue: true,
    key_expression: 'message.headers.properties.User-Property.key',
  });
  const producer = runExample(scope, python, broker, 'command-queue/producer/command-producer.py', [
    `--interval=${INTERVAL_S * 2}`,
    '--count=40',
  ]);
  await producer.waitFor(/Sent /, 8);
  const sentBefore = sentNumbers(producer).length;
  const device = runExample(scope, python, broker, 'command-queue/consumer/consumer.py');
  expect(await producer.finished(60_000)).toBe(0);
  await device.waitFor(/command 40\)$/);

  const shown = shownNumbers(device);
  const first = shown[0] ?? 0;
  expect(first).toBeGreaterThanOrEqual(sentBefore);
  expect(shown).toEqual(Array.from({ length: 41 - first }, (_, index) => first + index));
}, 180_000);
