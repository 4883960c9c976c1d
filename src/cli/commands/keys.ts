/**
 * `sluice keys …`: the API keys that were made at run time. Over the REST API.
 *
 * Always true: the secret of a key is printed once, when it is made, on standard output and nowhere else; nobody can read it
 * again. Keys of the file that SLUICE_API_KEYS_FILE names are changed in that file.
 */
import { type Command, Option } from 'commander';

import { type CommandContext, withExamples } from '../context.js';
import { type ApiOptions, withApi, withYes } from '../option.js';
import { roles } from './role.js';

interface Key {
  readonly name: string;
  readonly api_key: string;
  readonly api_secret?: string;
  readonly role?: string;
  readonly enable?: boolean;
  readonly expired_at?: string | number | null;
  readonly desc?: string;
  readonly description?: string;
}

interface CreateOptions extends ApiOptions {
  readonly role: string;
  readonly description?: string;
  readonly expires?: string;
}

/** Adds the commands. */
export function addKeys(program: Command, context: CommandContext): void {
  const keys = program.command('keys').alias('key').description('API keys');
  const list = withApi(
    keys.command('list').alias('ls').description('all keys, without their secrets'),
  ).action(async (options: ApiOptions) => {
    const api = await context.api(options);
    const answer = await api.get<Key[] | { data: Key[] }>('/api_key');
    context.output(options).list(
      Array.isArray(answer) ? answer : answer.data,
      [
        { head: 'name', cell: ({ name }) => name },
        { head: 'key', cell: (key) => key.api_key },
        { head: 'role', cell: ({ role }) => role ?? '-' },
        { head: 'enabled', cell: ({ enable }) => (enable === false ? 'no' : 'yes') },
        { head: 'expires', cell: (key) => String(key.expired_at ?? 'never') },
        { head: 'description', cell: ({ desc, description }) => desc ?? description ?? '' },
      ],
      'There are no keys that were made at run time. "sluice keys create NAME" makes one.',
    );
  });
  withExamples(list, 'sluice keys list');

  const create = withApi(
    keys
      .command('create')
      .description('make a key; its secret is shown this once')
      .argument('<name>', 'name of the key'),
  )
    .addOption(new Option('--role <word>', 'what it may do').choices(roles).default('administrator'))
    .option('--description <text>', 'what it is for')
    .option('--expires <time>', 'when it ends, such as 2030-01-31T00:00:00Z')
    .action(async (name: string, { role, description, expires, ...options }: CreateOptions) => {
      const api = await context.api(options);
      const key = await api.call<Key>('POST', '/api_key', {
        body: {
          name,
          role,
          enable: true,
          desc: description ?? '',
          ...(expires !== undefined && { expired_at: expires }),
        },
      });
      context.output(options).record(key, [
        ['key', key.api_key],
        ['secret', key.api_secret ?? '-'],
        ['role', key.role ?? role],
      ]);
    });
  withExamples(create, "sluice keys create grafana --role viewer --description 'reads figures'");

  const remove = withYes(
    withApi(
      keys
        .command('delete')
        .alias('rm')
        .description('remove keys')
        .argument('<name...>', 'names of the keys'),
    ),
  ).action(async (names: readonly string[], options: ApiOptions & { yes?: boolean }) => {
    await context.confirm(`Delete the key ${names.join(', ')}?`, options.yes);
    const api = await context.api(options);
    for (const name of names) {
      await api.call('DELETE', `/api_key/${encodeURIComponent(name)}`, {
        notFound: `there is no key ${JSON.stringify(name)}`,
        hint: '"sluice keys list" shows the keys that exist',
      });
    }
    context.output(options).done({ deleted: names }, `deleted ${names.join(', ')}`);
  });
  withExamples(remove, 'sluice keys delete grafana --yes');
}
