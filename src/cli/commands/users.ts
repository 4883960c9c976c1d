/**
 * `sluice users …`: the accounts of the dashboard. Over the REST API.
 *
 * Always true: a password is asked for twice without echo, or read from a pipe, and is no option, because every user of a
 * machine can read the options of a process. Setting one ends what its account has open. The users of MQTT are another matter: see `sluice passwd`.
 */
import { type Command, Option } from 'commander';

import type { ApiClient } from '../api-client.js';
import { type CommandContext, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { type ApiOptions, withApi, withYes } from '../option.js';
import { accountRoles } from './role.js';

interface User {
  readonly username: string;
  readonly role: string;
  readonly description?: string;
}

interface AccountOptions extends ApiOptions {
  readonly role?: string;
  readonly description?: string;
}

/** Adds the commands. */
export function addUsers(program: Command, context: CommandContext): void {
  const users = program.command('users').alias('user').description('accounts of the dashboard');
  const list = withApi(users.command('list').alias('ls').description('all accounts')).action(
    async (options: ApiOptions) => {
      const api = await context.api(options);
      context.output(options).list(
        await usersOf(api),
        [
          { head: 'user', cell: ({ username }) => username },
          { head: 'role', cell: ({ role }) => role },
          { head: 'description', cell: ({ description }) => description ?? '' },
        ],
        'There are no accounts.',
      );
    },
  );
  withExamples(list, 'sluice users list');
  addCreate(users, context);
  addUpdate(users, context);
  addPasswd(users, context);
  addDelete(users, context);
}

function addCreate(users: Command, context: CommandContext): void {
  const create = withApi(
    users
      .command('create')
      .description('make an account; its password is asked for, or read from a pipe')
      .argument('<username>', 'name of the account'),
  )
    .addOption(new Option('--role <word>', 'what it may do').choices(accountRoles).default('viewer'))
    .option('--description <text>', 'who it is')
    .action(async (username: string, { role, description = '', ...options }: AccountOptions) => {
      const api = await context.api(options);
      const password = await context.newPassword();
      const user = await api.call<User>('POST', '/users', {
        body: { username, password, role, description },
      });
      context.output(options).done(user, `created ${username}`);
    });
  withExamples(create, "echo 'correct horse 9 battery' | sluice users create ada --role administrator");
}

function addUpdate(users: Command, context: CommandContext): void {
  const update = withApi(
    users.command('update').description('change an account').argument('<username>', 'name of the account'),
  )
    .addOption(new Option('--role <word>', 'what it may do').choices(accountRoles))
    .option('--description <text>', 'who it is')
    .action(async (username: string, { role, description, ...options }: AccountOptions) => {
      if (role === undefined && description === undefined) {
        throw new CommandError(exitCode.wrongUse, 'there is nothing to change', {
          hint: 'give --role or --description',
        });
      }
      const api = await context.api(options);
      const present = (await usersOf(api)).find((user) => user.username === username);
      const user = await api.call<User>('PUT', pathOf(username), {
        body: {
          role: role ?? present?.role,
          description: description ?? present?.description ?? '',
        },
        ...missing(username),
      });
      context.output(options).done(user, `updated ${username}`);
    });
  withExamples(update, "sluice users update ada --description 'counts the messages'");
}

function addPasswd(users: Command, context: CommandContext): void {
  const passwd = withApi(
    users
      .command('passwd')
      .description('set the password of an account; it is asked for, or read from a pipe')
      .argument('<username>', 'name of the account'),
  ).action(async (username: string, options: ApiOptions) => {
    const api = await context.api(options);
    const password = await context.newPassword();
    const user = await api.call<User>('PUT', pathOf(username), { body: { password }, ...missing(username) });
    context.output(options).done(user, `the password of ${username} is set; its sessions have ended`);
  });
  withExamples(passwd, "echo 'another horse 7 battery' | sluice users passwd ada");
}

function addDelete(users: Command, context: CommandContext): void {
  const remove = withYes(
    withApi(
      users.command('delete').alias('rm').description('remove accounts').argument('<username...>', 'names'),
    ),
  ).action(async (usernames: readonly string[], options: ApiOptions & { yes?: boolean }) => {
    await context.confirm(`Delete the account ${usernames.join(', ')}?`, options.yes);
    const api = await context.api(options);
    for (const username of usernames) await api.call('DELETE', pathOf(username), missing(username));
    context.output(options).done({ deleted: usernames }, `deleted ${usernames.join(', ')}`);
  });
  withExamples(remove, 'sluice users delete ada --yes');
}

async function usersOf(api: ApiClient): Promise<readonly User[]> {
  const answer = await api.get<User[] | { data: User[] }>('/users');
  return Array.isArray(answer) ? answer : answer.data;
}

function pathOf(username: string): string {
  return `/users/${encodeURIComponent(username)}`;
}

function missing(username: string): { notFound: string; hint: string } {
  return {
    notFound: `there is no account ${JSON.stringify(username)}`,
    hint: '"sluice users list" shows the accounts that exist',
  };
}
