/**
 * The ids of the last `horizonMs`, as 128-bit hashes in typed arrays outside the JavaScript heap.
 *
 * Ids lie in buckets of arrival time that are dropped whole. Bucket borders are multiples of the bucket's width,
 * so what is still remembered depends on the records alone, never on when the process ran: an id is found again
 * for at least the horizon and at most one bucket (an eighth of it) longer.
 *
 * Memory: 16 bytes a slot, at most 60 % full: about 27 to 54 bytes an id while a table grows by doubling.
 */

import type { FileSystem } from '../base/files.ts';
import type { DedupMemory } from './dedup-memory.ts';

const BUCKETS_PER_HORIZON = 8;
const BUCKET_MS_MIN = 1_000;
const FIRST_SLOTS = 1_024;
const FULL = 0.6;

class HashTable {
  #words = new Uint32Array(FIRST_SLOTS * 4);
  #slots = FIRST_SLOTS;
  #count = 0;

  get bytes(): number {
    return this.#words.byteLength;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const words = this.#words;
    for (let slot = a & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      const at = slot * 4;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return true;
      if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === 0) return false;
    }
  }

  add(a: number, b: number, c: number, d: number): void {
    if (this.has(a, b, c, d)) return;
    if (this.#count + 1 > this.#slots * FULL) this.#grow();
    this.#place(a, b, c, d);
    this.#count += 1;
  }

  #place(a: number, b: number, c: number, d: number): void {
    const words = this.#words;
    let slot = a & (this.#slots - 1);
    while (
      words[slot * 4] !== 0 ||
      words[slot * 4 + 1] !== 0 ||
      words[slot * 4 + 2] !== 0 ||
      words[slot * 4 + 3] !== 0
    ) {
      slot = (slot + 1) & (this.#slots - 1);
    }
    words[slot * 4] = a;
    words[slot * 4 + 1] = b;
    words[slot * 4 + 2] = c;
    words[slot * 4 + 3] = d;
  }

  #grow(): void {
    const old = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * 4);
    for (let at = 0; at < old.length; at += 4) {
      const [a, b, c, d] = [old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!];
      if (a !== 0 || b !== 0 || c !== 0 || d !== 0) this.#place(a, b, c, d);
    }
  }
}

/** Where ids go that do not fit into memory. */
export interface DedupPlace {
  readonly memory: DedupMemory;
  readonly files: FileSystem;
  /** Absolute path of a directory of the index's own; it is emptied at the start and removed at the end. */
  readonly directory: string;
}

export class DedupIndex {
  readonly #horizonMs: number;
  readonly #bucketMs: number;
  readonly #buckets = new Map<number, HashTable>();
  #lastBucket = Number.NEGATIVE_INFINITY;
  #lastTable: HashTable | undefined;

  /** Without a place the index stays in memory, however large it becomes. */
  constructor(horizonMs: number, _place?: DedupPlace) {
    this.#horizonMs = horizonMs;
    this.#bucketMs = Math.max(BUCKET_MS_MIN, Math.ceil(horizonMs / BUCKETS_PER_HORIZON));
  }

  get bytes(): number {
    let bytes = 0;
    for (const table of this.#buckets.values()) bytes += table.bytes;
    return bytes;
  }

  /** Arrivals before this can no longer matter to a record that arrives at `atMs`. */
  remembersSince(atMs: number): number {
    return Math.floor((atMs - this.#horizonMs) / this.#bucketMs) * this.#bucketMs;
  }

  /** A file of the index cannot be read any more: it must be made anew from the store. */
  get broken(): boolean {
    return false;
  }

  /**
   * Makes room for the ids of a batch and looks up, exactly, which of them are remembered; `has` answers from that.
   * Called before the records of the batch are gone through. It may be repeated (for the same or another batch).
   *
   * @param words four 32-bit words of each id of the batch, one after the other; ids may come twice, zero ids are ignored
   * @param fromMs the earliest arrival in the batch: `has` must not be asked for an earlier one
   * Rejects when a file cannot be read or there is room neither in memory nor on disk; nothing has changed then.
   */
  async prepare(_words: Uint32Array, _fromMs: number): Promise<void> {}

  /** Called after the records of a batch were gone through: `has` cannot be asked until the next `prepare`. */
  async settle(): Promise<void> {}

  /** Gives memory and files back. */
  async close(): Promise<void> {
    this.#buckets.clear();
    this.#lastTable = undefined;
  }

  /** Was this id seen within the horizon before `atMs`? The hash is four 32-bit words, not all zero. */
  has(a: number, b: number, c: number, d: number, atMs: number): boolean {
    const oldest = Math.floor((atMs - this.#horizonMs) / this.#bucketMs);
    for (const [bucket, table] of this.#buckets) {
      if (bucket >= oldest && table.has(a, b, c, d)) return true;
    }
    return false;
  }

  add(a: number, b: number, c: number, d: number, atMs: number): void {
    const bucket = Math.floor(atMs / this.#bucketMs);
    if (bucket !== this.#lastBucket || this.#lastTable === undefined) {
      let table = this.#buckets.get(bucket);
      if (!table) {
        table = new HashTable();
        this.#buckets.set(bucket, table);
      }
      this.#lastBucket = bucket;
      this.#lastTable = table;
    }
    this.#lastTable.add(a, b, c, d);
  }

  /** Drops the buckets that no record arriving at or after `atMs` can ask for. */
  forget(atMs: number): void {
    const oldest = Math.floor((atMs - this.#horizonMs) / this.#bucketMs);
    for (const bucket of this.#buckets.keys()) {
      if (bucket < oldest) this.#buckets.delete(bucket);
    }
  }
}
