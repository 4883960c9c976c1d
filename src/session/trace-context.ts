/**
 * Reads the trace context of a message from its property bytes. Main thread; only while tracing is on.
 *
 * Always true: the bytes are walked in place and only a `traceparent` is decoded; the property itself is never changed, so a
 * consumer reads what the publisher wrote [MQTT-3.3.2-17]. Of several the first counts. What is no valid `traceparent` counts
 * as none. Source: W3C Trace Context, level 1; MQTT 5.0 section 2.2.2.
 */
import { propertyId, propertyType, typeById } from '../mqtt/property.js';

/** What a message says about its trace. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const key = Buffer.from('traceparent');
const valueLengthMin = 55;
const pattern = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** The context in the stored properties `buffer[start, end)`; undefined when there is none. The range is well-formed. */
export function traceContextOf(buffer: Buffer, start: number, end: number): TraceContext | undefined {
  let at = start;
  while (at < end) {
    const identifier = buffer[at++] as number;
    if (identifier !== propertyId.userProperty) {
      at = afterValue(buffer, at, identifier);
      continue;
    }
    const keyEnd = at + 2 + lengthAt(buffer, at);
    const valueEnd = keyEnd + 2 + lengthAt(buffer, keyEnd);
    if (keyEnd - at - 2 === key.length && valueEnd <= end && key.compare(buffer, at + 2, keyEnd) === 0) {
      return parse(buffer, keyEnd + 2, valueEnd);
    }
    at = valueEnd;
  }
  return undefined;
}

function parse(buffer: Buffer, start: number, end: number): TraceContext | undefined {
  // A later version may say more behind what is known; nothing sensible is longer than this.
  if (end - start < valueLengthMin || end - start > 4 * valueLengthMin) return undefined;
  const match = pattern.exec(buffer.toString('latin1', start, end));
  if (match === null) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

function afterValue(buffer: Buffer, at: number, identifier: number): number {
  switch (typeById[identifier]) {
    case propertyType.flag:
      return at + 1;
    case propertyType.uint16:
      return at + 2;
    case propertyType.uint32:
      return at + 4;
    case propertyType.varint: {
      let next = at;
      while ((buffer[next] as number) > 127) next++;
      return next + 1;
    }
    default:
      return at + 2 + lengthAt(buffer, at);
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
}
