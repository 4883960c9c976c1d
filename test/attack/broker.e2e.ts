import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startBroker, temporaryDirectory, type Broker } from '../harness/broker.js';
import { connectClient } from '../harness/mqtt-client.js';
import { hasMosquittoClients } from '../harness/mosquitto.js';
import { RawClient } from '../harness/raw-client.js';
import { testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { passwords, subscribeCodes } from './fixture.js';
import { startGuardedBroker } from './guarded-broker.js';

const notAuthorized = 0x87;

async function publishCode(client: RawClient, topic: string, messageId = 1): Promise<number> {
  client.send({ cmd: 'publish', topic, payload: 'x', qos: 1, messageId, dup: false, retain: false });
  for (;;) {
    const answer = await client.next();
    if (answer.cmd === 'puback') return answer.reasonCode ?? 0;
  }
}

async function metric(broker: Broker, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5/prometheus/stats`)).text();
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1));
}

describe('a guarded broker', () => {
  test('lets in who proves it, allows what the file allows, and counts the rest [broker]', async () => {
    const { broker, connect, scope } = await startGuardedBroker();
    const anonymous = RawClient.connect(scope, broker, { clientId: 'x', protocolVersion: 5 });
    await expect(anonymous).rejects.toThrow(`CONNACK ${notAuthorized}`);
    const wrong = {
      clientId: 'x',
      protocolVersion: 5 as const,
      username: 'root',
      password: Buffer.from('?'),
    };
    await expect(RawClient.connect(scope, broker, wrong)).rejects.toThrow('CONNACK 134');
    const mallory = await connect('mallory');
    expect(await publishCode(mallory, 'secret/a')).toBe(notAuthorized);
    expect(await publishCode(mallory, 'public/a')).toBeLessThan(0x80);
    expect(await subscribeCodes(mallory, ['#', 'secret/#', 'public/#'])).toEqual([
      notAuthorized,
      notAuthorized,
      1,
    ]);
    expect(await metric(broker, 'sluice_authorization_denied_total{action="publish"}')).toBe(1);
    expect(await metric(broker, 'sluice_authorization_denied_total{action="subscribe"}')).toBe(2);
  });

  test('gives the messages of a queue to who may read it and its filter, and makes no queue for others [broker]', async () => {
    const { broker, connect } = await startGuardedBroker({ SLUICE_MQ_AUTO_CREATE_REGULAR: '{}' });
    const alice = await connect('alice');
    expect(await subscribeCodes(alice, ['$queue/jobs/jobs/#'])).toEqual([1]);
    const mallory = await connect('mallory');
    const tricks = ['$q/secret/#', '$queue/mine/secret/#', '$queue/mine/#', '$share/g/secret/#', '$q/#'];
    expect(await subscribeCodes(mallory, tricks)).toEqual(tricks.map(() => notAuthorized));
    const root = await connect('root');
    const queues = async () => {
      const answer = await fetch(`http://127.0.0.1:${broker.httpPort}/api/v5/message_queues/queues`);
      const { data } = (await answer.json()) as { data: { name: string }[] };
      return data.map(({ name }) => name);
    };
    await until(async () => (await queues()).length > 0, 'the queue');
    expect(await queues()).toEqual(['jobs']);
    expect(await publishCode(root, 'jobs/1')).toBe(0);
    expect((await alice.expect('publish')).topic).toBe('jobs/1');
    expect(mallory.inbox).toEqual([]);
  });

  test('takes changed permissions on SIGHUP, and keeps those it has when the file is broken [broker]', async () => {
    const { broker, connect, aclFile } = await startGuardedBroker();
    const mallory = await connect('mallory');
    expect(await publishCode(mallory, 'secret/a')).toBe(notAuthorized);
    const alice = await connect('alice');
    expect(await subscribeCodes(alice, ['alice/#', 'jobs/#'])).toEqual([1, 1]);
    const root = await connect('root');
    const granted = 'user root\ntopic write #\nuser alice\ntopic read jobs/#\n';
    writeFileSync(aclFile, `${granted}user mallory\ntopic write secret/#\n`);
    process.kill(broker.pid, 'SIGHUP');
    await until(async () => (await publishCode(mallory, 'secret/a')) !== notAuthorized, 'the new file');
    await until(() => broker.output.includes('their right was withdrawn'), 'the end of the subscription');
    for (const topic of ['alice/a', 'jobs/a']) expect(await publishCode(root, topic)).toBeLessThan(0x80);
    expect((await alice.expect('publish')).topic).toBe('jobs/a');
    expect(await publishCode(mallory, 'mallory/a')).toBe(notAuthorized);
    writeFileSync(aclFile, 'user mallory\ntopic wriet mallory/#\n');
    process.kill(broker.pid, 'SIGHUP');
    await until(() => /line 2: \\?"wriet/.test(broker.output), 'the complaint');
    expect(await publishCode(mallory, 'secret/a')).not.toBe(notAuthorized);
    expect(await metric(broker, 'sluice_acl_reloads_total{outcome="failed"}')).toBeGreaterThan(0);
  });

  test('does not start with a broken file, and says which line is wrong [broker]', async () => {
    const scope = testScope();
    const folder = await temporaryDirectory(scope);
    const aclFile = join(folder, 'acl');
    writeFileSync(aclFile, 'user a\n\nallow everything\n');
    await expect(startBroker(scope, { env: { SLUICE_ACL_FILE: aclFile } })).rejects.toThrow(
      /\(1\)[^]*ERR_ACL[^]*line 3/,
    );
  });

  test.runIf(hasMosquittoClients())(
    'speaks so that the clients of mosquitto understand [broker]',
    async () => {
      const { broker, connect } = await startGuardedBroker();
      const alice = await connect('alice');
      expect(await subscribeCodes(alice, ['alice/#'])).toEqual([1]);
      const run = (program: string, version: string, ...args: string[]) =>
        spawnSync(program, ['-h', broker.mqttHost, '-p', String(broker.mqttPort), '-V', version, ...args], {
          timeout: 20_000,
          encoding: 'utf8',
        });
      const as = (user: string) => ['-u', user, '-P', passwords[user] ?? ''];
      for (const version of ['311', '5']) {
        const sent = run('mosquitto_pub', version, ...as('alice'), '-t', 'alice/x', '-m', 'hi', '-q', '1');
        expect([sent.status, sent.stderr]).toEqual([0, '']);
        expect((await alice.expect('publish')).topic).toBe('alice/x');
        const refused = run('mosquitto_pub', version, '-u', 'alice', '-P', 'no', '-t', 'alice/x', '-m', 'hi');
        expect(refused.status).not.toBe(0);
        const denied = run('mosquitto_sub', version, ...as('mallory'), '-t', 'alice/#', '-W', '5', '-E');
        expect(`${denied.stdout}${denied.stderr}`).toMatch(/denied|not authorized|All subscription/i);
      }
      expect(alice.inbox).toEqual([]);
    },
  );

  test('serves mqtt.js with a user name and password [broker]', async () => {
    const { broker, scope } = await startGuardedBroker();
    for (const protocolVersion of [4, 5] as const) {
      const { client, waitFor } = await connectClient(scope, broker, {
        protocolVersion,
        username: 'alice',
        password: passwords['alice'] ?? '',
      });
      await client.subscribeAsync('alice/#', { qos: 1 });
      await expect(client.subscribeAsync('secret/#', { qos: 1 })).rejects.toThrow(
        /Not authorized|Unspecified error/,
      );
      await client.publishAsync('alice/x', 'hi', { qos: 2 });
      expect((await waitFor(1))[0]?.topic).toBe('alice/x');
    }
  });
});
