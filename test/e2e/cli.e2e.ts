/**
 * The commands against a real broker: what a person does in the shell, and what a script sees.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { piped, run, typed } from '../cli/harness.js';
import { type Broker, startBroker } from '../harness/broker.js';
import { brokerEnvironment } from '../harness/environment.js';
import { testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';

const entry = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

function envOf(broker: Broker): Record<string, string> {
  return {
    SLUICE_API_URL: `http://127.0.0.1:${broker.httpPort}`,
    SLUICE_MQTT_URL: `mqtt://127.0.0.1:${broker.mqttPort}`,
  };
}

/** A line of the shell, in which `sluice` is the command. */
async function shell(env: Record<string, string>, line: string) {
  const text = `sluice() { '${process.execPath}' '${entry}' "$@"; }; ${line}`;
  const child = spawn('bash', ['-c', text], {
    env: brokerEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  testScope().add(() => child.kill('SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

async function readyOf(env: Record<string, string>, name: string): Promise<number> {
  const { out } = await run(['queues', 'show', name, '--json'], { env });
  return (JSON.parse(out) as { stats: { messages: number } }).stats.messages;
}

describe('queues, pub and sub', () => {
  test('a queue is made, filled, looked into, consumed, changed and deleted [broker]', async () => {
    const env = envOf(await startBroker(testScope()));
    expect((await run(['status'], { env })).code).toBe(0);
    expect((await run(['queues', 'create', 'jobs', '--strategy', 'least_inflight'], { env })).code).toBe(0);
    expect(await run(['queues', 'create', 'jobs'], { env })).toMatchObject({ code: 4, out: '' });
    const lines = Array.from({ length: 50 }, (_, index) => `job ${index}`);
    await run(['pub', 'jobs', '--lines', '--user-property', 'a=b'], { env, input: piped(lines.join('\n')) });
    expect(await readyOf(env, 'jobs')).toBe(50);

    const peeked = await run(['queues', 'peek', 'jobs', '--limit', '3', '--json'], { env });
    expect(
      peeked.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([0, 1, 2].map((index) => ({ payload: `job ${index}`, state: 'ready', qos: 1 })));
    expect((await run(['queues', 'list'], { env })).out).toMatch(/^\/jobs +jobs +regular +50 +0 +0 /m);

    const first = await run(['sub', '$q/jobs', '--count', '20'], { env });
    expect(first.out).toBe(lines.slice(0, 20).join('\n') + '\n');
    await until(async () => (await readyOf(env, 'jobs')) === 30, 'the acknowledgement of what was printed');
    expect((await run(['queues', 'pause', 'jobs'], { env })).code).toBe(0);
    expect((await run(['sub', '$q/jobs', '--count', '1', '-W', '300ms'], { env })).code).toBe(1);
    expect((await run(['queues', 'resume', 'jobs'], { env })).code).toBe(0);
    expect((await run(['queues', 'update', 'jobs', '--retention', '1h'], { env })).code).toBe(0);
    expect((await run(['queues', 'show', 'jobs'], { env })).out).toMatch(/^data_retention_period +1h 0m$/m);
    expect((await run(['queues', 'purge', 'jobs', '--yes'], { env })).out).toBe(
      'jobs: 30 messages deleted\n',
    );
    expect((await run(['queues', 'delete', 'jobs'], { env, input: typed('yes\n') })).code).toBe(0);
    expect(await run(['queues', 'show', 'jobs'], { env })).toMatchObject({ code: 4, out: '' });
  });

  test('definitions and messages go from one broker to another as a file [broker]', async () => {
    const scope = testScope();
    const folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
    scope.add(() => rm(folder, { recursive: true, force: true }));
    const [source, target] = await Promise.all([startBroker(scope), startBroker(scope)]);
    const [from, to] = [envOf(source), envOf(target)];
    await run(['queues', 'create', 'jobs', '--max-inflight', '3'], { env: from });
    await run(
      ['queues', 'create', 'state/#', '--name', 's', '--last-value', '--key-expression', 'message.topic'],
      {
        env: from,
      },
    );
    const lines = Array.from({ length: 1500 }, (_, index) => `{"id":${index}}`);
    await run(['pub', 'jobs', '--lines', '--user-property', 'k=v', '--content-type', 'application/json'], {
      env: from,
      input: piped(lines.join('\n')),
    });
    await run(['pub', 'state/a', 'old'], { env: from });
    await run(['pub', 'state/a', 'new'], { env: from });
    const file = join(folder, 'all.jsonl');
    const exported = await run(['queues', 'export', '--messages', '-o', file, '--json'], { env: from });
    expect(JSON.parse(exported.out)).toEqual({ file, queues: 2, messages: 1501 });
    expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(1506);

    const imported = await run(['queues', 'import', file, '--messages', '--json'], { env: to });
    expect(JSON.parse(imported.out)).toEqual({ created: ['/jobs', 's'], skipped: [], messages: 1501 });
    const [jobs, state] = await Promise.all(
      ['jobs', 's'].map(async (name) => {
        const { out } = await run(['queues', 'peek', name, '--limit', '9999', '--json'], { env: to });
        return out
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as { payload: string; properties: object });
      }),
    );
    expect(jobs?.map(({ payload }) => payload)).toEqual(lines);
    expect(jobs?.[7]?.properties).toEqual({
      content_type: 'application/json',
      user_properties: [{ key: 'k', value: 'v' }],
    });
    expect(state?.map(({ payload }) => payload)).toEqual(['new']);
    const again = await run(['queues', 'import', file, '--skip-existing'], { env: to });
    expect(again).toMatchObject({
      code: 0,
      out: expect.stringContaining('0 queues created, 2 skipped') as string,
    });
  });

  test('messages go from queue to queue, clients are listed, shown and disconnected [broker]', async () => {
    const broker = await startBroker(testScope());
    const env = envOf(broker);
    await run(['queues', 'create', 'failed'], { env });
    await run(['queues', 'create', 'jobs'], { env });
    await run(['pub', 'failed', 'x', '--count', '5'], { env });
    const moved = await run(['queues', 'move', 'failed', 'jobs', '--count', '3', '--json'], { env });
    expect(JSON.parse(moved.out)).toEqual({ from: 'failed', to: 'jobs', moved: 3 });
    expect(await Promise.all(['failed', 'jobs'].map((name) => readyOf(env, name)))).toEqual([2, 3]);
    const waiting = run(['sub', 'nothing', '-i', 'victim'], { env });
    await until(
      async () => (await run(['clients', 'list', '--state', 'connected'], { env })).out.includes('victim'),
      'the client in the list',
    );
    expect((await run(['clients', 'show', 'victim', '--json'], { env })).out).toContain(
      '"clientid": "victim"',
    );
    const subscriptions = await run(['clients', 'subscriptions', 'victim', '--json'], { env });
    expect(JSON.parse(subscriptions.out)).toMatchObject([{ topic: 'nothing', qos: 1 }]);
    expect((await run(['clients', 'kick', 'victim', '--yes'], { env })).code).toBe(0);
    expect(await waiting).toMatchObject({
      code: 3,
      err: expect.stringContaining('ended the connection') as string,
    });
    expect((await run(['clients', 'kick', 'victim', '--yes'], { env })).code).toBe(4);
  });

  test('settings, keys and accounts are those of the broker [broker]', async () => {
    const broker = await startBroker(testScope(), { env: { SLUICE_MAX_INFLIGHT: '77' } });
    const env = envOf(broker);
    const effective = await run(['config', 'effective', 'MAX_INFLIGHT', '--json'], { env });
    expect(JSON.parse(effective.out)).toMatchObject([
      { name: 'SLUICE_MAX_INFLIGHT', value: '77', source: 'environment' },
    ]);
    const made = await run(['keys', 'create', 'grafana', '--role', 'viewer', '--json'], { env });
    const key = JSON.parse(made.out) as { api_key: string; api_secret: string };
    const viewer = { ...env, SLUICE_API_KEY: key.api_key, SLUICE_API_SECRET: key.api_secret };
    expect((await run(['queues', 'list'], { env: viewer })).code).toBe(0);
    const refused = await run(['queues', 'create', 'x'], { env: viewer });
    expect(refused).toMatchObject({
      code: 4,
      err: expect.stringContaining('use a key whose role') as string,
    });
    expect((await run(['keys', 'list'], { env })).out).toMatch(/^grafana +\S+ +viewer +yes/m);
    expect((await run(['keys', 'delete', 'grafana', '--yes'], { env })).code).toBe(0);
    expect((await run(['keys', 'delete', 'grafana', '--yes'], { env })).code).toBe(4);

    const input = piped('a good Password 1\n');
    expect((await run(['users', 'create', 'ada', '--role', 'administrator'], { env, input })).code).toBe(0);
    expect((await run(['users', 'update', 'ada', '--description', 'counts'], { env })).code).toBe(0);
    expect((await run(['users', 'list'], { env })).out).toMatch(/^ada +administrator +counts$/m);
    expect((await run(['users', 'delete', 'ada', '--yes'], { env })).code).toBe(0);
  });
});

describe('in a shell', () => {
  test('output that cannot be written is a failure, unless its reader has gone [broker]', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
    testScope().add(() => rm(folder, { recursive: true, force: true }));
    for (const command of ['version', 'help', 'completion bash']) {
      const full = await shell({}, `sluice ${command} >/dev/full`);
      expect(full).toEqual({
        code: 1,
        out: '',
        err: expect.stringMatching(/^sluice: standard output cannot be written: ENOSPC[^\n]*\n$/) as string,
      });
    }
    const gone = await shell({}, 'exec 3> >(exit); wait $!; sluice completion bash >&3');
    expect(gone).toEqual({ code: 1, out: '', err: '' });
    const read = await shell({}, 'sluice completion zsh | cat');
    const filed = await shell({}, `sluice completion zsh > '${folder}/zsh' && cat '${folder}/zsh'`);
    expect(filed).toEqual({ code: 0, out: read.out, err: '' });
    expect(read.out).toMatch(/^#compdef sluice\n[^]*\ncompdef _sluice sluice\n$/);
  });

  test('exit codes, pipes, and an end by Ctrl-C [broker]', async () => {
    const env = envOf(await startBroker(testScope()));
    // Lines of 4,000 digits: more than a pipe holds, whoever is slow.
    const made = await shell(
      env,
      "sluice queues create jobs >/dev/null && seq -f '%04000.0f' 1 40 | sluice pub jobs -l -q 2 --json && sluice queues list | awk 'NR > 1 { print $1, $4 }'",
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(made.out).toContain('"published": 40');
    expect(made.out).toMatch(/\/jobs 40\n$/);
    // Whoever reads begins late and goes after one line: no more is acknowledged than what was taken from the pipe.
    const cut = await shell(env, "sluice sub '$q/jobs' --count 40 | (sleep 1; head -n 1)");
    expect(cut).toMatchObject({ code: 0, out: `${'1'.padStart(4000, '0')}\n` });
    const child = spawn(process.execPath, [entry, 'sub', '$q/jobs'], {
      env: brokerEnvironment(env),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    testScope().add(() => child.kill('SIGKILL'));
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    await until(
      () => out.endsWith('0040\n'),
      () => `what is left, after ${out.match(/[1-9]\d*\n/g)?.join(' ')}`,
    );
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    await until(async () => (await readyOf(env, 'jobs')) === 0, 'the acknowledgements');
  });
});
