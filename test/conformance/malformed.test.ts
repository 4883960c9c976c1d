import { describe, expect, test } from 'vitest';

import { connect, expectNothing, open, startGateway } from '../net/test-gateway.js';
import { field, frame, tap } from './wire.js';

/** What is wrong, the bytes, and the reason code that MQTT 5.0 asks for. */
type Row = readonly [what: string, bytes: Buffer, code: number];

function connectWith(properties: string, flags = '02', payload = '0001 61'): Buffer {
  const size = properties.replaceAll(' ', '').length / 2;
  return frame(0x10, field('MQTT'), `05 ${flags} 0000`, Buffer.from([size]), properties, payload);
}

function publishWith(properties: string, topic = 't'): Buffer {
  const size = properties.replaceAll(' ', '').length / 2;
  return frame(0x30, field(topic), Buffer.from([size]), properties, '78');
}

const connects: readonly Row[] = [
  ['Receive Maximum 0', connectWith('21 0000'), 0x82],
  ['Maximum Packet Size 0', connectWith('27 00000000'), 0x82],
  ['Request Response Information 2', connectWith('19 02'), 0x82],
  ['Request Problem Information 2', connectWith('17 02'), 0x82],
  ['Session Expiry Interval twice', connectWith('11 00000001 11 00000001'), 0x82],
  ['Receive Maximum twice', connectWith('21 0001 21 0001'), 0x82],
  ['Authentication Data without method', connectWith('16 0001 61'), 0x82],
  ['a property of PUBLISH', connectWith('23 0001'), 0x81],
  ['an unknown property', connectWith('7f 00'), 0x81],
  ['a property that is cut off', connectWith('11 0000'), 0x81],
  ['a property length beyond the packet', frame(0x10, field('MQTT'), '05 02 0000', '7f 00'), 0x81],
  ['a property length of five bytes', frame(0x10, field('MQTT'), '05 02 0000', '8080808001 0001 61'), 0x81],
  ['Will Delay Interval outside the will', connectWith('18 00000001'), 0x81],
  ['Will QoS 3', connectWith('', '1e', '0001 61 00 0001 77 0000'), 0x81],
  ['Will QoS without will', connectWith('', '0a'), 0x81],
  ['Will Retain without will', connectWith('', '22'), 0x81],
  ['a will property twice', connectWith('', '06', '0001 61 0a 18 00000001 18 00000001 0001 77 0000'), 0x82],
  ['a Will Payload Format of 2', connectWith('', '06', '0001 61 02 01 02 0001 77 0000'), 0x82],
  ['the reserved flag', connectWith('', '03'), 0x81],
  ['a client id that is no UTF-8', connectWith('', '02', '0001 ff'), 0x85],
  ['a client id with a control character', connectWith('', '02', '0001 07'), 0x85],
  ['a user name with a control character', connectWith('', '82', '0001 61 0001 7f'), 0x81],
  ['an empty will topic', connectWith('', '06', '0001 61 00 0000 0000'), 0x82],
  ['a will topic with a wildcard', connectWith('', '06', '0001 61 00 0001 23 0000'), 0x81],
  ['bytes behind the last field', connectWith('', '02', '0001 61 00'), 0x81],
];

const packets: readonly Row[] = [
  ['PUBLISH at QoS 3', frame(0x36, field('t'), '0001 00'), 0x81],
  ['DUP at QoS 0', frame(0x38, field('t'), '00'), 0x81],
  ['a topic with a wildcard', publishWith('', 'a/#'), 0x81],
  ['an empty topic without alias', publishWith('', ''), 0x82],
  ['an alias that was never set', publishWith('23 0001', ''), 0x82],
  ['alias 0', publishWith('23 0000'), 0x94],
  ['an alias above the maximum', publishWith('23 ffff'), 0x94],
  ['an alias twice', publishWith('23 0001 23 0001'), 0x82],
  ['a Subscription Identifier', publishWith('0b 01'), 0x82],
  ['Payload Format 2', publishWith('01 02'), 0x82],
  ['Message Expiry twice', publishWith('02 00000001 02 00000001'), 0x82],
  ['Content Type twice', publishWith('03 0001 61 03 0001 61'), 0x82],
  ['Response Topic twice', publishWith('08 0001 61 08 0001 61'), 0x82],
  ['Response Topic with a wildcard', publishWith('08 0001 23'), 0x82],
  ['Correlation Data twice', publishWith('09 0001 61 09 0001 61'), 0x82],
  ['a property of CONNECT', publishWith('21 0001'), 0x81],
  ['an unknown property', publishWith('7e 01'), 0x81],
  ['a string that is cut off', publishWith('03 00ff 61'), 0x81],
  ['properties beyond the packet', frame(0x30, field('t'), '10 01 01'), 0x81],
  ['a topic beyond the packet', frame(0x30, '0010 74'), 0x81],
  ['no room for the packet id', frame(0x32, field('t')), 0x81],
  ['SUBSCRIBE without filter', frame(0x82, '0001 00'), 0x82],
  ['SUBSCRIBE with packet id 0', frame(0x82, '0000 00', field('t'), '00'), 0x81],
  ['SUBSCRIBE with an empty filter', frame(0x82, '0001 00', field('t'), '00', field(''), '00'), 0x81],
  ['SUBSCRIBE at QoS 3', frame(0x82, '0001 00', field('t'), '03'), 0x82],
  ['Retain Handling 3', frame(0x82, '0001 00', field('t'), '30'), 0x82],
  ['reserved subscription options', frame(0x82, '0001 00', field('t'), '40'), 0x81],
  ['SUBSCRIBE without options', frame(0x82, '0001 00', field('t')), 0x81],
  ['Subscription Identifier 0', frame(0x82, '0001 02 0b00', field('t'), '00'), 0x82],
  ['Subscription Identifier twice', frame(0x82, '0001 04 0b01 0b02', field('t'), '00'), 0x82],
  ['a Subscription Identifier of five bytes', frame(0x82, '0001 06 0b8080808001', field('t'), '00'), 0x81],
  ['No Local on a shared subscription', frame(0x82, '0001 00', field('$share/g/t'), '04'), 0x82],
  ['UNSUBSCRIBE without filter', frame(0xa2, '0001 00'), 0x82],
  ['UNSUBSCRIBE with packet id 0', frame(0xa2, '0000 00', field('t')), 0x81],
  ['UNSUBSCRIBE with an empty filter', frame(0xa2, '0001 00', field('')), 0x81],
  ['UNSUBSCRIBE with a Subscription Identifier', frame(0xa2, '0001 02 0b01', field('t')), 0x81],
  ['PUBACK with packet id 0', frame(0x40, '0000'), 0x82],
  ['PUBACK without packet id', frame(0x40, '00'), 0x81],
  ['PUBACK with the code of another packet', frame(0x40, '0001 18 00'), 0x82],
  ['PUBREL with an unknown code', frame(0x62, '0001 10 00'), 0x82],
  ['Reason String twice', frame(0x40, '0001 00 08 1f000161 1f000161'), 0x82],
  ['PINGREQ with a body', frame(0xc0, '00'), 0x81],
  ['PINGREQ with flags', frame(0xc1), 0x81],
  ['DISCONNECT with an unknown code', frame(0xe0, '01 00'), 0x82],
  ['DISCONNECT with a property of another packet', frame(0xe0, '00 03 21 0001'), 0x81],
  ['Session Expiry Interval after 0 in CONNECT', frame(0xe0, '00 05 11 00000001'), 0x82],
  ['AUTH without a method in CONNECT', frame(0xf0, '18 04 15 0001 61'), 0x82],
  ['a packet of the forbidden type', frame(0x00), 0x82],
  ['CONNACK', frame(0x20, '00 00 00'), 0x82],
  ['SUBACK', frame(0x90, '0001 00 00'), 0x82],
  ['PINGRESP', frame(0xd0), 0x82],
  ['PINGRESP with flags', frame(0xd1), 0x81],
  ['a topic with a control character', publishWith('', 'a\u0007'), 0x81],
  ['a topic with U+009F', publishWith('', 'a\u009f'), 0x81],
  ['a filter with a control character', frame(0x82, '0001 00', field('a\u001f'), '00'), 0x81],
  ['a length of five bytes', Buffer.from('30ffffffff7f', 'hex'), 0x81],
  ['a length that is longer than it need be', Buffer.from('c08000', 'hex'), 0x81],
  ['a packet above the maximum', Buffer.from('30ffffff7f', 'hex'), 0x95],
];

describe('what is wrong has its reason code in MQTT 5.0', () => {
  test('in CONNECT: CONNACK with the code, then the end; nobody else suffers [MQTT-4.13.1-1] [MQTT-4.13.2-1] [MQTT-3.1.4-1] [MQTT-3.2.2-7] [MQTT-3.2.2-8]', async () => {
    const target = await startGateway();
    const bystander = await connect(target, 'bystander');
    const wrong: string[] = [];
    for (const [what, bytes, code] of connects) {
      const client = await open(target);
      client.send(bytes);
      const answer = await client.expect('connack');
      if (answer.reasonCode !== code) wrong.push(`${what}: 0x${answer.reasonCode?.toString(16)}`);
      expect(answer.sessionPresent).toBe(false);
      await client.expectClosed();
      expect(client.inbox, what).toEqual([]);
    }
    expect(wrong).toEqual([]);
    expect(target.gateway.sessions.size).toBe(1);
    await expectNothing(bystander);
  });

  test('after CONNECT: DISCONNECT with the code, then the end; nobody else suffers [MQTT-4.13.1-1] [MQTT-4.13.2-1] [MQTT-3.14.2-1]', async () => {
    const target = await startGateway();
    const bystander = await connect(target, 'bystander');
    const wrong: string[] = [];
    for (const [what, bytes, code] of packets) {
      const client = await connect(target, 'a');
      client.send(bytes);
      await client.expectClosed();
      const codes = client.inbox.map((packet) =>
        packet.cmd === 'disconnect' ? packet.reasonCode : packet.cmd,
      );
      if (codes.length !== 1 || codes[0] !== code) wrong.push(`${what}: ${codes.join(', ')}`);
    }
    expect(wrong).toEqual([]);
    await expectNothing(bystander);
  });

  test('the same breaches end a connection of MQTT 3.1.1 without a word [MQTT-3.1.1 4.8.0-1]', async () => {
    const target = await startGateway();
    const frames = [
      frame(0x36, field('t'), '0001'),
      frame(0x38, field('t')),
      frame(0x30, field('a/#')),
      frame(0x30, field('')),
      frame(0x30, '0010 74'),
      frame(0x32, field('t')),
      frame(0x82, '0001'),
      frame(0x40, '0000'),
      frame(0x40, '0001 00'),
      frame(0xc0, '00'),
      frame(0xe0, '00'),
      frame(0xf0),
      frame(0x00),
      frame(0x20, '00 00'),
      Buffer.from('30ffffffff7f', 'hex'),
      Buffer.from('30ffffff7f', 'hex'),
    ];
    for (const bytes of frames) {
      const client = await connect(target, 'a', { protocolVersion: 4 });
      const received = tap(client);
      client.send(bytes);
      await client.expectClosed();
      expect(received().length, bytes.toString('hex')).toBe(0);
    }
  });
});
