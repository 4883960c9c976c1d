/**
 * The job queue with clients of other makers: the examples' TypeScript programs (mqtt.js) and mosquitto's
 * command line clients. Programs that the machine cannot run are skipped with the reason.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startBroker } from '../harness/broker.js';
import { hasMosquittoClients } from '../harness/mosquitto.js';
import { Script } from '../harness/script.js';
import { testScope } from '../harness/scope.js';

const run = promisify(execFile);
const EXAMPLES = new URL('../../examples/', import.meta.url);

/** Whether this Node.js runs TypeScript files as they are (22.18 and later). */
const runsTypeScript = 'typescript' in process.features && process.features.typescript !== false;

function example(file: string, port: number, ...options: readonly string[]): [string, string[]] {
  return [process.execPath, [fileURLToPath(new URL(file, EXAMPLES)), `--port=${port}`, ...options]];
}

test('the TypeScript job queue shares the jobs and finishes each [queue-67]', async (context) => {
  if (!runsTypeScript) context.skip('this Node.js does not run TypeScript files');
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('jobs', { dispatch_strategy: 'least_inflight' });
  const port = broker.mqttPort;
  const consumers = ['consumer1', 'consumer2'].map(
    (name) => new Script(scope, ...example('job-queue/consumer.ts', port, `--name=${name}`, '--sleep=0.005')),
  );
  for (const consumer of consumers) await consumer.waitFor(/waits for jobs$/);
  const producer = new Script(
    scope,
    ...example('job-queue/producer.ts', port, '--interval=0.005', '--count=100'),
  );
  expect(await producer.finished(60_000)).toBe(0);
  const done = (): Set<string> =>
    new Set(
      consumers.flatMap((consumer) =>
        consumer.matching(/is done with/).map(({ text }) => text.split(' done with ')[1] ?? ''),
      ),
    );
  await expect.poll(() => done().size, { timeout: 30_000 }).toBe(100);
  for (const consumer of consumers) expect(consumer.matching(/is done with/).length).toBeGreaterThan(10);
});

test('the TypeScript device gets only the last command sent while it was away [queue-69]', async (context) => {
  if (!runsTypeScript) context.skip('this Node.js does not run TypeScript files');
  const scope = testScope();
  const broker = await startBroker(scope);
  await broker.rest.createQueue('commands/device1', {
    is_lastvalue: true,
    key_expression: 'message.headers.properties.User-Property.key',
  });
  const port = broker.mqttPort;
  const producer = new Script(
    scope,
    ...example('command-queue/command-producer.ts', port, '--interval=0.01', '--count=12'),
  );
  expect(await producer.finished(60_000)).toBe(0);
  const device = new Script(scope, ...example('command-queue/consumer.ts', port));
  const [first] = await device.waitFor(/Now I am/);
  expect(first?.text).toMatch(/\(command 12\)$/);
});

for (const version of ['mqttv311', 'mqttv5']) {
  test.runIf(hasMosquittoClients())(
    `mosquitto_sub takes from a queue what mosquitto_pub sent before, ${version} [broker]`,
    async () => {
      const scope = testScope();
      const broker = await startBroker(scope);
      await broker.rest.createQueue('jobs');
      const target = ['-h', broker.mqttHost, '-p', String(broker.mqttPort), '-V', version];
      for (let job = 0; job < 5; job += 1) {
        await run('mosquitto_pub', [...target, '-t', 'jobs', '-q', '1', '-m', `job ${job}`], {
          timeout: 20_000,
        });
      }
      // -C 5 -W 20: five messages, or give up after 20 s.
      const { stdout } = await run('mosquitto_sub', [
        ...target,
        '-t',
        '$q/jobs',
        '-q',
        '1',
        '-C',
        '5',
        '-W',
        '20',
        '-F',
        '%t %q %p',
      ]);
      expect(stdout.trim().split('\n')).toEqual(Array.from({ length: 5 }, (_, job) => `jobs 1 job ${job}`));
    },
  );
}
