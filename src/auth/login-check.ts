/**
 * The one place where a password of an account is checked. Main thread; a few hashes at a time in the thread pool.
 *
 * Always true: no password is looked at while its address or its account has to wait; an attempt that nobody has room for is
 * turned away at once and counts for nothing. Every outcome is counted. Gives up: telling whether the account exists.
 */
import type { Counters } from '../telemetry/counter.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { Account } from './account.js';
import type { AccountStore } from './account-store.js';
import { Gate } from './gate.js';
import { LoginLimiter, type LoginAttempt } from './login-limiter.js';

/** How a check went. */
export type LoginOutcome =
  | { readonly outcome: 'right'; readonly account: Account }
  | { readonly outcome: 'wrong' }
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'locked'; readonly waitMs: number };

/** What a check works with. */
export interface LoginCheckOptions {
  readonly accounts: AccountStore;
  readonly counters: Pick<Counters, 'add'>;
  /** Any clock that does not go back, ms. */
  readonly now: () => number;
}

const hashesMax = 2;
const waitingMax = 32;

/** See the file header. */
export class LoginCheck {
  readonly #options: LoginCheckOptions;
  readonly #limiter = new LoginLimiter();
  readonly #gate = new Gate(hashesMax, waitingMax);

  constructor(options: LoginCheckOptions) {
    this.#options = options;
  }

  /** Checks the password of an account. */
  async check(attempt: LoginAttempt, password: string): Promise<LoginOutcome> {
    const { accounts, counters, now } = this.#options;
    const waitMs = this.#limiter.waitMs(attempt, now());
    if (waitMs > 0) {
      counters.add(slotOf('loginsFailed', 'locked'), 1);
      return { outcome: 'locked', waitMs };
    }
    if (this.#limiter.begin(attempt, now())) counters.add(slot.loginLocks, 1);
    const answer = this.#gate.run(() => accounts.verify(attempt.username, password));
    if (answer === undefined) {
      this.#limiter.cancelled(attempt);
      counters.add(slotOf('loginsFailed', 'busy'), 1);
      return { outcome: 'busy' };
    }
    const account = await answer;
    if (account === undefined) {
      counters.add(slotOf('loginsFailed', 'credentials'), 1);
      return { outcome: 'wrong' };
    }
    this.#limiter.succeeded(attempt);
    counters.add(slot.loginsSucceeded, 1);
    return { outcome: 'right', account };
  }
}
