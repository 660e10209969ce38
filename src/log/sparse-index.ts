/** Where blocks begin in a segment, about one entry a megabyte: enough to find any record by a short scan. */
import type { IndexEntry } from './codec.ts';

export const INDEX_EVERY_BYTES = 2 ** 20;

export class SparseIndex {
  readonly #entries: IndexEntry[] = [];

  get length(): number {
    return this.#entries.length;
  }

  get last(): IndexEntry | undefined {
    return this.#entries.at(-1);
  }

  at(which: number): IndexEntry | undefined {
    return this.#entries[which];
  }

  /** Is a block at `position` far enough from the last entry to deserve one? */
  wants(position: number): boolean {
    const last = this.last;
    return !last || position - last.position >= INDEX_EVERY_BYTES;
  }

  add(entry: IndexEntry): void {
    this.#entries.push(entry);
  }

  /** The last entry at or before `offset`. */
  atOffset(offset: number): IndexEntry | undefined {
    return this.#entries[this.#countWhile((entry) => entry.offset <= offset) - 1];
  }

  /** The last entry that arrived before `atMs`. */
  beforeTime(atMs: number): IndexEntry | undefined {
    return this.#entries[this.#countWhile((entry) => entry.receivedAtMs < atMs) - 1];
  }

  /** The entry after the last one at or before `offset`. */
  afterOffset(offset: number): IndexEntry | undefined {
    return this.#entries[this.#countWhile((entry) => entry.offset <= offset)];
  }

  #countWhile(holds: (entry: IndexEntry) => boolean): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(this.#entries[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
