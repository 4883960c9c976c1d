/**
 * Settings of who may use the REST API and the dashboard. Runs on the main thread, once, at start; plain tables.
 *
 * Always true: the first account is made once, from these settings or with a random password; later changes of them change
 * no account. Secrets may stand in a variable or, better, in a file. Source: `dashboard` of EMQX's configuration.
 */
import { choice, duration, optionalPath, text } from './variable.js';
import type { Variable } from './variable.js';

const dayMs = 86_400_000;

/** `variable` or nothing: the word `none` is what leaving it out means. */
function orNone(variable: Variable<string>): Variable<string | undefined> {
  return {
    ...variable,
    defaultText: 'none',
    fallback: () => undefined,
    parse: (given) => (given === 'none' ? undefined : variable.parse(given)),
  };
}

/** Who may use the REST API and the dashboard; spread into `Config`. */
export const dashboardSettings = {
  dashboardUsername: text('SLUICE_DASHBOARD_USERNAME', {
    alias: 'EMQX_DASHBOARD__DEFAULT_USERNAME',
    fallback: 'admin',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/,
    range: 'letters, digits and . _ @ -, 1 to 64',
    help: 'Name of the administrator that the first start makes.',
  }),
  dashboardPassword: orNone(
    text('SLUICE_DASHBOARD_PASSWORD', {
      alias: 'EMQX_DASHBOARD__DEFAULT_PASSWORD',
      fallback: '',
      pattern: /^[^]{1,256}$/,
      range: '1 to 256 characters',
      help: 'Password of that administrator; without it one is made up and printed once in the log. No effect once there is an account.',
    }),
  ),
  dashboardPasswordFile: optionalPath('SLUICE_DASHBOARD_PASSWORD_FILE', {
    help: 'The same in a file; a line end at its end does not belong to it.',
  }),
  dashboardIdleMs: duration('SLUICE_DASHBOARD_IDLE', {
    alias: 'EMQX_DASHBOARD__TOKEN_EXPIRED_TIME',
    fallback: 3_600_000,
    min: 60_000,
    max: 30 * dayMs,
    help: 'Time without use after which somebody who is signed in has to sign in again.',
  }),
  httpLocalAccess: choice('SLUICE_HTTP_LOCAL_ACCESS', {
    words: ['auto', 'false'],
    fallback: 'auto',
    help: 'Requests from this machine without a key or token: `auto` lets them administer while `SLUICE_API_KEYS_FILE` is not set, `false` refuses them.',
  }),
};
