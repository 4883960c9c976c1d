/**
 * Which role may do what, by method and path alone. Main thread; pure.
 *
 *     administrator   everything                     publisher   publish
 *     viewer          GET, but not the audit log,    anybody     ask who he is, sign out, change his own password
 *
 * Always true: what is not named here and changes something is an administrator's, so a route that is added later is
 * guarded from its first day. A key of a namespace only looks; a key with scopes has what is named for scopes and no more.
 */
import { type ApiRole, queueScope } from '../auth/api-key.js';

/** Who sent a request, as it was proved. */
export interface Principal {
  readonly kind: 'user' | 'api_key' | 'local';
  readonly name: string;
  readonly role: ApiRole;
  /** See `ApiKey`. */
  readonly scopes: readonly string[] | undefined;
  /** See `ApiKey`. */
  readonly namespace: string | undefined;
}

/** What is asked for. */
export interface Wanted {
  readonly method: string;
  /** The pattern of the route, with its prefix. */
  readonly route: string;
  /** Value of `:username` in the path. */
  readonly username: string | undefined;
}

const root = '/api/v5';
const anybodys = new Set([`GET ${root}/current_user`, `POST ${root}/logout`]);
const publishing = new Set([`POST ${root}/publish`, `POST ${root}/publish/bulk`]);
const ownPassword = `POST ${root}/users/:username/change_pwd`;
const secretReads = new Set([`GET ${root}/audit`]);
/** Routes that answer a question that is too long for a path. */
const asking = new Set([`POST ${root}/key_expression/check`, `POST ${root}/topic_filter/check`]);
/** Parts of the API that the scope holds: queues, clients and messages. */
const ofScope = new Set([
  'message_queues',
  'queues',
  'queue',
  'queues_overview',
  'key_expression',
  'topic_filter',
  'clients',
  'subscriptions',
  'topics',
  'publish',
  'mqtt',
]);
/** The same, for looking only: figures of the broker. */
const figuresOfScope = new Set([
  'metrics',
  'monitor_current',
  'nodes',
  'prometheus',
  'shards',
  'stats',
  'status',
]);

/** True for requests that change nothing, whatever their method. */
export function isReading(method: string, route: string): boolean {
  return method === 'GET' || method === 'HEAD' || asking.has(`${method} ${route}`);
}

/** True when they may. */
export function isAllowed(principal: Principal, { method, route, username }: Wanted): boolean {
  const isRead = isReading(method, route);
  const what = `${method === 'HEAD' ? 'GET' : method} ${route}`;
  if (anybodys.has(what)) return true;
  if (what === ownPassword && principal.kind === 'user' && principal.name === username) return true;
  if (!isInScope(principal, route, isRead)) return false;
  if (principal.role === 'publisher') return publishing.has(what) && principal.namespace === undefined;
  // GET only, as REF 7.5 has it, although a question changes nothing.
  if (principal.role === 'viewer') return what.startsWith('GET ') && !secretReads.has(what);
  return principal.namespace === undefined || (isRead && !secretReads.has(what));
}

function isInScope({ scopes }: Principal, route: string, isRead: boolean): boolean {
  if (scopes === undefined) return true;
  if (!scopes.includes(queueScope)) return false;
  // The other name of the Prometheus route.
  if (route === '/metrics') return isRead;
  const part = route.startsWith(`${root}/`) ? (route.slice(root.length + 1).split('/')[0] ?? '') : '';
  return ofScope.has(part) || (isRead && figuresOfScope.has(part));
}
