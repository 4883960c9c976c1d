/**
 * Key expressions of last-value queues: evaluation per message, from the default key to JSON and regular expressions,
 * and what compiling one costs. Bench process.
 *
 * Always true: every key is compared with the one that is expected.
 */
import type { KeyContext } from '../../../../src/queue/key-expression/context.js';
import { compileKeyExpression } from '../../../../src/queue/key-expression/key-expression.js';
import { measure, same, type Figure, type Task } from '../../measure.js';

const operations = 100;

/** A User Property as MQTT 5 writes it. */
function userProperty(name: string, value: string): Buffer {
  const text = (part: string): Buffer => {
    const bytes = Buffer.from(part);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  return Buffer.concat([Buffer.from([0x26]), text(name), text(value)]);
}

const message: KeyContext = {
  id: '000629A1',
  qos: 1,
  from: 'pump-7',
  dup: false,
  retain: false,
  topic: 'plant/a/pump/7',
  payload: Buffer.from('{"device":{"id":42,"name":"pump"},"state":"on","history":[1,2,3,4,5,6,7,8]}'),
  timestampMs: 1_700_000_000_123,
  username: 'ann',
  peername: '192.0.2.9:51000',
  peerhost: '192.0.2.9',
  protoVer: 5,
  clientAttrs: undefined,
  propertyBytes: Buffer.concat([userProperty('unit', 'celsius'), userProperty('key', 'set-color')]),
  nowMs: () => 1_800_000_000_999,
  random: () => 0.5,
};

const expressions: readonly (readonly [source: string, key: string])[] = [
  ["'one'", 'one'],
  ['message.from', 'pump-7'],
  ['message.topic', 'plant/a/pump/7'],
  ['message.headers.properties.User-Property.key', 'set-color'],
  ['coalesce(message.user_property.device, message.from)', 'pump-7'],
  ["concat([message.from, '/', message.topic])", 'pump-7/plant/a/pump/7'],
  ["nth(2, tokens(message.topic, '/'))", 'a'],
  ['message.payload.device.id', '42'],
  ["regex_replace(message.topic, '[0-9]+', 'N')", 'plant/a/pump/N'],
  ["sprintf_s('~4..0b', [message.payload.device.id])", '0042'],
];

function evaluation(source: string, key: string): Task {
  const compiled = compileKeyExpression(source, {});
  return {
    name: `evaluate ${source}`,
    operations,
    run() {
      let right = 0;
      for (let i = 0; i < operations; i++) if (compiled.evaluate(message) === key) right++;
      same(`keys of ${source}`, right, operations);
    },
  };
}

function compilation(source: string): Task {
  return {
    name: `compile ${source}`,
    operations: 10,
    run() {
      for (let i = 0; i < 10; i++) same('source', compileKeyExpression(source, {}).source, source);
    },
  };
}

/** Operations are messages, or expressions when compiling. */
export function benchKeyExpression(scale: number): Figure[] {
  return measure(scale, [
    ...expressions.map(([source, key]) => evaluation(source, key)),
    compilation("concat([message.from, '/', message.topic])"),
  ]);
}
