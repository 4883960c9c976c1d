/**
 * What a file of `queues export` holds, found out before anything is changed. Reads the file once.
 *
 * Always true: a file of another format or version, or one without its last line, or with other counts than that line
 * says, is refused. Topics are kept once each, so a file of millions of messages on few topics needs little memory.
 * A last-value queue whose key comes from the publisher cannot be imported by publishing: the publisher is another one then.
 */
import type { IPublishPacket } from 'mqtt-packet';

import { CommandError, exitCode } from '../io.js';
import type { OutgoingMessage } from '../mqtt/client.js';
import type { QueueObject } from './queue-path.js';
import type { StoredMessage } from './queue-peek.js';
import { formatName, formatVersion, readLines } from './transfer-file.js';

/** A checked file. */
export interface TransferPlan {
  readonly queues: readonly QueueObject[];
  readonly messages: number;
  /** Why publishing the messages would do something else than filling their queues; undefined: nothing. */
  obstacle(all: readonly QueueObject[]): string | undefined;
}

const topicsMax = 1_000_000;

/** Reads and checks a file. */
export async function planOf(file: string): Promise<TransferPlan> {
  const queues: QueueObject[] = [];
  const topics = new Map<string, Set<string>>();
  let messages = 0;
  let topicCount = 0;
  let isFirst = true;
  let isWhole = false;
  for await (const line of readLines(file)) {
    if (isWhole) throw damaged(file, 'there are lines after the last one');
    if (isFirst) {
      checkFirst(file, line['type'], line['version']);
      isFirst = false;
    } else if (line.type === 'queue') {
      const { type: _, ...queue } = line;
      queues.push(queue as unknown as QueueObject);
    } else if (line.type === 'message') {
      messages += 1;
      const name = String(line['queue']);
      const known = topics.get(name) ?? new Set<string>();
      topics.set(name, known);
      if (!known.has(String(line['topic'])) && (topicCount += 1) > topicsMax) {
        throw damaged(file, `it holds more than ${topicsMax} topics`);
      }
      known.add(String(line['topic']));
    } else if (line.type === 'end') {
      isWhole = line['queues'] === queues.length && line['messages'] === messages;
      if (!isWhole) throw damaged(file, 'its counts are not those of its last line');
    } else {
      throw damaged(file, `it holds a line of the unknown type ${JSON.stringify(line.type)}`);
    }
  }
  if (!isWhole) throw damaged(file, 'its last line is missing');
  return { queues, messages, obstacle: (all) => obstacleOf(topics, all) };
}

/** A stored message as it is published again: stored at once, retained no second time. */
export function outgoing(message: StoredMessage): OutgoingMessage {
  const { properties, message_expiry_interval: expiry } = message;
  const pairs = (properties['user_properties'] ?? []) as readonly { key: string; value: string }[];
  const userProperties: Record<string, string[]> = {};
  for (const { key, value } of pairs) (userProperties[key] ??= []).push(value);
  const text = (name: string): string | undefined => properties[name] as string | undefined;
  const [contentType, responseTopic, correlation] = [
    'content_type',
    'response_topic',
    'correlation_data',
  ].map(text);
  const set: NonNullable<IPublishPacket['properties']> = {
    ...(properties['payload_format_indicator'] === 1 && { payloadFormatIndicator: true }),
    ...(expiry !== undefined && { messageExpiryInterval: expiry }),
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlation !== undefined && { correlationData: Buffer.from(correlation, 'base64') }),
    ...(pairs.length > 0 && { userProperties }),
  };
  const encoding = message.payload_encoding === 'base64' ? 'base64' : 'utf8';
  return {
    topic: message.topic,
    payload: Buffer.from(message.payload, encoding),
    qos: message.qos === 2 ? 2 : 1,
    retain: false,
    properties: set,
  };
}

function checkFirst(file: string, type: unknown, version: unknown): void {
  if (type !== formatName) throw damaged(file, 'its first line is not that of an export');
  if (version === formatVersion) return;
  throw new CommandError(
    exitCode.failed,
    `${file} has version ${String(version)} of the format; this is ${formatVersion}`,
    {
      hint: 'use the version of Sluice that wrote it',
    },
  );
}

function damaged(file: string, reason: string): CommandError {
  return new CommandError(exitCode.failed, `${file} is not a whole export: ${reason}`, {
    hint: 'nothing was changed; export again',
  });
}

function obstacleOf(
  topics: ReadonlyMap<string, ReadonlySet<string>>,
  all: readonly QueueObject[],
): string | undefined {
  const byName = new Map(all.map((queue) => [queue.name, queue]));
  for (const [name, known] of topics) {
    const queue = byName.get(name);
    if (queue === undefined) return `the file has messages of ${name} but not the queue`;
    const key = queue.key_expression ?? '';
    if (
      queue.is_lastvalue &&
      /\bmessage\.(?:from|id|timestamp|qos|flags|headers\.(?!properties))/.test(key)
    ) {
      return `the key of ${name} comes from the publisher (${key})`;
    }
    const others = all.filter((other) => other.name !== name);
    for (const topic of known) {
      const other = others.find(({ topic_filter: filter }) => matches(filter, topic));
      if (other !== undefined) return `${topic} fills ${name} and ${other.name}`;
    }
  }
  return undefined;
}

/** MQTT 4.7: `+` is one level, `#` the rest, its parent included; neither begins with `$`. */
function matches(filter: string, topic: string): boolean {
  const levels = topic.split('/');
  const words = filter.split('/');
  if (topic.startsWith('$') && (words[0] === '+' || words[0] === '#')) return false;
  for (const [index, word] of words.entries()) {
    if (word === '#') return true;
    if (levels[index] === undefined || (word !== '+' && word !== levels[index])) return false;
  }
  return words.length === levels.length;
}
