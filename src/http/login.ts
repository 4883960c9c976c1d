/**
 * `POST /login`, `POST /logout`, `GET /current_user`. Main thread.
 *
 * Always true: the token is in the answer and nowhere else, so that no browser sends it by itself; a refused attempt is
 * answered alike for accounts that exist and those that do not. Source: REF 7.5.
 */
import Type from 'typebox';

import { passwordCharsMax, usernameCharsMax } from '../auth/account.js';
import { assert } from '../base/error.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { sendError } from './error.js';
import { isLocalPeer } from './guard.js';

const LoginBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: usernameCharsMax }),
    password: Type.String({ minLength: 1, maxLength: passwordCharsMax }),
  },
  { additionalProperties: false },
);

const Role = Type.Enum(['administrator', 'viewer', 'publisher']);

const LoginAnswer = Type.Object({
  token: Type.String(),
  role: Role,
  version: Type.String(),
  license: Type.Object({ edition: Type.String() }),
  password_expire_in_seconds: Type.Integer({ description: '0: passwords do not expire.' }),
});

const LogoutBody = Type.Union([
  Type.Object({ username: Type.Optional(Type.String({ maxLength: usernameCharsMax })) }),
  Type.Null(),
]);

const CurrentUser = Type.Object({
  username: Type.String(),
  role: Role,
  kind: Type.Enum(['user', 'api_key', 'local']),
});

/** Adds the routes. */
export async function login(app: App, group: RouteGroup): Promise<void> {
  const { access, admin } = group;

  app.route({
    method: 'POST',
    url: '/login',
    config: { isPublic: true, isLogin: true },
    schema: {
      ...operation(group, 'login'),
      summary: 'Sign in with an account of the dashboard',
      description:
        'The token goes into `Authorization: Bearer …` and ends when it is not used for `SLUICE_DASHBOARD_IDLE`. After five ' +
        'wrong passwords the answer is 401 LOGIN_LOCKED for a growing time, and `Retry-After` says how long.',
      security: [],
      body: LoginBody,
      response: answers({ 200: LoginAnswer }, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { username, password } = request.body;
      const address = request.socket.remoteAddress ?? '';
      const attempt = { username, address, isLoopback: isLocalPeer(request) };
      if (access.accounts.get(username) !== undefined) request.triedAccount = username;
      const answer = await access.logins.check(attempt, password);
      switch (answer.outcome) {
        case 'right': {
          const { role } = answer.account;
          request.triedAccount = undefined;
          request.principal = { kind: 'user', name: username, role, scopes: undefined, namespace: undefined };
          return {
            token: access.tokens.issue(username, access.now()),
            role,
            version: admin.status().version,
            license: { edition: 'opensource' },
            password_expire_in_seconds: 0,
          };
        }
        case 'wrong':
          return sendError(reply, 'BAD_USERNAME_OR_PWD', 'Auth failed');
        case 'locked':
          reply.header('retry-after', Math.ceil(answer.waitMs / 1000));
          return sendError(reply, 'LOGIN_LOCKED', 'Too many wrong passwords; try again later');
        case 'busy':
          reply.header('retry-after', 1);
          return sendError(reply, 'SERVICE_UNAVAILABLE', 'Too many others sign in; try again');
      }
    },
  });

  app.route({
    method: 'POST',
    url: '/logout',
    schema: {
      ...operation(group, 'logout'),
      summary: 'End the token that the request is sent with',
      body: LogoutBody,
      response: answers({ 204: NoContent }, 413, 415),
    },
    handler: async (request, reply) => {
      if (request.loginSession !== undefined) access.tokens.end(request.loginSession);
      return await reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/current_user',
    schema: {
      ...operation(group, 'getCurrentUser'),
      summary: 'Who the request comes from',
      description:
        '`local`: from this machine, without a key or token, while no file of API keys is configured.',
      response: answers({ 200: CurrentUser }),
    },
    handler: async ({ principal }) => {
      assert(principal !== undefined, 'the guard lets nobody through without a principal');
      return { username: principal.name, role: principal.role, kind: principal.kind };
    },
  });
}
