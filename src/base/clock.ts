/** Time is handed in, so that a test or a simulation can own it. Nothing else reads the system clock. */
export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. May jump; never use it to measure a duration. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary start, for durations. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** As `sleep`, for a wait that only spares work (see `pause`); a clock of tests lets it pass at once. */
  pause?(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A wait for company: nothing but the cost of the work depends on how long it is. */
export const pause = (clock: Clock, ms: number, signal?: AbortSignal): Promise<void> =>
  clock.pause ? clock.pause(ms, signal) : clock.sleep(ms, signal);

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
};

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #now: number;
  #sleepers: { at: number; wake: () => void }[] = [];

  constructor(startMs = Date.UTC(2024, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const sleeper = { at: this.#now + ms, wake: () => done() };
      const done = () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  /** Moves time forward and wakes everybody whose time has come, in order. */
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#sleepers.filter((one) => one.at <= this.#now).sort((a, b) => a.at - b.at);
    this.#sleepers = this.#sleepers.filter((one) => one.at > this.#now);
    for (const one of due) one.wake();
  }
}
