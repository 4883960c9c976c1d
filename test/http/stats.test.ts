import { describe, expect, it } from 'vitest';

import { slot } from '../../src/telemetry/counter-layout.js';
import { Counters, workerBlock } from '../../src/telemetry/counter.js';
import { startApi, subscribe } from './gateway.js';

describe('figures in the form of EMQX', () => {
  it('tell what there is now, as a list or alone [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, '$share/g/t');
    await subscribe(client, '$q/x');
    await api.call('POST', '/publish', { topic: 'kept', payload: 'x', retain: true });
    const { body } = await api.call('GET', '/stats');
    expect(body).toMatchObject([
      {
        node: 'sluice',
        'connections.count': 1,
        'sessions.count': 1,
        'subscriptions.count': 2,
        'subscriptions.shared.count': 1,
        'subscriptions.queue.count': 1,
        'retained.count': 1,
        'queues.count': 0,
      },
    ]);
    client.socket.destroy();
    while (api.gateway.sessions.size > 0) await new Promise(setImmediate);
    const { body: after } = await api.call('GET', '/stats?aggregate=true');
    expect(after).toMatchObject({ 'sessions.count': 0, 'sessions.max': 1 });
    expect(after).not.toHaveProperty('node');
  });

  it('tell what has happened [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    await subscribe(client, 't', 1);
    client.send({
      cmd: 'publish',
      topic: 't',
      payload: 'x',
      qos: 1,
      messageId: 7,
      dup: false,
      retain: false,
    });
    await client.expect('publish');
    await client.expect('puback');
    new Counters(api.counterMemory, workerBlock(0)).add(slot.messagesAcked, 5);
    const { body } = await api.call('GET', '/metrics?aggregate=true');
    expect(body).toMatchObject({
      'packets.connect.received': 1,
      'packets.connack.sent': 1,
      'packets.publish.received': 1,
      'messages.received': 1,
      'messages.qos1.received': 1,
      'messages.qos0.received': 0,
      'messages.sent': 1,
      'messages.dropped': 0,
      'messages.queued.acked': 5,
    });
    expect(body['bytes.received']).toBeGreaterThan(0);
    expect(body).not.toHaveProperty(['packets.connect.sent']);
    for (const value of Object.values(body)) expect(Number.isFinite(value)).toBe(true);
  });

  it('tell rates of this moment, also to the first who asks [broker]', async () => {
    const api = await startApi();
    const client = await api.connect('c');
    const answer = api.call('GET', '/monitor_current');
    const publish = setInterval(() => {
      client.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain: false });
    }, 10);
    const { body } = await answer;
    clearInterval(publish);
    expect(body).toMatchObject({
      connections: 1,
      live_connections: 1,
      sessions: 1,
      subscriptions: 0,
      queues: 0,
    });
    expect(body.received_msg_rate).toBeGreaterThan(0);
    expect(body.received_bytes_rate).toBeGreaterThan(0);
    expect(body.sent_msg_rate).toBe(0);
  });

  it('tell of the one node [broker]', async () => {
    const api = await startApi();
    const { body } = await api.call('GET', '/nodes');
    expect(body).toMatchObject([
      { node: 'sluice', node_status: 'running', version: '0.0.0-test', connections: 0 },
    ]);
    expect((await api.call('GET', '/nodes/sluice')).body).toMatchObject({ node: 'sluice' });
    expect(await api.call('GET', '/nodes/other')).toMatchObject({ status: 404 });
  });
});
