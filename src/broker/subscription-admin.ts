/**
 * Subscriptions of all clients, and the topic filters that messages are routed by, for operators. Main thread.
 *
 * Always true: a subscription is shown as its client wrote it: ordinary, `$share/…`, or to a queue; queue subscriptions
 * say whether they have their queue. Cost: a search walks over all of them, see page-walk.ts.
 */
import { contains, parseFilter, type Filter } from '../auth/acl-filter.js';
import { hasWildcard, isShare, topicFilterFault } from '../mqtt/topic.js';
import { isQueueSubscription } from '../router/queue-subscription.js';
import type { SubscriptionOptions } from '../router/route.js';
import type { GatewayContext } from '../session/context.js';
import type { Session } from '../session/session.js';
import { slot } from '../telemetry/counter-layout.js';
import type { CounterReader } from '../telemetry/counter.js';
import { badRequest } from './operator-error.js';
import type { Page, PageRequest, PageWalks } from './page-walk.js';

/** One subscription. */
export interface SubscriptionView {
  readonly clientId: string;
  /** The literal text. */
  readonly topicFilter: string;
  readonly options: SubscriptionOptions;
  readonly isDurable: boolean;
  /** Present for those to queues. */
  readonly queueState?: 'idle' | 'waiting' | 'attached';
}

/** What a search asks for; everything that is there must fit. */
export interface SubscriptionFilter {
  readonly clientId?: string | undefined;
  /** The literal text. */
  readonly topicFilter?: string | undefined;
  /** See `SubscriptionAdmin.page`. */
  readonly matchTopic?: string | undefined;
  readonly qos?: number | undefined;
  readonly shareName?: string | undefined;
}

/** A topic filter that messages are routed by, and how many want what it matches. */
export interface RoutedFilter {
  readonly topicFilter: string;
  readonly subscribers: number;
  readonly shareGroups: number;
  readonly queues: number;
}

/** See the file header. */
export class SubscriptionAdmin {
  readonly #gateway: GatewayContext;
  readonly #counters: CounterReader;
  readonly #walks: PageWalks;

  constructor(gateway: GatewayContext, counters: CounterReader, walks: PageWalks) {
    this.#gateway = gateway;
    this.#counters = counters;
    this.#walks = walks;
  }

  /**
   * A page of those that fit. `matchTopic` takes subscriptions whose filter it covers (as EMQX does), and, when it has no
   * wildcard, those that would get a message of this topic. Throws BAD_REQUEST when that is no topic filter.
   */
  page(filter: SubscriptionFilter, request: PageRequest): Promise<Page<SubscriptionView>> {
    const isFree = Object.values(filter).every((value) => value === undefined);
    const { clientId, matchTopic } = filter;
    const matches = matchTopic === undefined ? undefined : topicMatcher(matchTopic);
    return this.#walks.page(request, {
      entries: this.#entries(clientId),
      wants: (view: SubscriptionView) => fits(view, filter, matches),
      view: (view) => view,
      total: isFree
        ? this.#counters.total(slot.subscriptions) + this.#counters.total(slot.queueSubscriptions)
        : undefined,
    });
  }

  /** A page of topic filters; `topicFilter`: this one only. */
  topics(topicFilter: string | undefined, request: PageRequest): Promise<Page<RoutedFilter>> {
    const { router } = this.#gateway;
    return this.#walks.page(request, {
      entries: topicFilter === undefined ? router.filters() : [topicFilter],
      wants: (filter: string) => topicFilter === undefined || isRouted(router.targetsOf(filter)),
      view: (filter) => ({ topicFilter: filter, ...router.targetsOf(filter) }),
    });
  }

  /** A session without subscriptions is an undefined entry, so that many of them are no long look. */
  *#entries(clientId: string | undefined): IterableIterator<SubscriptionView | undefined> {
    const { registry } = this.#gateway;
    if (clientId !== undefined) {
      const session = registry.get(clientId);
      if (session !== undefined) yield* subscriptionViews(session);
      return;
    }
    for (const session of registry.all()) {
      if (session.subscriptionCount === 0) yield undefined;
      else yield* subscriptionViews(session);
    }
  }
}

/** The subscriptions of a session: ordinary, shared, to queues. */
export function* subscriptionViews(session: Session): IterableIterator<SubscriptionView> {
  const { clientId } = session;
  const isDurable = session.durable !== undefined;
  for (const [topicFilter, options] of session.liveSubscriptions) {
    yield { clientId, topicFilter, options, isDurable };
  }
  for (const [topicFilter, { options }] of session.sharedSubscriptions) {
    yield { clientId, topicFilter, options, isDurable };
  }
  for (const [topicFilter, { options, state }] of session.queueSubscriptions) {
    yield { clientId, topicFilter, options, isDurable, queueState: state };
  }
}

/** The filter by which messages come: without `$share/<name>/`, `$q/`, `$queue/<name>/`; undefined when it names only a queue. */
function innerFilter(topicFilter: string): string | undefined {
  if (isShare(topicFilter)) return topicFilter.split('/').slice(2).join('/');
  if (topicFilter.startsWith('$q/')) return topicFilter.slice(3);
  if (!isQueueSubscription(topicFilter)) return topicFilter;
  const inner = topicFilter.split('/').slice(2).join('/');
  return inner === '' ? undefined : inner;
}

function fits(
  { topicFilter, options }: SubscriptionView,
  filter: SubscriptionFilter,
  matches: ((topicFilter: string) => boolean) | undefined,
): boolean {
  if (filter.topicFilter !== undefined && topicFilter !== filter.topicFilter) return false;
  if (filter.qos !== undefined && options.qos !== filter.qos) return false;
  if (filter.shareName !== undefined && !topicFilter.startsWith(`$share/${filter.shareName}/`)) return false;
  return matches === undefined || matches(topicFilter);
}

function topicMatcher(text: string): (topicFilter: string) => boolean {
  const fault = topicFilterFault(text);
  if (fault !== undefined) throw badRequest(`match_topic: ${fault.message}`);
  const wanted = parseFilter(text);
  const isTopic = !hasWildcard(text);
  return (topicFilter) => {
    const inner = innerFilter(topicFilter);
    if (inner === undefined) return false;
    const own: Filter = parseFilter(inner);
    return contains(wanted, own) || (isTopic && contains(own, wanted));
  };
}

function isRouted({ subscribers, shareGroups, queues }: Omit<RoutedFilter, 'topicFilter'>): boolean {
  return subscribers + shareGroups + queues > 0;
}
