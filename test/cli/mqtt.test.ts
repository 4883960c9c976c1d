import { describe, expect, test } from 'vitest';

import type { Authenticator } from '../../src/auth/authenticator.js';
import { testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { connect, publish, startGateway, type TestGateway } from '../net/test-gateway.js';
import { piped, run, serve, typed } from './harness.js';

function envOf({ mqttHost, mqttPort }: TestGateway): Record<string, string> {
  return { SLUICE_MQTT_URL: `mqtt://${mqttHost}:${mqttPort}` };
}

const onlyAda: Authenticator = {
  authenticate: ({ username, password }) =>
    username === 'ada' && String(password) === 'pw'
      ? { kind: 'success', identity: { username } }
      : { kind: 'refused', reasonCode: 0x86 },
  exchange: () => undefined,
  close: () => undefined,
};

describe('pub', () => {
  test.each([
    ['5', '0'],
    ['5', '1'],
    ['5', '2'],
    ['3.1.1', '0'],
    ['3.1.1', '1'],
    ['3.1.1', '2'],
  ])('MQTT %s, QoS %s: the payload arrives as it was given [broker]', async (version, qos) => {
    const gateway = await startGateway();
    const receiver = await connect(gateway, 'receiver');
    receiver.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 't', qos: 0 }] });
    await receiver.expect('suback');
    const result = await run(['pub', 't', 'grün', '-q', qos, '--mqtt-version', version], {
      env: envOf(gateway),
    });
    expect(result).toEqual({ code: 0, err: '', out: 'published one message to t\n' });
    const { payload, topic } = await receiver.expect('publish');
    expect({ topic, payload: payload.toString() }).toEqual({ topic: 't', payload: 'grün' });
  });

  test('properties, retain, standard input and lines [broker]', async () => {
    const gateway = await startGateway();
    const receiver = await connect(gateway, 'receiver');
    receiver.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 1, rap: true }] });
    await receiver.expect('suback');
    const env = envOf(gateway);
    const options =
      '--retain --user-property a=1 --user-property a=2 --user-property b=x=y --content-type text/plain ' +
      '--response-topic r --correlation-data c --expiry 60';
    await run(['pub', 't', 'x', ...options.split(' ')], { env });
    const { retain, properties } = await receiver.expect('publish');
    expect(retain).toBe(true);
    expect(properties).toMatchObject({
      userProperties: { a: ['1', '2'], b: 'x=y' },
      contentType: 'text/plain',
      responseTopic: 'r',
      correlationData: Buffer.from('c'),
      messageExpiryInterval: 60,
    });
    await run(['pub', 't'], { env, input: piped('all\nof it') });
    expect((await receiver.expect('publish')).payload.toString()).toBe('all\nof it');
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`);
    const many = await run(['pub', 't', '--lines', '--json'], {
      env,
      input: piped(`${lines.join('\n')}\n`),
    });
    expect(JSON.parse(many.out)).toEqual({ topic: 't', published: 300, no_matching_subscribers: 0 });
    for (const line of lines) {
      const { payload, messageId } = await receiver.expect('publish');
      expect(payload.toString()).toBe(line);
      receiver.send({ cmd: 'puback', messageId: messageId ?? 0 });
    }
  });

  test('nobody there is said; a refusal is exit code 4 with the reason [broker]', async () => {
    const gateway = await startGateway();
    const env = envOf(gateway);
    const nobody = await run(['pub', 't', 'x'], { env });
    expect(nobody).toMatchObject({ code: 0, out: expect.stringContaining('nobody is subscribed') as string });
    const refused = await run(['pub', '$SYS/x', 'x'], { env });
    expect(refused).toMatchObject({ code: 4, out: '' });
    expect(refused.err).toMatch(
      /the broker refused the message: Not authorized \(0x87\)\n {2}the user may not/,
    );
  });

  test('user and password come from options, variables or the address; wrong ones are exit code 4 [broker]', async () => {
    const gateway = await startGateway({ hooks: { authenticator: onlyAda } });
    const plain = envOf(gateway);
    const command = ['pub', 't', 'x'];
    const right = [
      run([...command, '-u', 'ada', '-P', 'pw'], { env: plain }),
      run(command, { env: { ...plain, SLUICE_MQTT_USERNAME: 'ada', SLUICE_MQTT_PASSWORD: 'pw' } }),
      run([...command, '--url', `mqtt://ada:pw@127.0.0.1:${gateway.mqttPort}`], { env: {} }),
      run([...command, '-u', 'ada'], { env: plain, input: typed('pw\n') }),
    ];
    for (const result of await Promise.all(right)) expect(result).toMatchObject({ code: 0 });
    for (const [version, text] of [
      ['5', 'Bad User Name or Password (0x86)'],
      ['3.1.1', 'bad user name or password'],
    ] as const) {
      const options = ['-u', 'ada', '-P', 'wrong', '--mqtt-version', version];
      const result = await run([...command, ...options], { env: plain });
      expect(result).toMatchObject({ code: 4, out: '' });
      expect(result.err).toContain(`the broker refused the connection: ${text}\n  check --username`);
    }
  });

  test('where nobody or another server listens, exit code 3 [broker]', async () => {
    const web = await serve(testScope(), () => [200, 'hello']);
    const other = await run(['pub', 't', 'x', '--url', web.url.replace('http', 'mqtt')]);
    expect(other).toMatchObject({ code: 3, err: expect.stringContaining('does not speak MQTT') as string });
    const socket = await run(['pub', 't', 'x', '--url', web.url.replace('http', 'ws')]);
    expect(socket).toMatchObject({
      code: 3,
      err: expect.stringContaining('not reachable by MQTT over ws') as string,
    });
    const nobody = await run(['pub', 't', 'x', '--url', 'mqtt://127.0.0.1:1']);
    expect(nobody).toMatchObject({ code: 3, err: expect.stringContaining('ECONNREFUSED') as string });
  });
});

describe('sub', () => {
  test('prints as text, JSON or hexadecimal digits, and acknowledges after printing [broker]', async () => {
    const gateway = await startGateway();
    const env = envOf(gateway);
    const sender = await connect(gateway, 'sender');
    const printed: string[] = [];
    const wait = async (filter: string, ...options: string[]) => {
      const done = run(['sub', filter, '--count', '2', ...options], {
        env,
        out: (text) => printed.push(text),
      });
      await until(() => gateway.router.subscriptionCount > 0, 'the subscription');
      await publish(sender, 'a/b', 'x\u001B[2J', { properties: { userProperties: { k: ['1', '2'] } } });
      await publish(sender, 'a/b', Buffer.from([0xff, 0]) as unknown as string, { messageId: 2 });
      const result = await done;
      await until(() => gateway.router.subscriptionCount === 0, 'the end of the subscription');
      return result;
    };
    expect((await wait('a/#', '-v')).out).toBe('a/b x\u001B[2J\na/b \uFFFD\u0000\n');
    expect((await wait('a/#', '--format', 'hex')).out).toBe('781b5b324a\nff00\n');
    const { out } = await wait('a/#', '--json', '-q', '2');
    const base = { topic: 'a/b', qos: 1, retain: false, dup: false };
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      {
        ...base,
        payload: 'x\u001B[2J',
        payload_encoding: 'text',
        properties: {
          user_properties: [
            { key: 'k', value: '1' },
            { key: 'k', value: '2' },
          ],
        },
      },
      { ...base, payload: '/wA=', payload_encoding: 'base64', properties: {} },
    ]);
    // On a terminal nothing steers it.
    const onTerminal = await (async () => {
      const done = run(['sub', 'a/#', '--count', '1'], { env, outColumns: 80 });
      await until(() => gateway.router.subscriptionCount > 0, 'the subscription');
      await publish(sender, 'a/b', 'x\u001B[2J');
      return done;
    })();
    expect(onTerminal.out).toBe(String.raw`x\x1b[2J` + '\n');
  });

  test('ends by --timeout, with 1 when --count was not reached, and by Ctrl-C with 0 [broker]', async () => {
    const gateway = await startGateway();
    const env = envOf(gateway);
    expect(await run(['sub', 't', '--timeout', '20ms'], { env })).toEqual({ code: 0, out: '', err: '' });
    const short = await run(['sub', 't', '--timeout', '20ms', '--count', '1'], { env });
    expect(short).toMatchObject({ code: 1, err: expect.stringContaining('0 of 1 messages came') as string });
    let isListening = true;
    const interrupted = await run(['sub', 't'], {
      env,
      onInterrupt: (listener) => {
        setTimeout(listener, 20);
        return () => (isListening = false);
      },
    });
    expect(interrupted).toEqual({ code: 0, out: '', err: '' });
    expect(isListening).toBe(false);
  });

  test('a refused subscription is exit code 4, an ended connection 3 [broker]', async () => {
    const gateway = await startGateway();
    const env = envOf(gateway);
    const refused = await run(['sub', 'ok', 'a/#/b'], { env });
    expect(refused).toMatchObject({ code: 4, out: '' });
    expect(refused.err).toContain('the subscription to a/#/b');
    const done = run(['sub', 't', '-i', 'taken'], { env });
    await until(() => gateway.router.subscriptionCount > 0, 'the subscription');
    await connect(gateway, 'taken');
    const ended = await done;
    expect(ended).toMatchObject({ code: 3, out: '' });
    expect(ended.err).toContain('Session taken over (0x8e)');
  });
});

describe('bench', () => {
  test.each(['0', '1', '2'])(
    'QoS %s: all messages are counted, figures come as JSON [broker]',
    async (qos) => {
      const gateway = await startGateway();
      const options = [
        '--count',
        '200',
        '--publishers',
        '3',
        '--subscribers',
        '2',
        '--size',
        '16',
        '-q',
        qos,
      ];
      const { code, out } = await run(['bench', ...options, '--json'], { env: envOf(gateway) });
      expect(code).toBe(0);
      expect(JSON.parse(out)).toMatchObject({
        publishers: 3,
        subscribers: 2,
        published: 200,
        received: 400,
        expected: 400,
        refused: 0,
        publish_to_delivery_ms: { p50: expect.any(Number) as number },
      });
      expect(gateway.router.subscriptionCount).toBe(0);
    },
  );

  test('what does not arrive is a failure [broker]', async () => {
    const gateway = await startGateway();
    const result = await run(['bench', '--count', '5', '--filter', 'elsewhere', '--wait', '50ms'], {
      env: envOf(gateway),
    });
    expect(result).toMatchObject({
      code: 1,
      err: expect.stringContaining('5 messages did not arrive') as string,
    });
  });
});
