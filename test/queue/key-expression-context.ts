/** Makes publishes for the tests of key expressions: every part has a value that can be told from the others. */
import type { KeyContext } from '../../src/queue/key-expression/context.js';
import { compileKeyExpression } from '../../src/queue/key-expression/key-expression.js';

/** MQTT 5 property bytes: raw single properties first, then user properties in order. */
export function propertyBytes(
  user: readonly (readonly [string, string])[],
  raw: readonly number[] = [],
): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.from(raw)];
  for (const [key, value] of user) {
    parts.push(Buffer.from([0x26]), text(key), text(value));
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** A publish of client `pump-7`; `changes` replace members. */
export function publish(changes: Partial<KeyContext> = {}): KeyContext {
  return {
    id: '000629A1',
    qos: 1,
    from: 'pump-7',
    dup: false,
    retain: true,
    topic: 'plant/a/pump/7',
    payload: Buffer.from('{"device":{"id":42,"name":"pump"},"on":true,"none":null}'),
    timestampMs: 1_700_000_000_123,
    username: 'ann',
    peername: '10.0.0.9:51000',
    peerhost: '10.0.0.9',
    protoVer: 5,
    clientAttrs: { site: 'north' },
    propertyBytes: propertyBytes([['key', 'set-color']]),
    nowMs: () => 1_800_000_000_999,
    random: () => 0.5,
    ...changes,
  };
}

/** Key of a publish. */
export function keyOf(source: string, changes: Partial<KeyContext> = {}): string {
  return compileKeyExpression(source, {}).evaluate(publish(changes));
}
