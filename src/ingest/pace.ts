/** How long a stream gathers records before it cuts the next batch, from how it has been going. */
import { type Clock, pause } from '../base/clock.ts';
import { BATCH_BYTES_MAX } from './batch.ts';

export interface PaceFacts {
  /** Recent rate of arrival. */
  readonly eventsPerSecond: number;
  /** How long a batch takes from being read to being applied, when nobody else computes. */
  readonly batchMs: number;
  /** How long ago the last batch was cut. */
  readonly sinceLastCutMs: number;
  /** Its tenant sends more than his share while others send. */
  readonly isPressing: boolean;
}

/** What a batch costs however small it is. */
const FIXED_MS = 60;
/** How long a batch may take while other tenants wait: long enough for parts that are worth merging. */
const MOMENT_MS = 200;
const MOMENT_BYTES_MIN = 4 * 2 ** 20;

/**
 * Of so many batches the quickest one tells how long one takes when nobody else computes. If it were the last one, who shares the
 * machine with somebody who floods it would wait longer between two batches because each of them takes longer.
 */
const REMEMBERED = 16;

const ASLEEP_MS = 1_000;
/** Computing for a batch takes more than the half of this: more of them a second would make nobody see his events sooner on a busy machine. */
const CYCLE_MS_MIN = 100;
const CYCLE_MS_MAX = 500;
/** Half as many batches cost half as much however small each is, and that is what others of the same machine wait for. */
const CYCLE_MS_PRESSING = 400;

/**
 * How long to gather before the next batch is cut. A stream that wakes up is seen at once; a busy one makes large
 * parts; in between, where a batch costs some 60 ms of computing however small it is, half of the time is left to
 * others, and more by who sends more than his share.
 */
export function gatherMs({ eventsPerSecond, batchMs, sinceLastCutMs, isPressing }: PaceFacts): number {
  if (sinceLastCutMs > ASLEEP_MS) return 5;
  const least = isPressing ? CYCLE_MS_PRESSING : CYCLE_MS_MIN;
  const cycle =
    eventsPerSecond < 20_000
      ? Math.min(CYCLE_MS_MAX, Math.max(least, 2 * batchMs))
      : Math.max(least, eventsPerSecond < 60_000 ? 250 : 400);
  return Math.max(0, cycle - sinceLastCutMs);
}

/** Bytes that a stream applies in a moment, from how long its last batch of `bytes` took. */
export function bytesOfAMoment(lastBatchMs: number, bytes: number): number {
  const msPerByte = Math.max(1, lastBatchMs - FIXED_MS) / Math.max(1, bytes);
  const inAMoment = Math.floor((MOMENT_MS - FIXED_MS) / msPerByte);
  return Math.min(BATCH_BYTES_MAX, Math.max(MOMENT_BYTES_MIN, inAMoment));
}

export class Pace {
  readonly #clock: Clock;
  #eventsPerSecond = 0;
  /** Of the last batches, the newest last. */
  readonly #tookMs: number[] = [];
  #lastBatchBytes = 0;
  #lastCutAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastCutAtMs = clock.monotonicMs();
  }

  gather(stop: AbortSignal, isPressing = false): Promise<void> {
    const sinceLastCutMs = this.#clock.monotonicMs() - this.#lastCutAtMs;
    const wait = gatherMs({
      eventsPerSecond: this.#eventsPerSecond,
      batchMs: this.#tookMs.length === 0 ? 0 : Math.min(...this.#tookMs),
      sinceLastCutMs,
      isPressing,
    });
    return pause(this.#clock, wait, stop);
  }

  noteCut(records: number): void {
    const now = this.#clock.monotonicMs();
    const seconds = Math.max(0.001, (now - this.#lastCutAtMs) / 1_000);
    this.#lastCutAtMs = now;
    this.#eventsPerSecond = 0.5 * this.#eventsPerSecond + 0.5 * (records / seconds);
  }

  noteApplied(startedAtMs: number, bytes: number): void {
    this.#tookMs.push(this.#clock.monotonicMs() - startedAtMs);
    if (this.#tookMs.length > REMEMBERED) this.#tookMs.shift();
    this.#lastBatchBytes = bytes;
  }

  bytesOfAMoment(): number {
    return bytesOfAMoment(this.#tookMs.at(-1) ?? 0, this.#lastBatchBytes);
  }
}
