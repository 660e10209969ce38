/** Events per second from successive readings of a counter. */
import { type Count, subtractCounts } from './count.ts';

interface Reading {
  readonly atMs: number;
  readonly count: Count;
}

/** Readings this far back still count: long enough to be calm, short enough to follow a burst. */
const WINDOW_MS = 5_000;
/** After a silence this long (server gone, tab asleep) the old readings say nothing about now. */
const SILENCE_MS = 10_000;

export class RateMeter {
  #readings: Reading[] = [];

  /** Takes a reading; `atMs` from a clock that never goes back. */
  read(count: Count, atMs: number): void {
    const newest = this.#readings.at(-1);
    const restarted = newest !== undefined && (count < newest.count || atMs - newest.atMs > SILENCE_MS);
    if (restarted) this.#readings = [];
    this.#readings.push({ atMs, count });
    while (this.#readings.length > 2 && atMs - this.#readings[0]!.atMs > WINDOW_MS) this.#readings.shift();
  }

  /** Events per second, or null before the second reading. */
  get perSecond(): number | null {
    const oldest = this.#readings[0];
    const newest = this.#readings.at(-1);
    if (oldest === undefined || newest === undefined || newest.atMs <= oldest.atMs) return null;
    return Number(subtractCounts(newest.count, oldest.count)) / ((newest.atMs - oldest.atMs) / 1_000);
  }
}
