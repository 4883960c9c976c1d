/**
 * What the decoder refuses, with which reason code and clause: one table per rule. Quick tier. Every row is fed
 * in one piece and byte by byte; the answer must be the same, and nothing may be delivered.
 */
import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../src/base/error.js';
import { Decoder } from '../../src/mqtt/decoder.js';
import type { DecoderOptions } from '../../src/mqtt/decoder.js';
import type { ProtocolVersion } from '../../src/mqtt/packet-type.js';
import { connackReturnCode, mayCarry, reasonCode, reasonName } from '../../src/mqtt/reason-code.js';
import { packetType } from '../../src/mqtt/packet-type.js';
import { RecordingSink } from './recording-sink.js';

const malformed = 0x81;
const protocolError = 0x82;
/** Rows without a numbered statement answer to the general one. */
const general = 'MQTT-4.13.1-1';

type Row = readonly [
  what: string,
  hex: string,
  version: ProtocolVersion | 0,
  reasonCode: number,
  clause: string,
];

function feed(hex: string, version: ProtocolVersion | 0, options: Partial<DecoderOptions>, step: number) {
  const sink = new RecordingSink();
  const decoder = new Decoder(sink, { maximumPacketSize: 1000, topicAliasMaximum: 10, ...options });
  if (version !== 0) decoder.setVersion(version);
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  let fault: ProtocolError | undefined;
  try {
    for (let pos = 0; pos < bytes.length; pos += step) {
      decoder.write(bytes, pos, Math.min(pos + step, bytes.length));
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    fault = error;
    expect(decoder.state).toBe('closed');
    expect(decoder.carriedBytes).toBe(0);
  }
  return { sink, fault, decoder };
}

function expectRefused(rows: readonly Row[], options: Partial<DecoderOptions> = {}): void {
  for (const [what, hex, version, code, clause] of rows) {
    for (const step of [1000, 1]) {
      const { sink, fault } = feed(hex, version, options, step);
      expect([what, step, fault?.reasonCode, fault?.clause]).toEqual([what, step, code, clause]);
      expect(sink.seen).toEqual([]);
    }
  }
}

function expectTaken(
  rows: readonly (readonly [what: string, hex: string, version: ProtocolVersion | 0])[],
  options: Partial<DecoderOptions> = {},
): void {
  for (const [what, hex, version] of rows) {
    for (const step of [1000, 1]) {
      const { sink, fault, decoder } = feed(hex, version, options, step);
      expect([what, fault?.message]).toEqual([what, undefined]);
      expect([what, sink.seen.length, decoder.carriedBytes]).toEqual([what, 1, 0]);
    }
  }
}

/** A CONNECT: protocol name and level, then the rest in hex. */
function connect(name: string, level: number, rest: string): string {
  const body = Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([level]),
    Buffer.from(rest.replaceAll(' ', ''), 'hex'),
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]).toString('hex');
}

/** A PUBLISH of MQTT 5 at QoS 0 to `t` with these properties. */
function publish5(properties: string): string {
  const bytes = Buffer.from(properties.replaceAll(' ', ''), 'hex');
  return Buffer.concat([Buffer.from([0x30, 4 + bytes.length, 0, 1, 0x74, bytes.length]), bytes]).toString(
    'hex',
  );
}

describe('fixed header', () => {
  test('before CONNECT only CONNECT is accepted [MQTT-3.1.0-1]', () => {
    expectRefused([
      ['PINGREQ', 'c000', 0, protocolError, 'MQTT-3.1.0-1'],
      ['PUBLISH', '3003000174', 0, protocolError, 'MQTT-3.1.0-1'],
      ['type 0', '0000', 0, protocolError, 'MQTT-3.1.0-1'],
      ['HTTP', '474554202f', 0, protocolError, 'MQTT-3.1.0-1'],
    ]);
  });

  test('reserved flags are malformed [MQTT-2.1.3-1]', () => {
    expectRefused([
      ['CONNECT', '1100', 0, malformed, 'MQTT-2.1.3-1'],
      ['TLS hello', '160301', 0, malformed, 'MQTT-2.1.3-1'],
      ['PUBACK', '42020001', 4, malformed, 'MQTT-2.1.3-1'],
      ['PUBREC', '51020001', 5, malformed, 'MQTT-2.1.3-1'],
      ['PUBCOMP', '72020001', 5, malformed, 'MQTT-2.1.3-1'],
      ['PINGREQ', 'c100', 4, malformed, 'MQTT-2.1.3-1'],
    ]);
  });

  test('PUBREL has the flags 0010 [MQTT-3.6.1-1]', () => {
    expectRefused([
      ['zero', '60020001', 4, malformed, 'MQTT-3.6.1-1'],
      ['DUP since 3.1.1', '6a020001', 4, malformed, 'MQTT-3.6.1-1'],
    ]);
    expectTaken([
      ['right', '62020001', 4],
      ['DUP in 3.1', '6a020001', 3],
    ]);
  });

  test('SUBSCRIBE has the flags 0010 [MQTT-3.8.1-1]', () => {
    expectRefused([['zero', '8006000100017400', 4, malformed, 'MQTT-3.8.1-1']]);
    expectTaken([['DUP in 3.1', '8a06000100017400', 3]]);
  });

  test('UNSUBSCRIBE has the flags 0010 [MQTT-3.10.1-1]', () => {
    expectRefused([['zero', 'a0050001000174', 5, malformed, 'MQTT-3.10.1-1']]);
    expectTaken([['DUP in 3.1', 'aa050001000174', 3]]);
  });

  test('DISCONNECT has no flags [MQTT-3.14.1-1]', () => {
    expectRefused([['one', 'e100', 4, malformed, 'MQTT-3.14.1-1']]);
    expectTaken([['right', 'e000', 4]]);
  });

  test('AUTH has no flags [MQTT-3.15.1-1]', () => {
    expectRefused([['one', 'f100', 5, malformed, 'MQTT-3.15.1-1']]);
    expectTaken([['right', 'f000', 5]]);
  });

  test('a type that is reserved or that only a server sends is refused [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['type 0', '0000', 5, protocolError, general],
      ['AUTH before MQTT 5', 'f000', 4, malformed, general],
      ['CONNACK', '20020000', 4, protocolError, general],
      ['SUBACK', '9003000100', 4, protocolError, general],
      ['UNSUBACK', 'b0020001', 4, protocolError, general],
      ['PINGRESP', 'd000', 5, protocolError, general],
      ['PINGRESP with flags', 'd100', 5, malformed, 'MQTT-2.1.3-1'],
      ['SUBACK with flags', '9100', 5, malformed, 'MQTT-2.1.3-1'],
    ]);
  });

  test('a remaining length has at most four bytes, and in MQTT 5 no needless ones [MQTT-1.5.5-1]', () => {
    expectRefused([
      ['five bytes', '30ffffffff01', 4, malformed, 'MQTT-1.5.5-1'],
      ['four with continuation', '3080808080', 5, malformed, 'MQTT-1.5.5-1'],
      ['padded in MQTT 5', '30 8400 0001 7400', 5, malformed, 'MQTT-1.5.5-1'],
      ['padded CONNECT of MQTT 5', '10 8d00 0004 4d515454 05 02 0000 00 0000', 0, malformed, 'MQTT-1.5.5-1'],
    ]);
    expectTaken([
      ['padded before MQTT 5', '30 8300 000174', 4],
      ['padded CONNECT before MQTT 5', '10 8c00 0004 4d515454 04 02 0000 0000', 0],
    ]);
  });

  test('a packet above the maximum is refused from its header alone [MQTT-3.2.2-15]', () => {
    expectRefused([
      ['one byte too many', '30e607', 4, 0x95, 'MQTT-3.2.2-15'],
      ['the largest length', '30ffffff7f', 5, 0x95, 'MQTT-3.2.2-15'],
      ['CONNECT', '10e607', 0, 0x95, 'MQTT-3.2.2-15'],
    ]);
    expectRefused([['CONNECT', '107f', 0, 0x95, 'MQTT-3.2.2-15']], { connectBytesMax: 100 });
    expectRefused([['small bound', '3020', 4, 0x95, 'MQTT-3.2.2-15']], { maximumPacketSize: 20 });
    const { sink, fault } = feed(`30e507000174${'00'.repeat(994)}`, 4, {}, 1000);
    expect([fault, sink.seen.length]).toEqual([undefined, 1]);
  });

  test('a ping has no body [MQTT-4.13.1-1]', () => {
    expectRefused([['PINGREQ', 'c00100', 4, malformed, general]]);
  });
});

describe('CONNECT', () => {
  const empty = '02 0000 0000';

  test('the protocol name is MQTT, or MQIsdp in 3.1 [MQTT-3.1.2-1]', () => {
    expectRefused([
      ['other name', connect('MQTX', 4, empty), 0, malformed, 'MQTT-3.1.2-1'],
      ['lower case', connect('mqtt', 4, empty), 0, malformed, 'MQTT-3.1.2-1'],
      ['empty', connect('', 4, empty), 0, malformed, 'MQTT-3.1.2-1'],
    ]);
    expectTaken([
      ['3.1', connect('MQIsdp', 3, '02 0000 0001 61'), 0],
      ['3.1.1', connect('MQTT', 4, empty), 0],
      ['5.0', connect('MQTT', 5, '02 0000 00 0000'), 0],
    ]);
  });

  test('the version is 3 with MQIsdp, 4 or 5 with MQTT, without a bridge bit [MQTT-3.1.2-2]', () => {
    expectRefused([
      ['MQTT 3', connect('MQTT', 3, empty), 0, 0x84, 'MQTT-3.1.2-2'],
      ['MQIsdp 4', connect('MQIsdp', 4, empty), 0, 0x84, 'MQTT-3.1.2-2'],
      ['MQIsdp 5', connect('MQIsdp', 5, empty), 0, 0x84, 'MQTT-3.1.2-2'],
      ['MQTT 6', connect('MQTT', 6, empty), 0, 0x84, 'MQTT-3.1.2-2'],
      ['bridge', connect('MQTT', 0x84, empty), 0, 0x84, 'MQTT-3.1.2-2'],
    ]);
  });

  test('the reserved flag is 0 [MQTT-3.1.2-3]', () => {
    expectRefused([
      ['3.1.1', connect('MQTT', 4, '03 0000 0000'), 0, malformed, 'MQTT-3.1.2-3'],
      ['5.0', connect('MQTT', 5, '03 0000 00 0000'), 0, malformed, 'MQTT-3.1.2-3'],
    ]);
  });

  test('without a will its QoS is 0 [MQTT-3.1.2-11]', () => {
    expectRefused([['QoS 1', connect('MQTT', 4, '0a 0000 0000'), 0, malformed, 'MQTT-3.1.2-11']]);
  });

  test('a Will QoS of 3 is malformed [MQTT-3.1.2-12]', () => {
    expectRefused([
      ['3', connect('MQTT', 5, '1e 0000 00 0000 00 000174 0000'), 0, malformed, 'MQTT-3.1.2-12'],
    ]);
  });

  test('without a will there is no Will Retain [MQTT-3.1.2-13]', () => {
    expectRefused([['retain', connect('MQTT', 4, '22 0000 0000'), 0, malformed, 'MQTT-3.1.2-13']]);
  });

  test('before MQTT 5 a password needs a user name [MQTT-3.1.1 3.1.2-22]', () => {
    expectRefused([
      ['3.1', connect('MQIsdp', 3, '42 0000 000161 000170'), 0, malformed, 'MQTT-3.1.4-1'],
      ['3.1.1', connect('MQTT', 4, '42 0000 000161 000170'), 0, malformed, 'MQTT-3.1.4-1'],
    ]);
    expectTaken([['5.0', connect('MQTT', 5, '42 0000 00 000161 000170'), 0]]);
  });

  test('the fields that the flags announce are there, and nothing behind them [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['keep alive cut off', connect('MQTT', 4, '02 00'), 0, malformed, general],
      ['no client identifier', connect('MQTT', 4, '02 0000'), 0, malformed, general],
      ['trailing byte', connect('MQTT', 4, '02 0000 0000 00'), 0, malformed, general],
      ['properties cut off', connect('MQTT', 5, '02 0000 05 21'), 0, malformed, general],
      ['empty packet', '1000', 0, malformed, general],
    ]);
  });

  test('a will has topic and payload [MQTT-3.1.2-9]', () => {
    expectRefused([
      [
        'payload longer than packet',
        connect('MQTT', 4, '06 0000 0000 000174 0005 61'),
        0,
        malformed,
        'MQTT-3.1.2-9',
      ],
    ]);
  });

  test('a password that is announced is there in full [MQTT-3.1.2-19]', () => {
    expectRefused([
      ['cut off', connect('MQTT', 4, 'c2 0000 0000 000175 0003 70'), 0, malformed, 'MQTT-3.1.2-19'],
    ]);
  });

  test('the client identifier is well-formed UTF-8 [MQTT-3.1.3-4]', () => {
    expectRefused([
      ['overlong', connect('MQTT', 4, '02 0000 0002 c080'), 0, malformed, 'MQTT-3.1.3-4'],
      ['U+0000', connect('MQTT', 4, '02 0000 0001 00'), 0, malformed, 'MQTT-3.1.3-4'],
      ['U+0001', connect('MQTT', 4, '02 0000 0001 01'), 0, malformed, 'MQTT-3.1.3-4'],
      ['overlong in MQTT 5', connect('MQTT', 5, '02 0000 00 0002 c080'), 0, 0x85, 'MQTT-3.1.3-4'],
      ['U+0085 in MQTT 5', connect('MQTT', 5, '02 0000 00 0002 c285'), 0, 0x85, 'MQTT-3.1.3-4'],
    ]);
  });

  test('the will topic is well-formed UTF-8 [MQTT-3.1.3-11]', () => {
    expectRefused([
      ['surrogate', connect('MQTT', 4, '06 0000 0000 0003 eda080 0000'), 0, malformed, 'MQTT-3.1.3-11'],
    ]);
  });

  test('the will topic has no wildcard and is not empty [MQTT-3.3.2-2]', () => {
    expectRefused([
      ['#', connect('MQTT', 4, '06 0000 0000 0001 23 0000'), 0, malformed, 'MQTT-3.3.2-2'],
      ['empty', connect('MQTT', 4, '06 0000 0000 0000 0000'), 0, protocolError, 'MQTT-4.7.3-1'],
    ]);
  });

  test('the user name is well-formed UTF-8 [MQTT-3.1.3-12]', () => {
    expectRefused([
      ['stray byte', connect('MQTT', 4, '82 0000 0000 0001 ff'), 0, malformed, 'MQTT-3.1.3-12'],
    ]);
  });

  test('properties of CONNECT and will keep to their table [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['Receive Maximum 0', connect('MQTT', 5, '02 0000 03 210000 0000'), 0, protocolError, general],
      ['Maximum Packet Size 0', connect('MQTT', 5, '02 0000 05 2700000000 0000'), 0, protocolError, general],
      [
        'Receive Maximum twice',
        connect('MQTT', 5, '02 0000 06 210001210001 0000'),
        0,
        protocolError,
        general,
      ],
      [
        'Request Problem Information 2',
        connect('MQTT', 5, '02 0000 02 1702 0000'),
        0,
        protocolError,
        general,
      ],
      ['Topic Alias', connect('MQTT', 5, '02 0000 03 230001 0000'), 0, malformed, general],
      [
        'Will Delay outside the will',
        connect('MQTT', 5, '02 0000 05 1800000001 0000'),
        0,
        malformed,
        general,
      ],
      ['unknown property', connect('MQTT', 5, '02 0000 02 7f00 0000'), 0, malformed, general],
      ['data without method', connect('MQTT', 5, '02 0000 04 16000161 0000'), 0, protocolError, general],
      [
        'Session Expiry in the will',
        connect('MQTT', 5, '06 0000 00 0000 05 1100000001 000174 0000'),
        0,
        malformed,
        general,
      ],
    ]);
  });

  test('the version of a refused CONNECT is known, for the answer [MQTT-3.1.2-2]', () => {
    expect(feed(connect('MQTT', 5, '03 0000 00 0000'), 0, {}, 1).decoder.connectVersion).toBe(5);
    expect(feed(connect('MQTT', 4, '03 0000 0000'), 0, {}, 1).decoder.connectVersion).toBe(4);
    expect(feed(connect('MQTT', 6, empty), 0, {}, 1).decoder.connectVersion).toBe(0);
    expect(feed(connect('MQTX', 5, empty), 0, {}, 1).decoder.connectVersion).toBe(0);
    expect(feed('1000', 0, {}, 1).decoder.connectVersion).toBe(0);
  });
});

describe('PUBLISH', () => {
  test('QoS 3 is malformed [MQTT-3.3.1-4]', () => {
    expectRefused([['3', '3605000174 0001', 4, malformed, 'MQTT-3.3.1-4']]);
  });

  test('DUP is 0 at QoS 0 [MQTT-3.3.1-2]', () => {
    expectRefused([['DUP', '3803000174', 4, malformed, 'MQTT-3.3.1-2']]);
  });

  test('the topic name has no wildcard [MQTT-3.3.2-2]', () => {
    expectRefused([
      ['#', '3003000123', 4, malformed, 'MQTT-3.3.2-2'],
      ['+', '3006000361 2b62 00', 5, malformed, 'MQTT-3.3.2-2'],
    ]);
  });

  test('the topic name is well-formed UTF-8 [MQTT-1.5.4-1]', () => {
    expectRefused([['overlong', '30040002c080', 4, malformed, 'MQTT-1.5.4-1']]);
  });

  test('names have no control characters [MQTT-4.13.1-1]', () => {
    const names = ['01', '1f', '7f', 'c280', 'c29f'];
    const at = (hex: string): string => `000${hex.length / 2 + 1} 61 ${hex}`;
    const rows = names.flatMap((hex): Row[] => {
      const size = hex.length / 2;
      return [
        [`PUBLISH ${hex}`, `30 0${3 + size} ${at(hex)}`, 4, malformed, general],
        [`SUBSCRIBE ${hex}`, `82 0${6 + size} 0001 ${at(hex)} 00`, 4, malformed, 'MQTT-3.8.3-1'],
        [`UNSUBSCRIBE ${hex}`, `a2 0${5 + size} 0001 ${at(hex)}`, 4, malformed, 'MQTT-3.10.3-1'],
        [`user name ${hex}`, connect('MQTT', 4, `82 0000 0000 ${at(hex)}`), 0, malformed, 'MQTT-3.1.3-12'],
        [`will ${hex}`, connect('MQTT', 4, `06 0000 0000 ${at(hex)} 0000`), 0, malformed, general],
      ];
    });
    expectRefused(rows);
    expectTaken([
      ['a space, quotation marks and U+00A0', '30 07 0005 20227ec2a0', 4],
      ['U+2080, whose last bytes are like a control character', '30 06 0004 e28280 61', 4],
      ['a line end in a property', publish5('26 0001 0a 0001 0d'), 5],
    ]);
  });

  test('the topic name has no U+0000 [MQTT-4.7.3-2]', () => {
    expectRefused([['U+0000', '30040002 6100', 4, malformed, 'MQTT-4.7.3-2']]);
  });

  test('before MQTT 5 the topic name is not empty [MQTT-4.7.3-1]', () => {
    expectRefused([['empty', '30020000', 4, malformed, 'MQTT-4.7.3-1']]);
  });

  test('topic name and packet identifier fit the packet [MQTT-3.3.2-1]', () => {
    expectRefused([
      ['no topic', '3000', 4, malformed, 'MQTT-3.3.2-1'],
      ['half a length', '300100', 4, malformed, 'MQTT-3.3.2-1'],
      ['topic longer than packet', '3003000574', 4, malformed, 'MQTT-3.3.2-1'],
      ['neither topic nor alias', '3003000000', 5, protocolError, 'MQTT-3.3.2-1'],
    ]);
    expectRefused([['no packet identifier', '3203000174', 4, malformed, general]]);
  });

  test('the packet identifier is not 0 [MQTT-2.2.1-3]', () => {
    expectRefused([
      ['QoS 1', '3205000174 0000', 4, protocolError, 'MQTT-2.2.1-3'],
      ['QoS 2', '3405000174 0000', 4, protocolError, 'MQTT-2.2.1-3'],
    ]);
  });

  test('Topic Alias 0 is invalid [MQTT-3.3.2-8]', () => {
    expectRefused([['0', publish5('230000'), 5, 0x94, 'MQTT-3.3.2-8']]);
  });

  test('a Topic Alias above the announced maximum is invalid [MQTT-3.3.2-9]', () => {
    expectRefused([['11', publish5('23000b'), 5, 0x94, 'MQTT-3.3.2-9']]);
    expectRefused([['none allowed', publish5('230001'), 5, 0x94, 'MQTT-3.3.2-9']], { topicAliasMaximum: 0 });
    expectTaken([['10', publish5('23000a'), 5]]);
  });

  test('a client sends no Subscription Identifier [MQTT-3.3.4-6]', () => {
    expectRefused([['1', publish5('0b01'), 5, protocolError, 'MQTT-3.3.4-6']]);
    expectTaken([['from a server, twice', publish5('0b010b8001'), 5]], { role: 'client' });
  });

  test('a Response Topic has no wildcard and is not empty [MQTT-3.3.2-14]', () => {
    expectRefused([
      ['#', publish5('08 0001 23'), 5, protocolError, 'MQTT-3.3.2-14'],
      ['empty', publish5('08 0000'), 5, protocolError, 'MQTT-3.3.2-14'],
    ]);
  });

  test('strings in properties are well-formed UTF-8 [MQTT-1.5.4-1]', () => {
    expectRefused([
      ['Content Type', publish5('03 0001 ff'), 5, malformed, 'MQTT-1.5.4-1'],
      ['Response Topic', publish5('08 0002 c080'), 5, malformed, 'MQTT-1.5.4-1'],
    ]);
    expectTaken([['Correlation Data may be anything', publish5('09 0002 c080'), 5]]);
  });

  test('a User Property is a pair of well-formed strings [MQTT-1.5.7-1]', () => {
    expectRefused([
      ['name', publish5('26 0001 ff 0000'), 5, malformed, 'MQTT-1.5.7-1'],
      ['value', publish5('26 0000 0001 00'), 5, malformed, 'MQTT-1.5.7-1'],
    ]);
    expectTaken([['the same pair twice', publish5('26 0001 61 0000 26 0001 61 0000'), 5]]);
  });

  test('properties are known, allowed, in range, complete and there once [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['unknown', publish5('0400'), 5, malformed, general],
      ['of CONNECT', publish5('210001'), 5, malformed, general],
      ['Payload Format 2', publish5('0102'), 5, protocolError, general],
      ['Payload Format twice', publish5('01000100'), 5, protocolError, general],
      ['Expiry twice', publish5('0200000001 0200000001'), 5, protocolError, general],
      ['Topic Alias twice', publish5('230001 230001'), 5, protocolError, general],
      ['Payload Format cut off', publish5('01'), 5, malformed, general],
      ['Expiry cut off', publish5('02000000'), 5, malformed, general],
      ['Topic Alias cut off', publish5('2300'), 5, malformed, general],
      ['Content Type length cut off', publish5('0300'), 5, malformed, general],
      ['Content Type cut off', publish5('03000261'), 5, malformed, general],
      ['Correlation Data cut off', publish5('09000261'), 5, malformed, general],
      ['User Property without value', publish5('26000161'), 5, malformed, general],
      ['User Property value cut off', publish5('26000161000261'), 5, malformed, general],
      ['properties longer than packet', '3006000174 050100', 5, malformed, general],
      ['no property length', '3003000174', 5, malformed, general],
    ]);
  });

  test('the property length is in its shortest form [MQTT-1.5.5-1]', () => {
    expectRefused([['padded', '3005000174 8000', 5, malformed, 'MQTT-1.5.5-1']]);
  });
});

describe('acknowledgements', () => {
  test('the packet identifier is there and not 0 [MQTT-2.2.1-5]', () => {
    expectRefused([
      ['PUBACK empty', '4000', 4, malformed, 'MQTT-2.2.1-5'],
      ['PUBREC half', '500100', 5, malformed, 'MQTT-2.2.1-5'],
      ['PUBREL 0', '62020000', 4, protocolError, 'MQTT-2.2.1-5'],
      ['PUBCOMP 0', '70020000', 5, protocolError, 'MQTT-2.2.1-5'],
    ]);
  });

  test('before MQTT 5 nothing follows the packet identifier [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['PUBACK', '4003000100', 4, malformed, general],
      ['PUBREL', '6203000100', 3, malformed, general],
    ]);
    expectTaken([
      ['PUBACK with reason', '4003000110', 5],
      ['PUBACK with empty properties', '400400011000', 5],
      ['PUBACK with properties', '400a000110 06 1f 0003 616263', 5],
    ]);
  });

  test('the reason code of PUBACK is one of its own [MQTT-3.4.2-1]', () => {
    expectRefused([
      ['0x92', '4003000192', 5, protocolError, 'MQTT-3.4.2-1'],
      ['0x01', '4003000101', 5, protocolError, 'MQTT-3.4.2-1'],
    ]);
  });

  test('the reason code of PUBREC is one of its own [MQTT-3.5.2-1]', () => {
    expectRefused([['0x92', '5003000192', 5, protocolError, 'MQTT-3.5.2-1']]);
  });

  test('the reason code of PUBREL is one of its own [MQTT-3.6.2-1]', () => {
    expectRefused([['0x10', '6203000110', 5, protocolError, 'MQTT-3.6.2-1']]);
  });

  test('the reason code of PUBCOMP is one of its own [MQTT-3.7.2-1]', () => {
    expectRefused([['0x80', '7003000180', 5, protocolError, 'MQTT-3.7.2-1']]);
  });

  test('properties of an acknowledgement end with the packet and keep to their table [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['too short', '40050001000000', 5, malformed, general],
      ['too long', '4005000100051f', 5, malformed, general],
      ['Reason String twice', '400a000100 06 1f0000 1f0000', 5, protocolError, general],
      ['Topic Alias', '4007000100 03 230001', 5, malformed, general],
    ]);
  });
});

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  test('the packet identifier is not 0 [MQTT-2.2.1-3]', () => {
    expectRefused([
      ['SUBSCRIBE', '8206000000017400', 4, malformed, 'MQTT-2.2.1-3'],
      ['UNSUBSCRIBE', 'a2050000000174', 4, malformed, 'MQTT-2.2.1-3'],
    ]);
  });

  test('SUBSCRIBE has at least one filter [MQTT-3.8.3-2]', () => {
    expectRefused([
      ['3.1.1', '82020001', 4, protocolError, 'MQTT-3.8.3-2'],
      ['5.0', '8203000100', 5, protocolError, 'MQTT-3.8.3-2'],
    ]);
  });

  test('UNSUBSCRIBE has at least one filter [MQTT-3.10.3-2]', () => {
    expectRefused([
      ['3.1.1', 'a2020001', 4, protocolError, 'MQTT-3.10.3-2'],
      ['5.0', 'a203000100', 5, protocolError, 'MQTT-3.10.3-2'],
    ]);
  });

  test('filters are well-formed UTF-8 in SUBSCRIBE [MQTT-3.8.3-1]', () => {
    expectRefused([['stray byte', '820600010001ff00', 4, malformed, 'MQTT-3.8.3-1']]);
  });

  test('filters are well-formed UTF-8 in UNSUBSCRIBE [MQTT-3.10.3-1]', () => {
    expectRefused([['stray byte', 'a20500010001ff', 4, malformed, 'MQTT-3.10.3-1']]);
  });

  test('reserved bits of the subscription options are 0 [MQTT-3.8.3-5]', () => {
    expectRefused([
      ['bit 6', '820700010000017440', 5, malformed, 'MQTT-3.8.3-5'],
      ['bit 7', '820700010000017480', 5, malformed, 'MQTT-3.8.3-5'],
      ['No Local before MQTT 5', '8206000100017404', 4, malformed, 'MQTT-3.8.3-5'],
    ]);
    expectTaken([['all options', '82070001000001742e', 5]]);
  });

  test('QoS 3 and Retain Handling 3 are protocol errors [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['QoS 3', '820700010000017403', 5, protocolError, general],
      ['QoS 3 in 3.1.1', '8206000100017403', 4, protocolError, general],
      ['Retain Handling 3', '820700010000017430', 5, protocolError, general],
    ]);
  });

  test('No Local on a shared subscription is a protocol error [MQTT-3.8.3-4]', () => {
    const filter = Buffer.from('$share/g/a').toString('hex');
    expectRefused([['No Local', `82 10 0001 00 000a ${filter} 04`, 5, protocolError, 'MQTT-3.8.3-4']]);
    expectTaken([['without', `82 10 0001 00 000a ${filter} 01`, 5]]);
  });

  test('fields are complete and properties keep to their table [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['no options', '82050001000174', 4, malformed, general],
      ['identifier 0', '8209000102 0b00 000174 00', 5, protocolError, general],
      ['identifier twice', '820b000104 0b010b02 000174 00', 5, protocolError, general],
      ['Reason String', '820a000103 1f0000 000174 00', 5, malformed, general],
      ['identifier in UNSUBSCRIBE', 'a208000102 0b01 000174', 5, malformed, general],
    ]);
    expectRefused([
      ['half a filter', '82050001000561', 4, malformed, 'MQTT-3.8.3-1'],
      ['half a filter in UNSUBSCRIBE', 'a2050001000561', 4, malformed, 'MQTT-3.10.3-1'],
    ]);
  });
});

describe('DISCONNECT and AUTH', () => {
  test('before MQTT 5 DISCONNECT has no body [MQTT-4.13.1-1]', () => {
    expectRefused([['one byte', 'e00100', 4, malformed, general]]);
    expectTaken([
      ['reason only', 'e00104', 5],
      ['reason and properties', 'e00700051100000000', 5],
    ]);
  });

  test('the reason code of DISCONNECT is one of its own [MQTT-3.14.2-1]', () => {
    expectRefused([['0x01', 'e00101', 5, protocolError, 'MQTT-3.14.2-1']]);
  });

  test('a server sends no Session Expiry Interval in DISCONNECT [MQTT-3.14.2-2]', () => {
    expectRefused([['sent', 'e00700051100000000', 5, protocolError, 'MQTT-3.14.2-2']], { role: 'client' });
  });

  test('the reason code of AUTH is one of its own [MQTT-3.15.2-1]', () => {
    expectRefused([['0x80', 'f0028000', 5, protocolError, 'MQTT-3.15.2-1']]);
    expectTaken([['continue', 'f006 18 04 15 0001 61', 5]]);
  });

  test('properties of DISCONNECT and AUTH are complete and allowed [MQTT-4.13.1-1]', () => {
    expectRefused([
      ['DISCONNECT trailing byte', 'e003000000', 5, malformed, general],
      ['AUTH without property length', 'f00118', 5, malformed, general],
      ['AUTH without method', 'f0021800', 5, protocolError, general],
    ]);
  });
});

describe('what a client receives', () => {
  const role = { role: 'client' } as const;

  test('packets of a server are taken and packets of a client are not [MQTT-4.13.1-1]', () => {
    expectTaken(
      [
        ['CONNACK', '20020000', 4],
        ['CONNACK of MQTT 5', '2003000000', 5],
        ['SUBACK', '9003000102', 4],
        ['SUBACK of MQTT 5', '900400010087', 5],
        ['UNSUBACK', 'b0020001', 4],
        ['UNSUBACK of MQTT 5', 'b00400010011', 5],
        ['PINGRESP', 'd000', 4],
        ['DISCONNECT of MQTT 5', 'e0018e', 5],
      ],
      role,
    );
    expectRefused(
      [
        ['CONNECT', '1000', 5, protocolError, general],
        ['SUBSCRIBE', '8206000100017400', 4, protocolError, general],
        ['PINGREQ', 'c000', 4, protocolError, general],
        ['DISCONNECT before MQTT 5', 'e000', 4, protocolError, general],
        ['return code 6', '20020006', 4, malformed, general],
      ],
      role,
    );
  });

  test('CONNACK flags other than Session Present are reserved [MQTT-3.2.2-1]', () => {
    expectRefused([['2', '20020200', 4, malformed, 'MQTT-3.2.2-1']], role);
  });

  test('the reason code of CONNACK is one of its own [MQTT-3.2.2-8]', () => {
    expectRefused([['0x10', '2003001000', 5, protocolError, 'MQTT-3.2.2-8']], role);
  });

  test('the reason codes of SUBACK are its own [MQTT-3.9.3-2]', () => {
    expectRefused(
      [
        ['0x03', '900400010003', 5, protocolError, 'MQTT-3.9.3-2'],
        ['3 in 3.1.1', '9003000103', 4, malformed, 'MQTT-3.9.3-2'],
      ],
      role,
    );
    expectRefused([['none', '90020001', 4, malformed, 'MQTT-3.8.4-6']], role);
  });

  test('the reason codes of UNSUBACK are its own [MQTT-3.11.3-2]', () => {
    expectRefused(
      [
        ['0x01', 'b00400010001', 5, protocolError, 'MQTT-3.11.3-2'],
        ['none', 'b003000100', 5, malformed, 'MQTT-3.11.3-2'],
      ],
      role,
    );
  });
});

describe('reason codes', () => {
  test('every code has its name, and unknown bytes are shown as they are [broker]', () => {
    expect(reasonName(reasonCode.malformedPacket)).toBe('Malformed Packet');
    expect(reasonName(0x81)).toBe('Malformed Packet');
    expect(reasonName(0x05)).toBe('0x05');
    for (const code of Object.values(reasonCode)) expect(reasonName(code)).not.toMatch(/^0x/);
  });

  test('a packet carries only the codes of its table [MQTT-4.13.1-1]', () => {
    expect(mayCarry(packetType.puback, reasonCode.quotaExceeded)).toBe(true);
    expect(mayCarry(packetType.puback, reasonCode.packetTooLarge)).toBe(false);
    expect(mayCarry(packetType.unsuback, reasonCode.quotaExceeded)).toBe(false);
    expect(mayCarry(packetType.publish, reasonCode.success)).toBe(false);
  });

  test('a refusal has the nearest return code of 3.1.1 [broker]', () => {
    expect(connackReturnCode(reasonCode.success)).toBe(0);
    expect(connackReturnCode(reasonCode.unsupportedProtocolVersion)).toBe(1);
    expect(connackReturnCode(reasonCode.clientIdentifierNotValid)).toBe(2);
    expect(connackReturnCode(reasonCode.serverBusy)).toBe(3);
    expect(connackReturnCode(reasonCode.badUserNameOrPassword)).toBe(4);
    expect(connackReturnCode(reasonCode.notAuthorized)).toBe(5);
  });
});
