/**
 * Refuses clients that are banned, before and after they prove who they are. Main thread.
 *
 * Always true: a banned client id, address or claimed user name costs no hash and no call; the user that a certificate or a
 * token names is looked up as well; the answer is 0x8A Banned, and return code 5 before MQTT 5. While nobody is banned the
 * authenticator behind it is asked directly. Gives up: those who are connected already.
 */
import { reasonCode } from '../mqtt/reason-code.js';
import type { Counters } from '../telemetry/counter.js';
import { slot } from '../telemetry/counter-layout.js';
import type { AuthExchange, AuthRequest, AuthStep } from './authenticator.js';
import type { BannedList } from './banned-list.js';
import type { ReloadableAuthenticator } from './chain.js';
import { hostOf } from './failure-limiter.js';

const banned: AuthStep = { kind: 'refused', reasonCode: reasonCode.banned };

/** What it works with. */
export interface BannedAuthenticatorOptions {
  readonly inner: ReloadableAuthenticator;
  readonly list: BannedList;
  readonly counters: Pick<Counters, 'add'>;
  /** Unix time in ms. */
  readonly now: () => number;
}

/** An authenticator that asks `inner` about everybody who is not banned. */
export function createBannedAuthenticator({
  inner,
  list,
  counters,
  now,
}: BannedAuthenticatorOptions): ReloadableAuthenticator {
  const isBanned = ({ clientId, facts }: AuthRequest, username: string | undefined): boolean => {
    if (list.find({ clientId, username, host: hostOf(facts.peername) }, now()) === undefined) return false;
    counters.add(slot.clientsBanned, 1);
    return true;
  };
  const ifNotBanned = (request: AuthRequest, step: AuthStep): AuthStep =>
    step.kind === 'success' && isBanned(request, step.identity.username) ? banned : step;
  const review = (request: AuthRequest, step: AuthStep | Promise<AuthStep>): AuthStep | Promise<AuthStep> => {
    // The ban may have come while the answer was awaited.
    if (step instanceof Promise) return step.then((answer) => ifNotBanned(request, answer));
    const isOther = step.kind === 'success' && step.identity.username !== request.username;
    return isOther ? ifNotBanned(request, step) : step;
  };

  return {
    authenticate: (request) =>
      isBanned(request, request.username) ? banned : review(request, inner.authenticate(request)),
    exchange: (method, request): AuthExchange | undefined => {
      const exchange = inner.exchange(method, request);
      return exchange === undefined
        ? undefined
        : {
            step: (data) =>
              isBanned(request, request.username) ? banned : review(request, exchange.step(data)),
          };
    },
    stands: (identity) => inner.stands?.(identity) ?? true,
    onChange: (changed) => inner.onChange?.(changed),
    reload: () => inner.reload(),
    close: () => inner.close(),
  };
}
