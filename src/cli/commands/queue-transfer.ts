/**
 * `sluice queues export` and `queues import`: definitions, and with `--messages` what is stored, as JSON lines.
 *
 * Always true: a file has a first line with its version and a last line with its counts, so a truncated one is refused before
 * anything is changed; it appears under its name only when it is whole. Messages are imported by publishing them to their
 * topics, so an import that would put one message into several queues is refused. `sluice backup` keeps everything instead.
 */
import { type Command, Option } from 'commander';

import type { ApiClient } from '../api-client.js';
import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import type { MqttClient } from '../mqtt/client.js';
import { mqttTarget } from '../mqtt/target.js';
import { type ApiOptions, withApi } from '../option.js';
import { startProgress } from '../progress.js';
import { storedMessages, type StoredMessage } from './queue-peek.js';
import { pathOf, type QueueObject } from './queue-path.js';
import { outgoing, planOf, type TransferPlan } from './transfer-plan.js';
import { type FileLine, formatName, formatVersion, LineWriter, readLines } from './transfer-file.js';

interface ExportOptions extends ApiOptions {
  readonly messages?: boolean;
  readonly output?: string;
}

interface ImportOptions extends ApiOptions {
  readonly messages?: boolean;
  readonly skipExisting?: boolean;
  readonly mqttUrl?: string;
}

/** Adds the commands. */
export function addQueueTransfer(queues: Command, context: CommandContext): void {
  const exporting = withApi(
    queues
      .command('export')
      .description('write definitions, and with --messages the stored messages, as JSON lines')
      .argument('[name...]', 'names of the queues (default: all)')
      .option('-m, --messages', 'with the messages; they stay in the queue')
      .option('-o, --output <file>', 'file to write (default: standard output)'),
  ).action(async (names: readonly string[], options: ExportOptions) => {
    const api = await context.api(options);
    const writer = new LineWriter(options.output, context.io);
    const { queues: count, messages } = await exportTo(writer, api, names, options, context);
    if (options.output === undefined) return;
    context
      .output(options)
      .done(
        { file: options.output, queues: count, messages },
        `${count} queues and ${messages} messages written to ${options.output}`,
      );
  });
  withExamples(
    exporting,
    'sluice queues export > queues.jsonl',
    'sluice queues export jobs --messages -o jobs.jsonl',
  );

  const importing = withApi(
    queues
      .command('import')
      .description('create the queues of a file that "queues export" wrote')
      .argument('<file>', 'file to read')
      .option('--skip-existing', 'leave queues that exist as they are, instead of stopping there')
      .option('-m, --messages', 'publish the messages of the file, too')
      .addOption(
        new Option('--mqtt-url <url>', 'where messages are published (SLUICE_MQTT_URL)').helpGroup(
          'Connection:',
        ),
      ),
  ).action(async (file: string, options: ImportOptions) => {
    const plan = await planOf(file);
    const api = await context.api(options);
    if (options.messages === true) refuseOverlap(plan, await allQueues(api));
    const { created, skipped } = await createQueues(api, plan.queues, options.skipExisting === true);
    const messages = options.messages === true ? await publishMessages(context, file, plan, options) : 0;
    const left =
      options.messages !== true && plan.messages > 0
        ? `; ${plan.messages} messages left out, see --messages`
        : '';
    context
      .output(options)
      .done(
        { created, skipped, messages },
        `${created.length} queues created, ${skipped.length} skipped, ${messages} messages published${left}`,
      );
  });
  withExamples(
    importing,
    'sluice queues import queues.jsonl --skip-existing',
    'sluice queues import jobs.jsonl --skip-existing --messages',
  );
}

async function exportTo(
  writer: LineWriter,
  api: ApiClient,
  names: readonly string[],
  options: ExportOptions,
  context: CommandContext,
): Promise<{ queues: number; messages: number }> {
  const progress = startProgress(
    context.io,
    'exporting',
    0,
    options.messages === true ? 'messages' : 'queues',
  );
  let messages = 0;
  let isInterrupted = false;
  // What goes to standard output needs no tidying up.
  const stopListening =
    options.output === undefined
      ? undefined
      : context.io.onInterrupt?.(() => {
          isInterrupted = true;
          api.close();
        });
  const goOn = (): void => {
    if (isInterrupted) throw new Error('interrupted');
  };
  try {
    const found = names.length === 0 ? await allQueues(api) : await namedQueues(api, names);
    writer.line({ type: formatName, version: formatVersion, queues: found.length });
    for (const queue of found) writer.line({ type: 'queue', ...queue });
    if (options.messages === true) {
      for (const { name } of found) {
        goOn();
        for await (const message of storedMessages(api, name, 'base64', Infinity)) {
          goOn();
          writer.line({ type: 'message', queue: name, ...message });
          messages += 1;
          progress.at(messages);
        }
      }
    }
    goOn();
    writer.line({ type: 'end', queues: found.length, messages });
    writer.finish();
    return { queues: found.length, messages };
  } catch (error) {
    writer.abandon();
    throw isInterrupted ? new CommandError(exitCode.failed, 'interrupted; nothing was kept') : error;
  } finally {
    stopListening?.();
    progress.stop();
  }
}

async function allQueues(api: ApiClient): Promise<QueueObject[]> {
  const queues: QueueObject[] = [];
  let cursor: string | undefined;
  do {
    const { data, meta }: { data: QueueObject[]; meta: { cursor?: string } } = await api.get(
      '/message_queues/queues',
      { query: { limit: 1000, cursor } },
    );
    queues.push(...data);
    cursor = meta.cursor;
  } while (cursor !== undefined);
  return queues;
}

async function namedQueues(api: ApiClient, names: readonly string[]): Promise<QueueObject[]> {
  const queues: QueueObject[] = [];
  for (const name of names) {
    queues.push(
      await api.get<QueueObject>(pathOf(name), {
        notFound: `there is no queue ${JSON.stringify(name)}`,
        hint: '"sluice queues list" shows the queues that exist',
      }),
    );
  }
  return queues;
}

async function createQueues(
  api: ApiClient,
  queues: readonly QueueObject[],
  skipExisting: boolean,
): Promise<{ created: string[]; skipped: string[] }> {
  const created: string[] = [];
  const skipped: string[] = [];
  for (const { name, ...fields } of queues) {
    try {
      // A queue that was made without a name is called "/" and its filter, which POST does not take as a name.
      await api.call('POST', '/message_queues/queues', {
        body: name.startsWith('/') ? fields : { name, ...fields },
      });
      created.push(name);
    } catch (error) {
      if (!(error instanceof CommandError) || error.code !== 'ALREADY_EXISTS') throw error;
      if (!skipExisting) {
        throw new CommandError(exitCode.refused, `the queue ${JSON.stringify(name)} exists already`, {
          code: error.code,
          hint: `${created.length} queues were created before it; go on with --skip-existing`,
        });
      }
      skipped.push(name);
    }
  }
  return { created, skipped };
}

function refuseOverlap(plan: TransferPlan, present: readonly QueueObject[]): void {
  const byName = new Map([...present, ...plan.queues].map((queue) => [queue.name, queue]));
  const reason = plan.obstacle([...byName.values()]);
  if (reason === undefined) return;
  throw new CommandError(exitCode.refused, `the messages cannot be imported by publishing them: ${reason}`, {
    code: 'OVERLAP',
    hint: 'import the definitions without --messages, or use "sluice backup" and "sluice restore"',
  });
}

async function publishMessages(
  context: CommandContext,
  file: string,
  plan: TransferPlan,
  options: ImportOptions,
): Promise<number> {
  const { MqttClient } = await import('../mqtt/client.js');
  const target = await mqttTarget(context, {
    ...(options.mqttUrl !== undefined && { url: options.mqttUrl }),
    ...(options.cafile !== undefined && { cafile: options.cafile }),
    insecure: options.insecure === true,
    mqttVersion: '5',
    keepAlive: 60,
    connectTimeout: options.timeout,
  });
  const client = await MqttClient.open(target, { cleanStart: true });
  const progress = startProgress(context.io, 'importing', plan.messages, 'messages');
  let published = 0;
  try {
    const pending = new Set<Promise<void>>();
    for await (const line of readLines(file)) {
      if (line.type !== 'message') continue;
      await client.room();
      const sent: Promise<void> = publishOne(client, line).then(() => {
        published += 1;
        progress.at(published);
      });
      pending.add(sent);
      // Kept until the end of a batch, so that the first refusal stops the import.
      if (pending.size >= 1000) await Promise.all(pending).then(() => pending.clear());
      else sent.catch(() => undefined);
    }
    await Promise.all(pending);
    await client.end();
  } finally {
    progress.stop();
  }
  return published;
}

async function publishOne(client: MqttClient, line: FileLine): Promise<void> {
  const code = await client.publish(outgoing(line as unknown as StoredMessage));
  if (code < 0x80) return;
  const { operationRefusal } = await import('../mqtt/reason.js');
  throw operationRefusal(`the message ${String(line['offset'])} of ${String(line['queue'])}`, code);
}
