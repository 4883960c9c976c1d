/**
 * `sluice pub`: publishes one message, many, or the lines of standard input. Over MQTT.
 *
 * Always true: with QoS 1 and 2 it ends when the last acknowledgement is there, so exit code 0 means that the broker has stored
 * what it stores; the first refusal ends it with exit code 4. Lines are read as fast as the broker takes them, so a file
 * of any size needs little memory.
 */
import type { Readable } from 'node:stream';

import { type Command, Option } from 'commander';
import type { IPublishPacket } from 'mqtt-packet';

import { topicNameFault } from '../../mqtt/topic.js';
import { reasonCode } from '../../mqtt/reason-code.js';
import { type CommandContext, readGiven, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import type { MqttClient, OutgoingMessage } from '../mqtt/client.js';
import { type MqttOptions, mqttTarget, withMqtt } from '../mqtt/target.js';
import { duration, keyValue, wholeNumber, withJson } from '../option.js';
import { startProgress } from '../progress.js';
import { linesOf } from './lines.js';

interface PubOptions extends MqttOptions {
  readonly qos: string;
  readonly retain?: boolean;
  readonly file?: string;
  readonly lines?: boolean;
  readonly count: number;
  readonly interval?: number;
  readonly userProperty?: readonly (readonly [string, string])[];
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly expiry?: number;
  readonly json?: boolean;
}

const payloadBytesMax = 256 * 1024 * 1024;

/** Adds the command. */
export function addPub(program: Command, context: CommandContext): void {
  const pub = withJson(
    withMqtt(
      program
        .command('pub')
        .description('publish messages')
        .argument('<topic>', 'topic name')
        .argument('[message]', 'payload; without it, standard input is the payload')
        .addOption(new Option('-q, --qos <level>', 'QoS').choices(['0', '1', '2']).default('1'))
        .option('-r, --retain', 'keep it as the retained message of the topic')
        .option('-f, --file <file>', 'the payload is what this file holds')
        .option('-l, --lines', 'every line of standard input is a message, byte for byte')
        .option('--count <count>', 'publish the message so many times', wholeNumber(1, 1_000_000_000), 1)
        .option('--interval <duration>', 'pause between two messages', duration)
        .option('--user-property <key=value>', 'user property; may be repeated', keyValue)
        .option('--content-type <type>', 'content type, such as application/json')
        .option('--response-topic <topic>', 'where an answer is expected')
        .option('--correlation-data <text>', 'what the answer shall repeat')
        .option('--expiry <seconds>', 'life of the message', wholeNumber(0, 4_294_967_295)),
    ),
  ).action(async (topic: string, message: string | undefined, options: PubOptions) => {
    checkUse(topic, message, options);
    const properties = propertiesOf(options);
    const { MqttClient } = await import('../mqtt/client.js');
    const payloads = options.lines === true ? linesOf(context.input, payloadBytesMax) : undefined;
    const payload = payloads === undefined ? await payloadOf(context, message, options) : undefined;
    const client = await MqttClient.open(await mqttTarget(context, options), { cleanStart: true });
    const base = { topic, qos: Number(options.qos) as 0 | 1 | 2, retain: options.retain === true };
    const run = new Publishing(client, context, options);
    await run.all(payloads ?? repeated(payload ?? Buffer.alloc(0), options.count), (one) => ({
      ...base,
      payload: one,
      ...(properties !== undefined && { properties }),
    }));
    await client.end();
    const unmatched =
      run.unmatched === 0 || options.retain === true
        ? ''
        : `; ${run.unmatched === run.published ? 'nobody' : `${run.unmatched} times nobody`} is subscribed and no queue matches`;
    const result = { topic, published: run.published, no_matching_subscribers: run.unmatched };
    context
      .output(options)
      .done(
        result,
        `published ${run.published === 1 ? 'one message' : `${run.published} messages`} to ${topic}${unmatched}`,
      );
  });
  withExamples(
    pub,
    'sluice pub jobs \'{"id": 1}\'',
    'seq 1 100 | sluice pub jobs --lines --user-property source=import',
    'sluice pub sensors/1 21.5 --retain',
  );
}

/** Sends messages and counts how they fared. */
class Publishing {
  published = 0;
  unmatched = 0;
  readonly #client: MqttClient;
  readonly #context: CommandContext;
  readonly #options: PubOptions;
  #refused: CommandError | undefined;

  constructor(client: MqttClient, context: CommandContext, options: PubOptions) {
    this.#client = client;
    this.#context = context;
    this.#options = options;
  }

  async all(
    payloads: Iterable<Buffer> | AsyncIterable<Buffer>,
    message: (payload: Buffer) => OutgoingMessage,
  ): Promise<void> {
    const { count, interval, lines } = this.#options;
    const progress = startProgress(this.#context.io, 'publishing', lines === true ? 0 : count, 'messages');
    const pending = new Set<Promise<void>>();
    try {
      for await (const payload of payloads) {
        await this.#client.room();
        if (this.#refused !== undefined) break;
        const answered: Promise<void> = this.#client
          .publish(message(payload))
          .then((code) => this.#note(code))
          .finally(() => pending.delete(answered));
        // A lost connection is told by `room` or by the last wait.
        answered.catch(() => undefined);
        pending.add(answered);
        progress.at(this.published);
        if (interval !== undefined) await new Promise((resolve) => setTimeout(resolve, interval));
      }
      await Promise.all(pending);
    } finally {
      progress.stop();
    }
    if (this.#refused !== undefined) throw this.#refused;
  }

  async #note(code: number): Promise<void> {
    if (code >= 0x80) {
      const { operationRefusal } = await import('../mqtt/reason.js');
      this.#refused ??= operationRefusal(
        this.published === 0 ? 'the message' : `a message, after ${this.published} that it took`,
        code,
      );
      return;
    }
    this.published += 1;
    if (code === reasonCode.noMatchingSubscribers) this.unmatched += 1;
  }
}

function checkUse(topic: string, message: string | undefined, { file, lines, count }: PubOptions): void {
  const fault = topicNameFault(topic);
  if (fault !== undefined) {
    throw new CommandError(
      exitCode.wrongUse,
      `${JSON.stringify(topic)} cannot be published to: ${fault.message}`,
      {
        hint: 'wildcards belong to subscriptions',
      },
    );
  }
  const sources = [message !== undefined, file !== undefined, lines === true].filter(Boolean).length;
  if (sources > 1) {
    throw new CommandError(exitCode.wrongUse, 'a message, --file and --lines exclude each other', {
      hint: 'name one source of the payload',
    });
  }
  if (lines === true && count !== 1) {
    throw new CommandError(
      exitCode.wrongUse,
      '--count repeats one message; --lines has as many as there are lines',
    );
  }
}

async function payloadOf(
  context: CommandContext,
  message: string | undefined,
  { file }: PubOptions,
): Promise<Buffer> {
  if (message !== undefined) return Buffer.from(message);
  return file === undefined ? readAll(context.input) : readGiven(file);
}

async function readAll(input: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > payloadBytesMax)
      throw new CommandError(exitCode.wrongUse, 'standard input is larger than 256 MB');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function* repeated(payload: Buffer, count: number): Generator<Buffer> {
  for (let index = 0; index < count; index += 1) yield payload;
}

function propertiesOf(options: PubOptions): IPublishPacket['properties'] | undefined {
  const { userProperty, contentType, responseTopic, correlationData, expiry } = options;
  const properties: NonNullable<IPublishPacket['properties']> = {
    ...(userProperty !== undefined && { userProperties: grouped(userProperty) }),
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationData !== undefined && { correlationData: Buffer.from(correlationData) }),
    ...(expiry !== undefined && { messageExpiryInterval: expiry }),
  };
  if (Object.keys(properties).length === 0) return undefined;
  if (options.mqttVersion !== '5') {
    throw new CommandError(exitCode.wrongUse, 'MQTT 3.1.1 has no properties', {
      hint: 'leave out --mqtt-version',
    });
  }
  return properties;
}

/** A key may come several times. */
function grouped(pairs: readonly (readonly [string, string])[]): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const [key, value] of pairs) (groups[key] ??= []).push(value);
  return groups;
}
