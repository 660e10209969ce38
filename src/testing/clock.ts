/** The clock of a test: it stands until it is moved, and then goes from sleeper to sleeper. */
import { type Clock, systemClock } from '../base/clock.ts';
import type { Activity } from './activity.ts';

interface Sleeper {
  readonly atMs: number;
  /** It sleeps for so short a time that it must be one who looks whether there is something to do. */
  readonly looks: boolean;
  readonly wake: () => void;
}

/** Who sleeps longer waits for a moment, and is woken at it. */
const LOOKS_MS_MAX = 60_000;

export class TestClock implements Clock {
  /** For loops that nobody waits for: they sleep until somebody calls `wakeHousekeeping`. */
  readonly housekeeping: Clock;
  readonly #activity: Activity;
  #nowMs: number;
  #monotonicMs = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #housekeepers = new Set<Sleeper>();
  #isFree = false;

  constructor(startMs: number, activity: Activity) {
    this.#nowMs = startMs;
    this.#activity = activity;
    this.housekeeping = {
      now: () => this.#nowMs,
      monotonicMs: () => this.#monotonicMs,
      sleep: (ms, signal) => this.#sleepIn(this.#housekeepers, ms, signal),
      pause: (ms, signal) => this.pause(ms, signal),
    };
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleepIn(this.#sleepers, ms, signal);
  }

  /** A turn of the event loop, in which company may come. */
  pause(_ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return this.#activity.around(() => new Promise((resolve) => setImmediate(resolve)));
  }

  /**
   * When the next sleeper is to be woken, in ms from now; undefined when none is within `withinMs`. Those who only look
   * whether there is something to do are woken at multiples of `grainMs`, or with another.
   */
  nextWithin(withinMs: number, grainMs: number): number | undefined {
    let next = Infinity;
    for (const { atMs, looks } of this.#sleepers)
      next = Math.min(next, looks ? Math.ceil(atMs / grainMs) * grainMs : atMs);
    return next <= this.#monotonicMs + withinMs ? Math.max(0, next - this.#monotonicMs) : undefined;
  }

  /** Moves time and wakes who is due by then, in the order in which they are due. */
  move(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
    this.#wake(this.#sleepers);
  }

  wakeHousekeeping(): void {
    this.#wake(this.#housekeepers);
  }

  /** The wall clock is set, as people set clocks: no time passes, nobody wakes. */
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** From now on whoever begins to sleep sleeps in real time: for the end, when nobody moves the clock any more. */
  free(): void {
    this.#isFree = true;
  }

  hold(): void {
    this.#isFree = false;
    this.#sleepers.clear();
    this.#housekeepers.clear();
  }

  #wake(sleepers: Set<Sleeper>): void {
    const due = [...sleepers].filter(({ atMs }) => atMs <= this.#monotonicMs);
    for (const one of due.sort((a, b) => a.atMs - b.atMs)) {
      sleepers.delete(one);
      one.wake();
    }
  }

  #sleepIn(sleepers: Set<Sleeper>, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#isFree) return systemClock.sleep(ms, signal);
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const leave = (): void => {
        sleepers.delete(sleeper);
        resolve();
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const sleeper: Sleeper = { atMs: this.#monotonicMs + ms, looks: ms <= LOOKS_MS_MAX, wake };
      sleepers.add(sleeper);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }
}
