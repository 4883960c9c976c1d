/**
 * What a key expression makes of a sample message, and what a topic filter matches, before a queue is made. Main thread; pure.
 *
 * Always true: the same code compiles, evaluates and matches here and in the queue; what is wrong is an answer and no fault.
 * Clock and dice are those of the moment, so an expression that uses them may say something else each time.
 */
import { contains, parseFilter } from '../auth/acl-filter.js';
import { topicNameFault } from '../mqtt/topic.js';
import { KeyEvaluationError, KeyExpressionError } from '../queue/key-expression/error.js';
import { compileKeyExpression } from '../queue/key-expression/key-expression.js';
import { OperatorError } from './operator-error.js';
import { checkFilter } from './queue-service.js';

/** A message that is not published. */
export interface SampleMessage {
  readonly topic: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: Uint8Array;
  /** MQTT 5 properties without their length. */
  readonly properties: Uint8Array;
}

/** `position` is the offset of the offending character; undefined when the message is at fault. */
export type KeyCheck =
  | { readonly ok: true; readonly key: string }
  | { readonly ok: false; readonly message: string; readonly position: number | undefined };

/** `matches` are those of the topics that match. */
export type FilterCheck =
  | { readonly ok: true; readonly matches: readonly string[] }
  | { readonly ok: false; readonly message: string };

const samplePeer = '127.0.0.1:1883';

/** The key of `sample`, or why there is none. */
export function checkKeyExpression(expression: string, sample: SampleMessage): KeyCheck {
  const nowMs = Date.now();
  try {
    const key = compileKeyExpression(expression).evaluate({
      id: '00000000000000000000000000000000',
      qos: sample.qos,
      from: sample.clientId,
      dup: false,
      retain: sample.retain,
      topic: sample.topic,
      payload: sample.payload,
      timestampMs: nowMs,
      username: sample.username,
      peername: samplePeer,
      peerhost: samplePeer.split(':')[0],
      protoVer: 5,
      clientAttrs: undefined,
      propertyBytes: sample.properties,
      nowMs: () => nowMs,
      random: Math.random,
    });
    return { ok: true, key };
  } catch (error) {
    if (error instanceof KeyExpressionError) {
      return { ok: false, message: error.message, position: error.position };
    }
    if (error instanceof KeyEvaluationError)
      return { ok: false, message: error.message, position: undefined };
    throw error;
  }
}

/** Which topics a queue with this filter would store, or why there can be none. */
export function checkTopicFilter(topicFilter: string, topics: readonly string[]): FilterCheck {
  try {
    checkFilter(topicFilter);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    const { detail } = error;
    return { ok: false, message: typeof detail === 'string' ? detail : detail.reason };
  }
  const filter = parseFilter(topicFilter);
  const matches = topics.filter(
    (topic) =>
      topicNameFault(topic) === undefined &&
      topic !== '$SYS' &&
      !topic.startsWith('$SYS/') &&
      contains(filter, parseFilter(topic)),
  );
  return { ok: true, matches };
}
