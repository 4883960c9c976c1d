import { describe, expect, test } from 'vitest';

import type { RawClient } from '../harness/raw-client.js';
import { connect, expectNothing, open, publish, startGateway } from '../net/test-gateway.js';
import { packet, properties, text } from './fixture.js';

/** Texts that are none. */
const bad = {
  NUL: '6100',
  'an overlong slash': 'c0af',
  'an overlong NUL': 'c080',
  'an overlong slash of three bytes': 'e080af',
  'an overlong slash of four bytes': 'f08080af',
  'a lone high surrogate': 'eda080',
  'a pair of surrogates': 'eda080edb080',
  'a code point above U+10FFFF': 'f4908080',
  'a continuation byte alone': '80',
  'a sequence that is cut off': 'e282',
  'the byte FF': 'ff',
};

const noProperties = properties();
const id1 = Buffer.from([0, 1]);
const protocol5 = Buffer.concat([text('MQTT'), Buffer.from([5])]);
const protocol4 = Buffer.concat([text('MQTT'), Buffer.from([4])]);
const keepAlive = Buffer.from([0, 0]);

/** CONNECT of MQTT 5: flags, properties, payload. */
function connect5(flags: number, connectProperties: Buffer, ...payload: Buffer[]): Buffer {
  return packet(0x10, protocol5, Buffer.from([flags]), keepAlive, connectProperties, ...payload);
}

/** CONNECT of MQTT 3.1.1: flags, payload. */
function connect4(flags: number, ...payload: Buffer[]): Buffer {
  return packet(0x10, protocol4, Buffer.from([flags]), keepAlive, ...payload);
}

/** Every text of a CONNECT. */
const inConnect: Readonly<Record<string, readonly [4 | 5, (t: Buffer) => Buffer]>> = {
  'client id': [5, (t) => connect5(2, noProperties, t)],
  'user name': [5, (t) => connect5(0x82, noProperties, text('c'), t)],
  'will topic': [5, (t) => connect5(6, noProperties, text('c'), noProperties, t, text('x'))],
  'authentication method': [5, (t) => connect5(2, properties([0x15, t]), text('c'))],
  'key of a user property': [
    5,
    (t) => connect5(2, properties([0x26, Buffer.concat([t, text('v')])]), text('c')),
  ],
  'value of a user property': [
    5,
    (t) => connect5(2, properties([0x26, Buffer.concat([text('k'), t])]), text('c')),
  ],
  'content type of the will': [
    5,
    (t) => connect5(6, noProperties, text('c'), properties([0x03, t]), text('w'), text('x')),
  ],
  'response topic of the will': [
    5,
    (t) => connect5(6, noProperties, text('c'), properties([0x08, t]), text('w'), text('x')),
  ],
  'user property of the will': [
    5,
    (t) =>
      connect5(6, noProperties, text('c'), properties([0x26, Buffer.concat([t, t])]), text('w'), text('x')),
  ],
  'client id of MQTT 3.1.1': [4, (t) => connect4(2, t)],
  'user name of MQTT 3.1.1': [4, (t) => connect4(0x82, text('c'), t)],
  'will topic of MQTT 3.1.1': [4, (t) => connect4(6, text('c'), t, text('x'))],
};

/** Every text of a packet behind CONNECT. */
const behindConnect: Readonly<Record<string, readonly [4 | 5, (t: Buffer) => Buffer]>> = {
  'topic of PUBLISH': [5, (t) => packet(0x30, t, noProperties, text('x'))],
  'topic of PUBLISH with QoS 1': [5, (t) => packet(0x32, t, id1, noProperties)],
  'content type of PUBLISH': [5, (t) => packet(0x30, text('t'), properties([0x03, t]))],
  'response topic of PUBLISH': [5, (t) => packet(0x30, text('t'), properties([0x08, t]))],
  'key of a user property of PUBLISH': [
    5,
    (t) => packet(0x30, text('t'), properties([0x26, Buffer.concat([t, text('v')])])),
  ],
  'value of a user property of PUBLISH': [
    5,
    (t) => packet(0x30, text('t'), properties([0x26, Buffer.concat([text('k'), t])])),
  ],
  'filter of SUBSCRIBE': [5, (t) => packet(0x82, id1, noProperties, t, Buffer.from([0]))],
  'user property of SUBSCRIBE': [
    5,
    (t) => packet(0x82, id1, properties([0x26, Buffer.concat([t, t])]), text('f'), Buffer.from([0])),
  ],
  'filter of UNSUBSCRIBE': [5, (t) => packet(0xa2, id1, noProperties, t)],
  'reason string of PUBACK': [5, (t) => packet(0x40, id1, Buffer.from([0]), properties([0x1f, t]))],
  'reason string of DISCONNECT': [5, (t) => packet(0xe0, Buffer.from([0]), properties([0x1f, t]))],
  'user property of DISCONNECT': [
    5,
    (t) => packet(0xe0, Buffer.from([0]), properties([0x26, Buffer.concat([t, t])])),
  ],
  'authentication method of AUTH': [5, (t) => packet(0xf0, Buffer.from([0x19]), properties([0x15, t]))],
  'topic of PUBLISH of MQTT 3.1.1': [4, (t) => packet(0x30, t, text('x'))],
  'filter of SUBSCRIBE of MQTT 3.1.1': [4, (t) => packet(0x82, id1, t, Buffer.from([0]))],
  'filter of UNSUBSCRIBE of MQTT 3.1.1': [4, (t) => packet(0xa2, id1, t)],
};

/** The client is told why, or nothing; then it is closed. */
async function expectThrownOut(client: RawClient): Promise<void> {
  await client.expectClosed();
  for (const received of client.inbox) {
    expect(['connack', 'disconnect']).toContain(received.cmd);
    const { reasonCode = 0, returnCode = 0 } = received as { reasonCode?: number; returnCode?: number };
    expect(Math.max(reasonCode, returnCode)).toBeGreaterThan(0);
  }
}

describe('texts that are none', () => {
  test.each(Object.entries(bad))(
    '%s ends the connection wherever in CONNECT it stands [MQTT-1.5.4-1] [MQTT-1.5.4-2]',
    async (_, hex) => {
      const target = await startGateway();
      const witness = await connect(target, 'witness');
      for (const [, [version, make]] of Object.entries(inConnect)) {
        const client = await open(target, version);
        client.send(make(text(Buffer.from(hex, 'hex'))));
        await expectThrownOut(client);
      }
      expect([...target.gateway.sessions.all()].map(({ clientId }) => clientId)).toEqual(['witness']);
      expect(await publish(witness, 'alive', 'x')).toBe(0x10);
    },
  );

  test.each(Object.entries(bad))(
    '%s ends the connection wherever behind CONNECT it stands, and reaches nobody [MQTT-1.5.4-1] [MQTT-1.5.4-2]',
    async (_, hex) => {
      const target = await startGateway();
      const witness = await connect(target, 'witness');
      await witness.subscribe('#');
      for (const [name, [version, make]] of Object.entries(behindConnect)) {
        const client = await connect(target, name, { protocolVersion: version });
        client.send(make(text(Buffer.from(hex, 'hex'))));
        await expectThrownOut(client);
      }
      await expectNothing(witness);
      expect(witness.inbox).toEqual([]);
    },
  );

  test('the same places take a text that is one: the tests above are about the text [broker]', async () => {
    const target = await startGateway();
    const fine = text('ok');
    for (const [name, [version, make]] of Object.entries(inConnect)) {
      const client = await open(target, version);
      client.send(make(fine));
      const connack = await client.expect('connack');
      const code = version === 5 ? connack.reasonCode : connack.returnCode;
      // An authentication method is a text, and one that nobody knows.
      expect([name, code]).toEqual([name, name === 'authentication method' ? 0x8c : 0]);
    }
    for (const [name, [version, make]] of Object.entries(behindConnect)) {
      if (/PUBACK|DISCONNECT|AUTH/.test(name)) continue;
      const client = await connect(target, name, { protocolVersion: version });
      client.send(make(fine));
      client.send({ cmd: 'pingreq' });
      let answer = await client.next();
      while (answer.cmd !== 'pingresp') answer = await client.next();
      expect(client.closed).toBe(false);
    }
  });
});
