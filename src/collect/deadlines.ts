import type { Clock } from '../base/clock.ts';

/** Longest sleep of the watcher, so that a process which has nothing left to do is not kept alive by it. */
const TICK_MS_MAX = 500;

/**
 * One time limit for many waits. All of them last equally long, so they expire in the order in which they
 * began: one watcher serves all, and the common case (done in time) costs two operations on a Set.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #waiting = new Set<{ readonly atMs: number; readonly expire: () => void }>();
  #watching = false;

  constructor(clock: Clock, afterMs: number) {
    this.#clock = clock;
    this.#afterMs = afterMs;
  }

  /** Calls `expire` when the time is over, unless the returned function was called before. */
  start(expire: () => void): () => void {
    const one = { atMs: this.#clock.monotonicMs() + this.#afterMs, expire };
    this.#waiting.add(one);
    if (!this.#watching) void this.#watch();
    return () => {
      this.#waiting.delete(one);
    };
  }

  async #watch(): Promise<void> {
    this.#watching = true;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const waitMs = next.atMs - this.#clock.monotonicMs();
      if (waitMs <= 0) {
        this.#waiting.delete(next);
        next.expire();
      } else {
        await this.#clock.sleep(Math.min(waitMs, TICK_MS_MAX));
      }
    }
    this.#watching = false;
  }
}
