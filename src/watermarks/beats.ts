/**
 * Heartbeats that wait for what was in the log before them: a producer that sends events and then says that it has sent all
 * of them must not be believed before they are stored.
 */
import type { Offset } from '../base/brand.ts';

export interface Beat {
  /** Undefined: of the whole stream. */
  readonly source: string | undefined;
  readonly atMs: number;
  /** The ends of the log's partitions when it came. */
  readonly ends: readonly Offset[];
}

/** As it is kept over a restart, under `[stream]` or `[stream, source]`. */
export type KeptBeat = Omit<Beat, 'source'>;

export class Beats {
  /** By source: the one that waits longest, and the newest; those between are never needed. */
  readonly #waiting = new Map<string | undefined, { first: Beat; last: Beat }>();
  /** The greatest that was told of each, written down or not; bounded by who may tell. */
  readonly #greatest = new Map<string | undefined, number>();

  /** The writing of each source's newest beat: they are written in the order in which they came. */
  readonly #writing = new Map<string | undefined, Promise<void>>();

  /**
   * Counts when it is written, behind those of the source that came before. What is written is the greatest of all that came,
   * so that none takes the place of a greater one.
   */
  async keep({ source, atMs, ends }: Beat, write: (beat: Beat) => Promise<void>): Promise<void> {
    const greatest = Math.max(this.#greatest.get(source) ?? Number.NEGATIVE_INFINITY, atMs);
    this.#greatest.set(source, greatest);
    const beat = { source, atMs: greatest, ends };
    const before = this.#writing.get(source);
    const writing = (before ?? Promise.resolve()).then(() => write(beat)).then(() => this.add(beat));
    const settled = writing.catch(() => undefined);
    this.#writing.set(source, settled);
    try {
      await writing;
    } finally {
      if (this.#writing.get(source) === settled) this.#writing.delete(source);
    }
  }

  add(beat: Beat): void {
    const greatest = this.#greatest.get(beat.source) ?? Number.NEGATIVE_INFINITY;
    this.#greatest.set(beat.source, Math.max(greatest, beat.atMs));
    const waiting = this.#waiting.get(beat.source);
    if (waiting) waiting.last = beat;
    else this.#waiting.set(beat.source, { first: beat, last: beat });
  }

  /** Those that count now; each is given once. */
  due(applied: readonly Offset[]): readonly Beat[] {
    const due: Beat[] = [];
    const isDue = ({ ends }: Beat) => ends.every((end, partition) => (applied[partition] ?? 0) >= end);
    for (const [source, { first, last }] of this.#waiting) {
      if (!isDue(first)) continue;
      if (isDue(last)) {
        due.push(last);
        this.#waiting.delete(source);
      } else {
        due.push(first);
        this.#waiting.set(source, { first: last, last });
      }
    }
    return due;
  }

  get size(): number {
    return this.#greatest.size;
  }

  has(source: string | undefined): boolean {
    return this.#greatest.has(source);
  }
}
