/**
 * Bans as operators meet them: the list, and ending those who are connected. Main thread.
 *
 * Always true: everybody whom a ban means is looked at once, a bounded number of sessions per turn, so that other clients are
 * served meanwhile; who comes while the walk is under way is refused by the list. Gives up: telling the client more than
 * "administrative action", as MQTT has "banned" for CONNACK only.
 */
import { type Ban, BanIndex, isInForce } from '../auth/banned.js';
import type { BannedList } from '../auth/banned-list.js';
import { hostOf } from '../auth/failure-limiter.js';
import { reasonCode } from '../mqtt/reason-code.js';
import type { Session } from '../session/session.js';

/** So many sessions are looked at before others have a turn. */
const sessionsPerTurn = 512;

/** See the file header. */
export class BannedAdmin {
  readonly list: BannedList;
  readonly #sessions: () => Iterable<Session>;

  /** `sessions` gives all sessions, connected or not. */
  constructor(list: BannedList, sessions: () => Iterable<Session>) {
    this.list = list;
    this.#sessions = sessions;
  }

  /** Disconnects everybody whom this ban means; gives how many. */
  async kick(ban: Ban): Promise<number> {
    const index = new BanIndex([ban]);
    // A ban that is in force now is so for the whole walk.
    const nowMs = ban.untilMs === null ? 0 : ban.untilMs - 1;
    if (!isInForce(ban, nowMs)) return 0;
    let kicked = 0;
    let left = sessionsPerTurn;
    for (const session of this.#sessions()) {
      if (--left === 0) {
        left = sessionsPerTurn;
        await new Promise(setImmediate);
      }
      const { client, clientId } = session;
      const identity = client?.identity;
      if (client === undefined || identity === undefined) continue;
      const subject = { clientId, username: identity.username, host: hostOf(identity.peername) };
      if (index.find(subject, nowMs) === undefined) continue;
      client.close(reasonCode.administrativeAction);
      kicked += 1;
    }
    return kicked;
  }
}
