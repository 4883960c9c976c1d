/**
 * The accounts of the dashboard. Main thread.
 *
 * Always true: no answer holds a password or its hash; an administrator is always left; nobody removes himself. What
 * changes a password or a role ends the tokens of that account. Source: the accounts of EMQX's dashboard API; `password`
 * in PUT, with which an administrator helps who forgot his, is an addition.
 */
import Type from 'typebox';

import {
  accountRoles,
  type Account,
  descriptionCharsMax,
  passwordCharsMax,
  passwordCharsMin,
  passwordFault,
  usernameCharsMax,
  usernamePattern,
} from '../auth/account.js';
import type { AccountOutcome } from '../auth/account-store.js';
import { stored } from './access.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { type RestErrorCode, sendError } from './error.js';
import { isLocalPeer } from './guard.js';

const User = Type.Object({
  username: Type.String(),
  role: Type.Enum([...accountRoles]),
  description: Type.String(),
  backend: Type.Literal('local'),
});

const Password = Type.String({ minLength: 1, maxLength: passwordCharsMax });
const NewPassword = Type.String({ minLength: passwordCharsMin, maxLength: passwordCharsMax });
const Role = Type.Enum([...accountRoles]);
const Description = Type.String({ maxLength: descriptionCharsMax });

const CreateBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: usernameCharsMax, pattern: usernamePattern }),
    password: NewPassword,
    role: Type.Optional(Role),
    description: Type.Optional(Description),
  },
  { additionalProperties: false },
);
const ChangeBody = Type.Object(
  {
    role: Type.Optional(Role),
    description: Type.Optional(Description),
    password: Type.Optional(NewPassword),
  },
  { additionalProperties: false },
);
const PasswordBody = Type.Object(
  { old_pwd: Password, new_pwd: NewPassword },
  { additionalProperties: false },
);
const UserParams = Type.Object({ username: Type.String({ minLength: 1 }) });

const refusals: Readonly<Record<Exclude<AccountOutcome, 'done'>, readonly [RestErrorCode, string]>> = {
  exists: ['ALREADY_EXISTS', 'User already exists'],
  'not-found': ['NOT_FOUND', 'User not found'],
  'last-administrator': ['NOT_ALLOWED', 'The last administrator stays one'],
  'too-many': ['EXCEED_LIMIT', 'There are as many users as there may be'],
};

/** Adds the routes at the path that the group is registered with. */
export async function users(app: App, group: RouteGroup): Promise<void> {
  const { accounts, logins } = group.access;

  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'listUsers'),
      summary: 'Accounts of the dashboard',
      response: answers({ 200: Type.Array(User) }),
    },
    handler: async () => accounts.list().map(userOf),
  });

  app.route({
    method: 'POST',
    url: '',
    schema: {
      ...operation(group, 'createUser'),
      summary: 'Make an account',
      description: 'Without a role it is a viewer.',
      body: CreateBody,
      response: answers({ 200: User }, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { username, password, role = 'viewer', description = '' } = request.body;
      const fault = passwordFault(password, username);
      if (fault !== undefined) return sendError(reply, 'BAD_REQUEST', fault);
      const account = { username, role, description };
      const outcome = await stored(accounts.create(account, password));
      return outcome === 'done' ? userOf(account) : sendError(reply, ...refusals[outcome]);
    },
  });

  app.route({
    method: 'PUT',
    url: '/:username',
    schema: {
      ...operation(group, 'updateUser'),
      summary: 'Change role or description of an account, or set its password',
      params: UserParams,
      body: ChangeBody,
      response: answers({ 200: User }, 404, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { username } = request.params;
      const { password } = request.body;
      const fault = password === undefined ? undefined : passwordFault(password, username);
      if (fault !== undefined) return sendError(reply, 'BAD_REQUEST', fault);
      const outcome = await stored(accounts.change(username, request.body));
      const account = accounts.get(username);
      if (outcome !== 'done') return sendError(reply, ...refusals[outcome]);
      return account === undefined ? sendError(reply, ...refusals['not-found']) : userOf(account);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/:username',
    schema: {
      ...operation(group, 'deleteUser'),
      summary: 'Remove an account',
      params: UserParams,
      response: answers({ 204: NoContent }, 404, 503),
    },
    handler: async (request, reply) => {
      const { principal } = request;
      const { username } = request.params;
      if (principal?.kind === 'user' && principal.name === username) {
        return sendError(reply, 'NOT_ALLOWED', 'Cannot delete self');
      }
      const outcome = await stored(accounts.remove(username));
      if (outcome !== 'done') return sendError(reply, ...refusals[outcome]);
      return await reply.code(204).send(null);
    },
  });

  app.route({
    method: 'POST',
    url: '/:username/change_pwd',
    schema: {
      ...operation(group, 'changePassword'),
      summary: 'Change a password, knowing the old one',
      description:
        'Everybody may do so for his own account. It ends all tokens of the account, also this one.',
      params: UserParams,
      body: PasswordBody,
      response: answers({ 204: NoContent }, 404, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { username } = request.params;
      const { old_pwd: old, new_pwd: password } = request.body;
      if (accounts.get(username) === undefined) return sendError(reply, ...refusals['not-found']);
      const fault = passwordFault(password, username);
      if (fault !== undefined) return sendError(reply, 'BAD_REQUEST', fault);
      // The old password is guessed here as well as it is at the login, so it is counted there.
      const address = request.socket.remoteAddress ?? '';
      const answer = await logins.check({ username, address, isLoopback: isLocalPeer(request) }, old);
      if (answer.outcome === 'locked') {
        reply.header('retry-after', Math.ceil(answer.waitMs / 1000));
        return sendError(reply, 'LOGIN_LOCKED', 'Too many wrong passwords; try again later');
      }
      if (answer.outcome === 'busy') {
        return sendError(reply, 'SERVICE_UNAVAILABLE', 'Too many others sign in; try again');
      }
      if (answer.outcome === 'wrong') {
        return sendError(reply, 'ERROR_PWD_NOT_MATCH', 'The old password is wrong');
      }
      const outcome = await stored(accounts.change(username, { password }));
      if (outcome !== 'done') return sendError(reply, ...refusals[outcome]);
      return await reply.code(204).send(null);
    },
  });
}

function userOf({ username, role, description }: Account) {
  return { username, role, description, backend: 'local' as const };
}
