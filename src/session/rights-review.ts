/**
 * Takes subscriptions back whose right was withdrawn while their client is connected. Main thread.
 *
 * Always true: after a change of the rules every connected session is looked at once, a bounded number of subscriptions
 * per turn, so that other clients are served meanwhile; a change that comes during a walk starts it anew. What is away is
 * looked at when it is resumed, before anything reaches it. Gives up: telling the client, for which MQTT has no packet;
 * it learns it by subscribing again, and the operator from the log.
 */
import type { GatewayContext } from './context.js';
import type { Session } from './session.js';

/** So many subscriptions are decided before others have a turn. */
const subscriptionsPerTurn = 256;

/** See the file header. */
export class RightsReview {
  readonly #context: Pick<GatewayContext, 'access' | 'registry' | 'logger'>;
  /** Sessions that are left of the walk that is under way. */
  #walk: IterableIterator<Session> | undefined;
  #isBooked = false;
  #isClosed = false;

  constructor(context: Pick<GatewayContext, 'access' | 'registry' | 'logger'>) {
    this.#context = context;
    context.access?.onChange(() => this.#begin());
  }

  /** The rules of one connected session have changed. */
  review(session: Session): void {
    const { access, logger } = this.#context;
    const identity = session.client?.identity;
    if (access === undefined || identity === undefined) return;
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
