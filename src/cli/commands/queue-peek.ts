/**
 * `sluice queues peek`: looks at the messages of a queue, oldest first. Over the REST API.
 *
 * Always true: no message is taken away or counted as delivered. Pages are asked for as they are printed, so a long queue needs
 * no more memory than one page. With `--json` there is one object per line, as `GET …/messages` describes it.
 */
import { type Command, Option } from 'commander';

import type { ApiClient } from '../api-client.js';
import { type CommandContext, withExamples } from '../context.js';
import { type ApiOptions, wholeNumber, withApi } from '../option.js';
import { type Format, formats, utf8, visible } from '../payload.js';
import { harmless, spanText } from '../text.js';
import { missing, pathOf } from './queue-path.js';

/** A message in the answer of `GET …/messages`. */
export interface StoredMessage {
  readonly offset: number;
  readonly topic: string;
  readonly from: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly timestamp: number;
  readonly message_expiry_interval?: number;
  readonly delivery_attempt: number;
  readonly state: string;
  readonly key?: string;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly payload: string;
  readonly payload_encoding: 'text' | 'base64';
  readonly payload_size: number;
}

interface PeekOptions extends ApiOptions {
  readonly limit: number;
  readonly format: Format;
}

const pageMax = 1000;

/** Adds the command. */
export function addQueuePeek(queues: Command, context: CommandContext): void {
  const peek = withApi(
    queues
      .command('peek')
      .description('look at the messages of a queue, oldest first; takes none away')
      .argument('<name>', 'name of the queue, or its topic filter'),
  )
    .option('--limit <count>', 'most messages to show', wholeNumber(1, Number.MAX_SAFE_INTEGER), 10)
    .addOption(new Option('--format <word>', 'how payloads are shown').choices(formats).default('text'))
    .action(async (name: string, options: PeekOptions) => {
      const api = await context.api(options);
      const { io } = context;
      const isJson = options.json === true || options.format === 'json';
      let shown = 0;
      for await (const message of storedMessages(api, name, isJson ? 'text' : 'base64', options.limit)) {
        shown += 1;
        if (isJson) {
          io.out(`${JSON.stringify(message)}\n`);
          continue;
        }
        const bytes = Buffer.from(message.payload, 'base64');
        io.out(`${headline(message)}\n`);
        io.out(`  ${options.format === 'hex' ? bytes.toString('hex') : shownText(bytes, io.outColumns)}\n`);
      }
      if (shown === 0 && !isJson) context.output(options).note('The queue is empty.');
    });
  withExamples(peek, 'sluice queues peek jobs', 'sluice queues peek jobs --limit 1000 --json');
}

/** The first `limit` messages of a queue, page by page. */
export async function* storedMessages(
  api: ApiClient,
  name: string,
  payload: 'text' | 'base64',
  limit: number,
): AsyncGenerator<StoredMessage> {
  let cursor: string | undefined;
  for (let left = limit; left > 0;) {
    const { data, meta } = await api.get<{
      data: StoredMessage[];
      meta: { hasnext: boolean; cursor?: string };
    }>(`${pathOf(name)}/messages`, {
      query: { limit: Math.min(left, pageMax), payload, cursor },
      ...missing(name),
    });
    yield* data;
    left -= data.length;
    cursor = meta.cursor;
    if (!meta.hasnext || cursor === undefined) return;
  }
}

function headline(message: StoredMessage): string {
  const facts = [
    `#${message.offset}`,
    harmless(message.topic),
    `from ${harmless(message.from)}`,
    `${spanText(Math.max(0, Date.now() - message.timestamp))} ago`,
    `attempt ${message.delivery_attempt}`,
    message.state,
    `${message.payload_size} B`,
  ];
  if (message.key !== undefined) facts.push(`key ${harmless(message.key)}`);
  return facts.join('  ');
}

function shownText(bytes: Buffer, columns: number | undefined): string {
  return columns === undefined ? (utf8(bytes) ?? bytes.toString('hex')) : visible(bytes);
}
