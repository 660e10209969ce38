/**
 * So many of something for free, then one every some seconds: wrong keys of an address, refusals of a key in the audit log.
 * Kept as one number for each of whom it is, the time at which its bucket is full again (the generic cell rate algorithm).
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';

export interface AllowanceLimits {
  /** At once. */
  readonly burst: number;
  /** One more after each of these. */
  readonly everyMs: number;
  /** So many are remembered, those that took something last. */
  readonly sourcesMax: number;
}

export class Allowance {
  readonly #fullAgainAt: LRUCache<string, number>;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #limits: AllowanceLimits;

  constructor(clock: Pick<Clock, 'monotonicMs'>, limits: AllowanceLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#fullAgainAt = new LRUCache({ max: limits.sourcesMax });
  }

  /** How long until there is one more; 0: there is. */
  waitMs(source: string): number {
    const fullAgainAt = this.#fullAgainAt.get(source);
    if (fullAgainAt === undefined) return 0;
    const { burst, everyMs } = this.#limits;
    return Math.max(0, fullAgainAt - this.#clock.monotonicMs() - (burst - 1) * everyMs);
  }

  /** Takes one, if there is one: who has to wait already is not made to wait longer. */
  take(source: string): boolean {
    if (this.waitMs(source) > 0) return false;
    const now = this.#clock.monotonicMs();
    this.#fullAgainAt.set(source, Math.max(now, this.#fullAgainAt.get(source) ?? now) + this.#limits.everyMs);
    return true;
  }
}
