/**
 * Remembers which one-time tokens were used. Main thread.
 *
 * Always true: a token is remembered until it expires, and at most `tokensMax` are; when that many are alive, new
 * ones are refused rather than old ones forgotten, since what is forgotten could be used again. Gives up: the
 * memory of it over a restart.
 */
import { createHash } from 'node:crypto';

const tokensMax = 100_000;
/** Looking for expired ones costs a walk over all. */
const sweepIntervalMs = 1000;

/** See the file header. */
export class UsedTokens {
  /** Hash of the id, as ids have any length → Unix time in ms at which it expires. */
  readonly #endsAtMs = new Map<string, number>();
  #sweptAtMs = -Infinity;

  /** Notes a token as used; false: it was used before, or too many are alive. */
  add(id: string, endsAtMs: number, nowMs: number): boolean {
    const key = createHash('sha256').update(id).digest('base64');
    if (this.#endsAtMs.has(key)) return false;
    if (this.#endsAtMs.size >= tokensMax) this.#sweep(nowMs);
    if (this.#endsAtMs.size >= tokensMax) return false;
    this.#endsAtMs.set(key, endsAtMs);
    return true;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < sweepIntervalMs) return;
    this.#sweptAtMs = nowMs;
    for (const [key, endsAtMs] of this.#endsAtMs) if (endsAtMs < nowMs) this.#endsAtMs.delete(key);
  }
}
