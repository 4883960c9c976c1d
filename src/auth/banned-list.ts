/**
 * The bans in force, in a file of the data directory. Main thread; time is an argument.
 *
 * Always true: at most `bansMax` bans that are in force; what has run out means nobody any more and is dropped with the next
 * change; a file without bans costs a connecting client one comparison. Gives up: ending who is connected; whoever adds a
 * ban asks for that.
 */
import {
  type Ban,
  BanIndex,
  type BanKind,
  bansMax,
  type BanSubject,
  Ban as BanRecord,
  isInForce,
} from './banned.js';
import { RecordFile } from './record-file.js';

/** See the file header. */
export class BannedList {
  readonly #file: RecordFile<typeof BanRecord>;
  readonly #index: BanIndex;

  /** Reads the file, which need not exist. Throws `OperationalError` ERR_ACCESS_FILE. */
  constructor(file: string) {
    this.#file = new RecordFile(file, BanRecord);
    this.#index = new BanIndex(this.#file.records);
  }

  /** Bans in force, the newest first. */
  list(nowMs: number): Ban[] {
    return this.#file.records.filter((ban) => isInForce(ban, nowMs)).toReversed();
  }

  /** The ban that means this client, or undefined. */
  find(subject: BanSubject, nowMs: number): Ban | undefined {
    return this.#index.size === 0 ? undefined : this.#index.find(subject, nowMs);
  }

  /** Adds a ban; `who` of addresses has been checked. */
  async add(ban: Ban, nowMs: number): Promise<'done' | 'exists' | 'too-many'> {
    return await this.#update<'exists' | 'too-many'>((records) => {
      const rest = records.filter((one) => isInForce(one, nowMs));
      if (rest.some(({ as, who }) => as === ban.as && who === ban.who)) return 'exists';
      return rest.length >= bansMax ? 'too-many' : [...rest, ban];
    });
  }

  /** Lifts a ban. */
  async remove(as: BanKind, who: string, nowMs: number): Promise<'done' | 'not-found'> {
    return await this.#update<'not-found'>((records) => {
      const rest = records.filter((ban) => isInForce(ban, nowMs));
      const next = rest.filter((ban) => ban.as !== as || ban.who !== who);
      return next.length === rest.length ? 'not-found' : next;
    });
  }

  /** Lifts all bans. */
  async clear(): Promise<void> {
    await this.#update(() => []);
  }

  #update<R extends string>(change: (records: readonly Ban[]) => readonly Ban[] | R): Promise<R | 'done'> {
    return this.#file.update(change, (records) => {
      this.#index.become(records);
    });
  }
}
