/**
 * Takes back what was withdrawn while its client is connected: the right to a subscription, the password itself. Main thread.
 *
 * Always true: after a change of rules or users every connected session is looked at once, a bounded number of subscriptions
 * per turn, so that other clients are served meanwhile; a change that comes during a walk starts it anew. What is away is
 * looked at when it is resumed, before anything reaches it. Gives up: telling the client, for which MQTT has no packet;
 * it learns it by subscribing again, and the operator from the log.
 */
import { reasonCode } from '../mqtt/reason-code.js';
import type { GatewayContext } from './context.js';
import type { Session } from './session.js';

/** So many subscriptions are decided before others have a turn. */
const subscriptionsPerTurn = 256;

type ReviewContext = Pick<GatewayContext, 'access' | 'hooks' | 'registry' | 'logger'>;

/** See the file header. */
export class RightsReview {
  readonly #context: ReviewContext;
  /** Sessions that are left of the walk that is under way. */
  #walk: IterableIterator<Session> | undefined;
  #isBooked = false;
  #isClosed = false;

  constructor(context: ReviewContext) {
    this.#context = context;
    context.access?.onChange(() => this.#begin());
    context.hooks.authenticator?.onChange?.(() => this.#begin());
  }

  /** Looks at one session whose client is connected. */
  review(session: Session): void {
    const { access, hooks, logger } = this.#context;
    const identity = session.client?.identity;
    if (identity === undefined) return;
    if (hooks.authenticator?.stands?.(identity.identity) === false) {
      logger.info(
        { clientId: session.clientId },
        'connection closed: its user is gone or has another password',
      );
      session.client?.close(reasonCode.notAuthorized);
      return;
    }
    if (access === undefined) return;
    const before = session.subscriptionCount;
    session.keepAllowed((filter, qos) => access.maySubscribe(identity, filter, qos));
    for (const subscription of session.queueSubscriptions.values()) subscription.review();
    const ended = before - session.subscriptionCount;
    if (ended === 0) return;
    session.durable?.save();
    logger.info({ clientId: session.clientId, ended }, 'subscriptions were ended: their right was withdrawn');
  }

  /** Nothing is looked at any more. */
  close(): void {
    this.#isClosed = true;
    this.#walk = undefined;
  }

  #begin(): void {
    if (this.#isClosed) return;
    this.#walk = this.#context.registry.all();
    this.#goOnLater();
  }

  #goOnLater(): void {
    if (this.#isBooked) return;
    this.#isBooked = true;
    setImmediate(() => {
      this.#isBooked = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    for (let left = subscriptionsPerTurn; left > 0;) {
      const session = this.#walk?.next().value;
      if (session === undefined) {
        this.#walk = undefined;
        return;
      }
      left -= 1 + session.subscriptionCount;
      this.review(session);
    }
    this.#goOnLater();
  }
}
