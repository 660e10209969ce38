/**
 * Whether a server that may be away is asked.
 *
 *   closed ──failure──▶ open ──pause is over──▶ one asks ──success──▶ closed
 *                        ▲                        └──failure──┘ (a longer pause)
 */
import type { Clock } from '../base/clock.ts';

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 10_000;

export class Circuit {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #openUntilMs: number | undefined;
  #pauseMs = PAUSE_MS_MIN;
  #asking = false;
  failures = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** True: go and ask, then tell `succeeded` or `failed`. */
  admits(): boolean {
    if (this.#openUntilMs === undefined) return true;
    if (this.#asking || this.#clock.monotonicMs() < this.#openUntilMs) return false;
    this.#asking = true;
    return true;
  }

  /** True when it was open before. */
  succeeded(): boolean {
    const wasOpen = this.#openUntilMs !== undefined;
    // What was asked before the failure may still be answered; only who was sent to try closes it.
    if (wasOpen && !this.#asking) return false;
    this.#openUntilMs = undefined;
    this.#asking = false;
    this.#pauseMs = PAUSE_MS_MIN;
    return wasOpen;
  }

  /** True when it was closed before. */
  failed(): boolean {
    this.failures += 1;
    const wasClosed = this.#openUntilMs === undefined;
    if (!wasClosed && !this.#asking) return false;
    if (!wasClosed) this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX);
    this.#asking = false;
    this.#openUntilMs = this.#clock.monotonicMs() + this.#pauseMs;
    return wasClosed;
  }
}
