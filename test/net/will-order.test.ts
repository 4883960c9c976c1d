import { expect, test } from 'vitest';

import { connect, open, startGateway } from './test-gateway.js';

test('user properties keep their order, also of one name [MQTT-3.1.3-10]', async () => {
  const target = await startGateway();
  const watcher = await connect(target, 'watcher');
  await watcher.subscribe('will/#', 2);
  const client = await open(target, 5);
  const user = ['26 0001 62 0001 31', '26 0001 61 0001 32', '26 0001 62 0001 33'].join(' ');
  // CONNECT with Clean Start and a will of QoS 0: client id "a", will topic "will/a", payload "gone".
  const body = `0004 4d515454 05 06 0000 00 0001 61 15 ${user} 0006 77696c6c2f61 0004 676f6e65`;
  client.send(`10 ${(body.replaceAll(' ', '').length / 2).toString(16)} ${body}`);
  expect((await client.expect('connack')).reasonCode).toBe(0);
  const bytes: Buffer[] = [];
  watcher.socket.on('data', (chunk) => bytes.push(chunk));
  client.destroy();
  await watcher.expect('publish');
  expect(Buffer.concat(bytes).toString('hex')).toContain(user.replaceAll(' ', ''));
});
