import net from 'node:net';

import { describe, expect, test } from 'vitest';

import { OperationalError } from '../../src/base/error.js';
import { TcpListener } from '../../src/net/tcp-listener.js';
import { testScope } from '../harness/scope.js';
import { until } from '../harness/wait.js';
import { connect, expectNothing, publish, publishPacket, startGateway } from './test-gateway.js';

describe.each([
  ['one buffer for all connections', true],
  ['`data` events', false],
])('reading by %s', (_, sharesBuffer) => {
  test('bytes arrive in order, writes leave, both ends see the close [broker]', async () => {
    const scope = testScope();
    const chunks: string[] = [];
    const buffers = new Set<ArrayBufferLike>();
    let ended = 0;
    let closed = 0;
    const listener = new TcpListener(
      (socket) => {
        socket.on('end', () => {
          ended++;
          socket.end('bye');
        });
        socket.on('close', () => closed++);
        return (chunk, length) => {
          chunks.push(chunk.toString('latin1', 0, length));
          buffers.add(chunk.buffer);
          socket.write('ok');
        };
      },
      { sharesBuffer },
    );
    const { port } = await listener.listen('127.0.0.1', 0);
    scope.add(() => listener.close());
    const peers = [net.connect(port, '127.0.0.1'), net.connect(port, '127.0.0.1')];
    const answers = ['', ''];
    for (const [index, peer] of peers.entries()) {
      peer.on('data', (data) => (answers[index] += data.toString()));
      peer.write(`hello${index}`);
    }
    await until(() => answers.every((answer) => answer === 'ok'), 'both answers');
    for (const peer of peers) peer.end();
    await until(() => closed === 2, 'both closes');
    expect(chunks.toSorted()).toEqual(['hello0', 'hello1']);
    expect(answers).toEqual(['okbye', 'okbye']);
    expect(ended).toBe(2);
    if (sharesBuffer) expect(buffers.size).toBe(1);
  });

  test('a paused socket reads nothing until it is resumed [broker]', async () => {
    const scope = testScope();
    let got = 0;
    let socket: net.Socket | undefined;
    const listener = new TcpListener(
      (accepted) => {
        socket = accepted;
        return (_chunk, length) => {
          got += length;
          if (got === length) accepted.pause();
        };
      },
      { sharesBuffer },
    );
    const { port } = await listener.listen('127.0.0.1', 0);
    scope.add(() => listener.close());
    const peer = net.connect(port, '127.0.0.1');
    scope.add(() => peer.destroy());
    peer.write('1');
    await until(() => got === 1, 'the first byte');
    peer.write('2');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(got).toBe(1);
    socket?.resume();
    await until(() => got === 2, 'the second byte');
  });

  test('the whole protocol works [broker]', async () => {
    const target = await startGateway({ sharesReadBuffer: sharesBuffer });
    target.addQueue('t');
    const subscriber = await connect(target, 's');
    await subscriber.subscribe('$q/t', 1);
    const publisher = await connect(target, 'p');
    // In pieces, so that packets are split over reads.
    const payload = 'x'.repeat(300_000);
    publisher.send(publishPacket('t', payload));
    expect((await publisher.expect('puback')).reasonCode).toBe(0);
    expect((await subscriber.expect('publish')).payload.toString()).toBe(payload);
    target.shards.roomBytes = 0;
    publisher.send(publishPacket('t', '2'));
    await until(() => target.shards.waitingForRoomCount === 1, 'the pause');
    target.shards.makeRoom();
    await publisher.expect('puback');
    await expectNothing(publisher);
    expect(await publish(publisher, 'nowhere', 'x')).toBe(0x10);
  });
});

test('a port that is taken rejects with ERR_LISTEN [broker]', async () => {
  const scope = testScope();
  const first = new TcpListener(() => undefined);
  const { port } = await first.listen('127.0.0.1', 0);
  scope.add(() => first.close());
  const failure = await new TcpListener(() => undefined)
    .listen('127.0.0.1', port)
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(OperationalError);
  expect((failure as OperationalError).code).toBe('ERR_LISTEN');
});
