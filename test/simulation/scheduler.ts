/**
 * The only thing that moves in a simulation. Every step of the outside world (a file operation, a store operation, a
 * sleep, the next request of a producer) parks here, and the seed says which of those that are parked goes on next.
 * Between two steps everything that can run has run: what is then left of a process is only what it waits for, so a
 * crash is to let go of what it has parked.
 *
 *   park ─▶ parked ──picked──▶ goes on
 *              └──its life ended──▶ waits for ever
 */
import type { Clock } from '../../src/base/clock.ts';
import { seeded } from '../support/seeded.ts';

/** A process, from its start to its crash. The world outside has a life of its own, which does not end. */
export interface Life {
  readonly name: string;
  alive: boolean;
  /** Stopped by a signal, or by a long wait of its machine: it goes on when it is told to. */
  paused?: boolean;
}

interface Parked {
  readonly life: Life;
  readonly what: string;
  readonly go: () => void;
}

interface Sleeper extends Parked {
  readonly dueMs: number;
}

const FOREVER = new Promise<never>(() => {});

export class Scheduler {
  readonly random: () => number;
  readonly outside: Life = { name: 'world', alive: true };
  steps = 0;
  #hash = 0x811c9dc5;
  #trace: ((line: string) => void) | undefined;
  #parked: Parked[] = [];
  #sleepers: Sleeper[] = [];
  #immediates: (() => void)[] = [];
  #monotonicMs = 0;
  /** Wall clock minus monotonic clock: it jumps. */
  #wallMs: number;

  constructor(seed: number, startMs: number, trace?: (line: string) => void) {
    this.random = seeded(seed);
    this.#wallMs = startMs;
    this.#trace = trace;
  }

  /** What happened, in one number: the same seed gives the same one. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  get nowMs(): number {
    return Math.floor(this.#wallMs + this.#monotonicMs);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }

  /** A whole number in [0, below). */
  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  note(what: string): void {
    let hash = this.#hash;
    for (let i = 0; i < what.length; i += 1) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193);
    this.#hash = hash;
    this.#trace?.(`${String(this.steps).padStart(5)} ${this.#monotonicMs} ms  ${what}`);
  }

  /** Goes on when the seed says so; never when the life ends before. */
  park(life: Life, what: string): Promise<void> {
    if (!life.alive) return FOREVER;
    return new Promise((go) => this.#parked.push({ life, what, go }));
  }

  /** Time as a process sees it. */
  clockOf(life: Life): Clock {
    return {
      now: () => this.nowMs,
      monotonicMs: () => this.#monotonicMs,
      sleep: (ms, signal) => this.sleep(life, ms, signal),
    };
  }

  sleep(life: Life, ms: number, signal?: AbortSignal): Promise<void> {
    if (!life.alive) return FOREVER;
    if (signal?.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        resolve();
      };
      const go = () => {
        signal?.removeEventListener('abort', wake);
        wake();
      };
      const sleeper: Sleeper = { life, what: `${life.name} wakes up`, dueMs: this.#monotonicMs + ms, go };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  jumpWallClock(ms: number): void {
    this.note(`the wall clock jumps by ${ms} ms`);
    this.#wallMs += ms;
  }

  /** Whoever lived this life does nothing more, for ever. */
  end(life: Life): void {
    life.alive = false;
    this.#parked = this.#parked.filter((one) => one.life.alive);
    this.#sleepers = this.#sleepers.filter((one) => one.life.alive);
  }

  /** Lets one parked step go on; when there is none, time passes until somebody wakes up. False: nothing can happen. */
  step(): boolean {
    const ready = this.#parked.filter((one) => !one.life.paused);
    for (const one of this.#sleepers) if (one.dueMs <= this.#monotonicMs && !one.life.paused) ready.push(one);
    const one = ready[this.below(ready.length)];
    if (!one) return this.#passTime();
    this.steps += 1;
    const place = this.#parked.indexOf(one);
    if (place >= 0) this.#parked.splice(place, 1);
    this.note(one.what);
    one.go();
    return true;
  }

  /** Time passes although there is something to do: a step may take long. */
  dawdle(ms: number): void {
    this.#monotonicMs += ms;
  }

  #passTime(): boolean {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs, life } of this.#sleepers) if (!life.paused) next = Math.min(next, dueMs);
    if (next === Number.POSITIVE_INFINITY) return false;
    this.#monotonicMs = Math.max(this.#monotonicMs, next);
    return true;
  }

  /** Resolves when everything that can run without a step has run. */
  async settle(): Promise<void> {
    for (;;) {
      // Ticks run after all microtasks that are there, and those that these make, have run.
      await new Promise<void>((resolve) => process.nextTick(resolve));
      const next = this.#immediates.shift();
      if (!next) return;
      next();
    }
  }

  /**
   * Runs `work` with `setImmediate` as a part of the simulation. Nothing of the world outside runs meanwhile, because
   * the simulation never waits for anything real.
   */
  async own<T>(work: () => Promise<T>): Promise<T> {
    const real = globalThis.setImmediate;
    globalThis.setImmediate = ((run: () => void) => {
      this.#immediates.push(run);
    }) as unknown as typeof setImmediate;
    try {
      return await work();
    } finally {
      globalThis.setImmediate = real;
    }
  }
}
