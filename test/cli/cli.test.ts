import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { runCli } from '../../src/cli/cli.js';
import type { StartBroker } from '../../src/cli/cli.js';
import { statusUrl } from '../../src/cli/status.js';

async function run(
  argv: string[],
  env: Record<string, string> = {},
  start: StartBroker = () => Promise.resolve(0),
) {
  let out = '';
  let err = '';
  const code = await runCli(argv, { env, out: (text) => (out += text), err: (text) => (err += text) }, start);
  return { code, out, err };
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  stops.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('start', () => {
  test('the broker gets the checked configuration, and its exit code is the exit code [broker]', async () => {
    const result = await run(['start'], { SLUICE_MQTT_PORT: '0' }, (config) =>
      Promise.resolve(config.mqttPort + 7),
    );
    expect(result).toEqual({ code: 7, out: '', err: '' });
  });

  test('a faulty configuration starts nothing and lists every fault, exit code 2 [broker]', async () => {
    const result = await run(['start'], { SLUICE_STORE: 'x', SLUICE_SHARDS: '0' }, () =>
      Promise.reject(new Error('started')),
    );
    expect(result.code).toBe(2);
    expect(result.err).toContain('2 faults in the configuration');
    expect(result.err).toContain('SLUICE_STORE');
    expect(result.err).toContain('SLUICE_SHARDS');
  });

  test("the world's fault is one line with its code, exit code 1 [broker]", async () => {
    const fault = new OperationalError('ERR_LISTEN', 'port 1883 is taken');
    expect(await run(['start'], {}, () => Promise.reject(fault))).toEqual({
      code: 1,
      out: '',
      err: 'sluice: ERR_LISTEN: port 1883 is taken\n',
    });
  });
});

describe('ctl status', () => {
  test('exit code 0 when the configured API answers 200 [broker]', async () => {
    const asked: (string | undefined)[] = [];
    const port = await serve((request, response) => {
      asked.push(request.url);
      response.end('{"status":"running"}');
    });
    const result = await run(['ctl', 'status'], { SLUICE_HTTP_PORT: String(port) });
    expect(result).toEqual({ code: 0, out: `running, http://127.0.0.1:${port}/api/v5/status\n`, err: '' });
    expect(asked).toEqual(['/api/v5/status']);
  });

  test('exit code 1 when it answers anything else, or nothing in time, or nobody listens [broker]', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/api/v5/status') response.writeHead(503).end();
    });
    const failing = await run(['ctl', 'status'], { SLUICE_HTTP_PORT: String(port) });
    expect(failing).toMatchObject({ code: 1, out: expect.stringContaining('answered 503') as string });
    const silent = await run([
      'ctl',
      'status',
      '--url',
      `http://127.0.0.1:${port}/silent`,
      '--timeout-ms',
      '50',
    ]);
    expect(silent).toMatchObject({ code: 1, out: expect.stringContaining('not running') as string });
    const freePort = await serve(() => {});
    for (const stop of stops.splice(0)) stop();
    const absent = await run(['ctl', 'status'], { SLUICE_HTTP_PORT: String(freePort) });
    expect(absent).toMatchObject({ code: 1, out: expect.stringContaining('ECONNREFUSED') as string });
  });

  test('an address that means all interfaces is asked on loopback [broker]', () => {
    expect(statusUrl('0.0.0.0', 1)).toBe('http://127.0.0.1:1/api/v5/status');
    expect(statusUrl('::', 1)).toBe('http://[::1]:1/api/v5/status');
    expect(statusUrl('broker.example', 1)).toBe('http://broker.example:1/api/v5/status');
  });

  test('with any port configured it has to be told which [broker]', async () => {
    expect(await run(['ctl', 'status'], { SLUICE_HTTP_PORT: '0' })).toMatchObject({ code: 2, out: '' });
  });
});

describe('other commands', () => {
  test('version is that of the package [broker]', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await run(['version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
    expect(await run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test('help goes to standard output [broker]', async () => {
    for (const argv of [['help'], ['--help'], ['start', '-h']]) {
      expect(await run(argv)).toMatchObject({
        code: 0,
        err: '',
        out: expect.stringContaining('usage: sluice') as string,
      });
    }
  });

  test.each([
    [[], 'which command?'],
    [['stop'], '"stop" is not a command'],
    [['start', 'now'], '"start now" is not a command'],
    [['ctl'], '"ctl" is not a command'],
    [['start', '--port', '1'], "Unknown option '--port'"],
    [['start', '--url', 'http://x'], '--url and --timeout-ms belong to "ctl status"'],
    [['ctl', 'status', '--timeout-ms', 'soon'], '--timeout-ms takes a whole number'],
    [['ctl', 'status', '--url', 'soon'], '--url takes an address'],
  ])('%j is wrong use: exit code 2 with the usage on standard error [broker]', async (argv, message) => {
    const result = await run(argv);
    expect(result).toMatchObject({ code: 2, out: '' });
    expect(result.err).toContain(`sluice: ${message}`);
    expect(result.err).toContain('usage: sluice');
  });
});
