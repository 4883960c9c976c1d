/**
 * `sluice sub`: prints the messages of topic filters or queues as they come. Over MQTT.
 *
 * Always true: a message is acknowledged after it was printed, so one that was not printed stays with the broker; with `--count`
 * the subscription ends together with the last acknowledgement, and what a queue had handed out besides goes back to
 * it. Ctrl-C ends the command in order, with exit code 0.
 */
import { type Command, Option } from 'commander';
import type { IPublishPacket } from 'mqtt-packet';

import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import type { MqttClient } from '../mqtt/client.js';
import { type MqttOptions, mqttTarget, withMqtt } from '../mqtt/target.js';
import { duration, wholeNumber } from '../option.js';
import { type Format, formats, payloadFields, visible } from '../payload.js';
import { harmless } from '../text.js';

interface SubOptions extends MqttOptions {
  readonly qos: string;
  readonly count?: number;
  readonly timeout?: number;
  readonly format: Format;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly receiveMaximum?: number;
  readonly session?: number;
  readonly retained: boolean;
}

const windowDefault = 100;

/** Adds the command. */
export function addSub(program: Command, context: CommandContext): void {
  const sub = withMqtt(
    program
      .command('sub')
      .description('print messages; each is acknowledged after it was printed')
      .argument('<filter...>', "topic filters; a queue is '$q/<filter>' or '$queue/<name>'")
      .addOption(new Option('-q, --qos <level>', 'highest QoS').choices(['0', '1', '2']).default('1'))
      .option('-n, --count <count>', 'end after so many messages', wholeNumber(1, 1_000_000_000))
      .option(
        '-W, --timeout <duration>',
        'end after so much time; exit code 1 when --count was not reached',
        duration,
      )
      .addOption(new Option('--format <word>', 'how messages are printed').choices(formats).default('text'))
      .option('--json', 'the same as --format json: one object per line')
      .option('-v, --verbose', 'the topic before each message')
      .option(
        '--receive-maximum <count>',
        'most messages that wait for their acknowledgement',
        wholeNumber(1, 65_535),
      )
      .option(
        '--session <duration>',
        'keep the session so long after the end, and go on with the present one; needs --id',
        duration,
      )
      .option('--no-retained', 'leave out messages that were retained before'),
  ).action(async (filters: string[], options: SubOptions) => {
    if (options.session !== undefined && options.id === undefined) {
      throw new CommandError(exitCode.wrongUse, 'a session is found again by its client id', {
        hint: 'add --id',
      });
    }
    await new Subscription(context, options, filters).run();
  });
  withExamples(
    sub,
    "sluice sub 'sensors/#' --verbose --count 1",
    "sluice sub '$q/jobs' --json --count 1 --timeout 5s",
    'sluice sub alerts --id sensor-7 --session 1h --timeout 500ms',
  );
}

/** One run of the command. */
class Subscription {
  readonly #context: CommandContext;
  readonly #options: SubOptions;
  readonly #filters: string[];
  readonly #format: Format;
  #client: MqttClient | undefined;
  #printed = 0;
  #isDone = false;
  #finish: (() => void) | undefined;

  constructor(context: CommandContext, options: SubOptions, filters: string[]) {
    this.#context = context;
    this.#options = options;
    this.#filters = filters;
    this.#format = options.json === true ? 'json' : options.format;
  }

  async run(): Promise<void> {
    const { MqttClient } = await import('../mqtt/client.js');
    const { count, timeout } = this.#options;
    const finished = new Promise<void>((resolve) => (this.#finish = resolve));
    const client = await MqttClient.open(await mqttTarget(this.#context, this.#options), this.#session());
    this.#client = client;
    const stopListening = this.#context.io.onInterrupt?.(() => this.#finish?.());
    const timer = timeout === undefined ? undefined : setTimeout(() => this.#finish?.(), timeout);
    try {
      await this.#subscribe(client);
      const lost = await Promise.race([client.closed, finished]);
      if (lost instanceof CommandError) throw lost;
    } finally {
      clearTimeout(timer);
      stopListening?.();
      this.#isDone = true;
      await client.end();
    }
    if (count !== undefined && this.#printed < count && timeout !== undefined) {
      throw new CommandError(exitCode.failed, `${this.#printed} of ${count} messages came in time`, {
        code: 'TIMEOUT',
        hint: '"sluice queues show NAME" tells what waits in a queue',
      });
    }
  }

  #session() {
    const { count, receiveMaximum, session } = this.#options;
    return {
      cleanStart: session === undefined,
      sessionExpiryS: session === undefined ? 0 : Math.ceil(session / 1000),
      // More than what is still wanted would only be taken from other consumers and given back.
      receiveMaximum: receiveMaximum ?? Math.min(count ?? windowDefault, windowDefault),
      receiver: (message: IPublishPacket, acknowledge: () => void) => this.#take(message, acknowledge),
    };
  }

  async #subscribe(client: MqttClient): Promise<void> {
    const qos = Number(this.#options.qos) as 0 | 1 | 2;
    const isV5 = this.#options.mqttVersion === '5';
    const codes = await client.subscribe(
      this.#filters.map((topic) => ({
        topic,
        qos,
        ...(isV5 && { nl: false, rap: true, rh: this.#options.retained ? 0 : 2 }),
      })),
    );
    const refused = codes.findIndex((code) => code >= 0x80);
    if (refused < 0) return;
    const { operationRefusal } = await import('../mqtt/reason.js');
    throw operationRefusal(`the subscription to ${this.#filters[refused]}`, codes[refused] ?? 0x80);
  }

  #take(message: IPublishPacket, acknowledge: () => void): void {
    if (this.#isDone) return;
    if (!this.#options.retained && message.retain) {
      acknowledge();
      return;
    }
    const { io } = this.#context;
    io.out(this.#text(message));
    this.#printed += 1;
    const isLast = this.#printed === this.#options.count;
    if (isLast) this.#isDone = true;
    const answer = (): void => {
      acknowledge();
      if (!isLast) return;
      // In this order: a queue takes back what is unacknowledged when its subscription ends.
      this.#client?.unsubscribe(this.#filters);
      this.#finish?.();
    };
    // A pipe takes no more than it holds; whoever reads it may go before the rest.
    if (io.afterOut === undefined) answer();
    else io.afterOut(answer);
  }

  #text(message: IPublishPacket): string {
    const payload = Buffer.from(message.payload);
    if (this.#format === 'json') return `${JSON.stringify(jsonOf(message, payload))}\n`;
    const { outColumns } = this.#context.io;
    const topic = this.#options.verbose === true ? `${harmless(message.topic)} ` : '';
    const shown =
      this.#format === 'hex'
        ? payload.toString('hex')
        : outColumns === undefined
          ? payload.toString('utf8')
          : visible(payload);
    return `${topic}${shown}\n`;
  }
}

function jsonOf(message: IPublishPacket, payload: Buffer): Record<string, unknown> {
  const { topic, qos, retain, dup, properties = {} } = message;
  const {
    userProperties,
    correlationData,
    subscriptionIdentifier: _,
    topicAlias: __,
    ...others
  } = properties;
  return {
    topic,
    qos,
    retain,
    dup,
    ...payloadFields(payload),
    properties: {
      ...Object.fromEntries(Object.entries(others).map(([name, value]) => [snakeCase(name), value])),
      ...(correlationData !== undefined && { correlation_data: correlationData.toString('base64') }),
      ...(userProperties !== undefined && {
        user_properties: Object.entries(userProperties).flatMap(([key, values]) =>
          [values].flat().map((value) => ({ key, value })),
        ),
      }),
    },
  };
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
