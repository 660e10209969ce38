import type { Clock } from '../base/clock.ts';

/** A wall clock drifts by so much between two looks without anybody having set it. */
const DRIFT_MS = 1_000;
/** A time to which the clock jumped is believed when it still stands so much later. */
const BELIEVED_AFTER_MS = 60_000;

/**
 * The time of day for what cannot be taken back. A clock that jumps ahead is not believed at once: a wrong time may be
 * corrected in a moment, but a watermark never goes back. One that is set back is believed.
 */
export class SteadyTime {
  readonly #clock: Clock;
  #anchor: { readonly wallMs: number; readonly monotonicMs: number };
  #jumpedAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#anchor = { wallMs: clock.now(), monotonicMs: clock.monotonicMs() };
  }

  now(): number {
    const [wallMs, monotonicMs] = [this.#clock.now(), this.#clock.monotonicMs()];
    const expectedMs = this.#anchor.wallMs + (monotonicMs - this.#anchor.monotonicMs);
    if (wallMs <= expectedMs + DRIFT_MS) {
      this.#anchor = { wallMs, monotonicMs };
      this.#jumpedAtMs = undefined;
      return wallMs;
    }
    this.#jumpedAtMs ??= monotonicMs;
    if (monotonicMs - this.#jumpedAtMs < BELIEVED_AFTER_MS) return expectedMs;
    this.#anchor = { wallMs, monotonicMs };
    this.#jumpedAtMs = undefined;
    return wallMs;
  }
}
