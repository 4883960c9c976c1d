/**
 * `sluice queues …`: list, show, create, change, delete, empty, pause, look inside, move. Over the REST API.
 *
 * Always true: what destroys messages asks first, or needs `--yes` where nobody can be asked; every action on several queues
 * goes through them in the order given and stops at the first that is refused. Looking at messages takes none away.
 */
import { type Command, Option } from 'commander';

import type { ApiClient } from '../api-client.js';
import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { type ApiOptions, longWork, wholeNumber, withApi, withYes } from '../option.js';
import { rateText, spanText } from '../text.js';
import { addQueuePeek } from './queue-peek.js';
import { type QueueOptions, queueBody, withQueueSettings } from './queue-options.js';
import { addQueueTransfer } from './queue-transfer.js';
import { addQueueShow } from './queue-show.js';
import { missing, pathOf, type QueueObject } from './queue-path.js';

/** A row of `GET /queues_overview`. */
interface OverviewRow {
  readonly name: string;
  readonly topic_filter: string;
  readonly is_lastvalue: boolean;
  readonly dispatch_strategy: string;
  readonly paused: boolean;
  readonly ready: number;
  readonly in_flight: number;
  readonly consumers: number;
  readonly in_rate: number;
  readonly out_rate: number;
  readonly oldest_age_ms: number;
}

interface ListOptions extends ApiOptions {
  readonly search?: string;
  readonly sort: string;
  readonly desc?: boolean;
  readonly limit: number;
}

const sortKeys = ['name', 'ready', 'in_flight', 'consumers', 'in_rate', 'out_rate', 'oldest_age'];
const listMax = 1_000_000;

/** Adds the commands. */
export function addQueues(program: Command, context: CommandContext): void {
  const queues = program.command('queues').alias('queue').description('durable queues');
  addList(queues, context);
  addCreate(queues, context);
  addQueueShow(queues, context);
  addUpdate(queues, context);
  addPause(queues, context);
  addQueuePeek(queues, context);
  addMove(queues, context);
  addQueueTransfer(queues, context);
  addPurge(queues, context);
  addDelete(queues, context);
}

function addList(queues: Command, context: CommandContext): void {
  const list = withApi(
    queues.command('list').alias('ls').description('all queues with depth, consumers and rates'),
  )
    .option('--search <text>', 'only queues whose name or topic filter contains it')
    .addOption(new Option('--sort <field>', 'order by').choices(sortKeys).default('name'))
    .option('--desc', 'largest first')
    .option('--limit <count>', 'most queues to show', wholeNumber(1, listMax), listMax)
    .action(async (options: ListOptions) => {
      const rows = await overview(await context.api(options), options);
      context.output(options).list(
        rows,
        [
          { head: 'name', cell: ({ name }) => name },
          { head: 'filter', cell: ({ topic_filter: filter }) => filter },
          { head: 'kind', cell: kindOf },
          { head: 'ready', cell: ({ ready }) => ready, right: true },
          { head: 'unacked', cell: (row) => row.in_flight, right: true },
          { head: 'consumers', cell: ({ consumers }) => consumers, right: true },
          { head: 'in/s', cell: (row) => rateText(row.in_rate), right: true },
          { head: 'out/s', cell: (row) => rateText(row.out_rate), right: true },
          { head: 'oldest', cell: (row) => ageText(row.oldest_age_ms), right: true },
        ],
        'There are no queues. "sluice queues create FILTER" makes one.',
      );
    });
  withExamples(list, 'sluice queues list', 'sluice queues list --sort ready --desc --limit 10');
}

async function overview(api: ApiClient, { search, sort, desc, limit }: ListOptions): Promise<OverviewRow[]> {
  const rows: OverviewRow[] = [];
  const order = desc === true ? 'desc' : 'asc';
  for (let page = 1; rows.length < limit; page += 1) {
    const { data } = await api.get<{ data: OverviewRow[] }>('/queues_overview', {
      query: { search, sort, order, page, limit: pageSize },
    });
    rows.push(...data);
    if (data.length < pageSize) break;
  }
  return rows.slice(0, limit);
}

const pageSize = 500;

function kindOf(row: OverviewRow): string {
  const kind = row.is_lastvalue ? 'last-value' : 'regular';
  return row.paused ? `${kind}, paused` : kind;
}

function ageText(ms: number): string {
  return ms === 0 ? '-' : spanText(ms);
}

interface CreateOptions extends ApiOptions, QueueOptions {
  readonly name?: string;
  readonly lastValue?: boolean;
}

function addCreate(queues: Command, context: CommandContext): void {
  const create = withApi(
    withQueueSettings(
      queues
        .command('create')
        .description('create a queue for the messages whose topic matches a filter')
        .argument('<filter>', 'MQTT topic filter')
        .option('--name <name>', 'name of the queue (default: "/" and the filter)')
        .option('--last-value', 'keep only the newest message of each key'),
    ),
  ).action(async (filter: string, options: CreateOptions) => {
    const api = await context.api(options);
    const queue = await api.call<QueueObject>('POST', '/message_queues/queues', {
      body: {
        topic_filter: filter,
        is_lastvalue: options.lastValue === true,
        ...(options.name !== undefined && { name: options.name }),
        ...queueBody(options),
      },
    });
    const address = queue.name.startsWith('/') ? `$q${queue.name}` : `$queue/${queue.name}`;
    context.output(options).done(queue, `created ${queue.name}; consume it by subscribing to ${address}`);
  });
  withExamples(
    create,
    'sluice queues create jobs --strategy least_inflight',
    'sluice queues create failed',
    "sluice queues create 'state/#' --name state --last-value --key-expression message.topic",
  );
}

function addUpdate(queues: Command, context: CommandContext): void {
  const update = withApi(
    withQueueSettings(
      queues
        .command('update')
        .description('change some settings of a queue; the others stay')
        .argument('<name>', 'name of the queue, or its topic filter'),
    ),
  ).action(async (name: string, options: ApiOptions & QueueOptions) => {
    const body = queueBody(options);
    if (Object.keys(body).length === 0) {
      throw new CommandError(exitCode.wrongUse, 'there is nothing to change', {
        hint: 'name at least one setting, such as --retention 1d',
      });
    }
    const api = await context.api(options);
    const queue = await api.call<QueueObject>('PATCH', pathOf(name), { body, ...missing(name) });
    context.output(options).done(queue, `updated ${queue.name}`);
  });
  withExamples(update, 'sluice queues update jobs --retention 1d --max-messages 100000');
}

interface ManyOptions extends ApiOptions {
  readonly yes?: boolean;
}

function addDelete(queues: Command, context: CommandContext): void {
  const remove = withYes(
    withApi(
      queues
        .command('delete')
        .alias('rm')
        .description('delete queues with all their messages')
        .argument('<name...>', 'names of the queues'),
    ),
  ).action(async (names: readonly string[], options: ManyOptions) => {
    await context.confirm(`Delete ${names.join(', ')} with all messages?`, options.yes);
    const api = await context.api(options);
    for (const name of names) await api.call('DELETE', pathOf(name), missing(name));
    context.output(options).done({ deleted: names }, `deleted ${names.join(', ')}`);
  });
  withExamples(remove, 'sluice queues delete failed --yes');
}

function addPurge(queues: Command, context: CommandContext): void {
  const purge = withYes(
    withApi(
      queues
        .command('purge')
        .description('delete all messages of queues, also those in flight')
        .argument('<name...>', 'names of the queues'),
      longWork,
    ),
  ).action(async (names: readonly string[], options: ManyOptions) => {
    await context.confirm(`Delete all messages of ${names.join(', ')}?`, options.yes);
    const api = await context.api(options);
    const done: { name: string; purged: number }[] = [];
    for (const name of names) {
      const { purged } = await api.call<{ purged: number }>('POST', `${pathOf(name)}/purge`, missing(name));
      done.push({ name, purged });
    }
    context
      .output(options)
      .done(done, done.map(({ name, purged }) => `${name}: ${purged} messages deleted`).join('\n'));
  });
  withExamples(purge, 'sluice queues purge jobs --yes');
}

function addPause(queues: Command, context: CommandContext): void {
  for (const [action, what, past] of [
    ['pause', 'stop delivering; messages are still stored', 'paused'],
    ['resume', 'deliver again', 'resumed'],
  ] as const) {
    const command = withApi(
      queues.command(action).description(what).argument('<name...>', 'names of the queues'),
    ).action(async (names: readonly string[], options: ApiOptions) => {
      const api = await context.api(options);
      for (const name of names) await api.call('POST', `${pathOf(name)}/${action}`, missing(name));
      context.output(options).done({ [past]: names }, `${past} ${names.join(', ')}`);
    });
    withExamples(command, `sluice queues ${action} jobs`);
  }
}

interface MoveOptions extends ApiOptions {
  readonly count?: number;
}

function addMove(queues: Command, context: CommandContext): void {
  const move = withApi(
    queues
      .command('move')
      .description('move messages from one queue to another, oldest first')
      .argument('<from>', 'name of the queue that they leave')
      .argument('<to>', 'name of the queue that they go to'),
    longWork,
  )
    .option(
      '--count <count>',
      'most messages to move (default: all)',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .action(async (from: string, to: string, options: MoveOptions) => {
      const api = await context.api(options);
      const { moved } = await api.call<{ moved: number }>('POST', `${pathOf(from)}/move`, {
        body: { to, ...(options.count !== undefined && { count: options.count }) },
        ...missing(from),
      });
      context.output(options).done({ from, to, moved }, `moved ${moved} messages from ${from} to ${to}`);
    });
  withExamples(move, 'sluice queues move failed jobs --count 100');
}
