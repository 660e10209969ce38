/**
 * The ids of the last `horizonMs`, exactly, as 128-bit hashes outside the JavaScript heap, within a budget of memory.
 *
 * Ids lie in buckets of arrival time that are dropped whole. Bucket borders are multiples of the bucket's width,
 * so what is still remembered depends on the records alone, never on when the process ran: an id is found again
 * for at least the horizon and at most one bucket (an eighth of it) longer.
 *
 *   table ──over budget──▶ file with filter ──▶ merged file ──filters over budget──▶ file without filter
 *   29 bytes an id         2.06 bytes an id in memory, 16 on disk                  0.06 bytes an id in memory
 *
 * What left memory is only asked by `prepare`, for a whole batch at once; `has` answers from what it found. An answer
 * is never a guess: an id that passes a filter is looked up in its file, and when the file cannot be read the batch
 * fails and is tried again. A file that stays unreadable makes the index `broken`: the store has the ids still.
 */
import { invariant } from '../base/errors.ts';
import { batchBytesFor, PreparedIds } from './dedup-batch.ts';
import { DedupBuckets, type DedupPlace } from './dedup-buckets.ts';
import { TABLE_BYTES_PER_ID, tableBytesFor } from './dedup-table.ts';
import { firstWord, grouped, stir, stirred } from './dedup-words.ts';

export type { DedupPlace } from './dedup-buckets.ts';

const BUCKETS_PER_HORIZON = 8;
export const BUCKET_MS_MIN = 1_000;

/** Width of the buckets of a horizon. */
export const bucketMsOf = (horizonMs: number): number =>
  Math.max(BUCKET_MS_MIN, Math.ceil(horizonMs / BUCKETS_PER_HORIZON));

export interface DedupState {
  readonly ids: number;
  readonly idsOnDisk: number;
  readonly bytes: number;
  readonly bytesOnDisk: number;
  readonly idFiles: number;
  readonly filesWithoutFilter: number;
}

export class DedupIndex {
  readonly bucketMs: number;
  readonly #horizonMs: number;
  readonly #place: DedupPlace | undefined;
  readonly #buckets: DedupBuckets;
  readonly #secret: number;
  readonly #stirredSecret: number;
  #prepared: PreparedIds | undefined;

  /** Without a place the index stays in memory, however large it becomes. */
  constructor(horizonMs: number, place?: DedupPlace) {
    this.#horizonMs = horizonMs;
    this.bucketMs = bucketMsOf(horizonMs);
    this.#place = place;
    this.#buckets = new DedupBuckets(place);
    this.#secret = place?.memory.secret ?? 0;
    this.#stirredSecret = stir(this.#secret);
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#buckets.bytes;
  }

  get state(): DedupState {
    const buckets = [...this.#buckets.all];
    const idFiles = buckets.flatMap((bucket) => bucket.idFiles);
    return {
      ids: buckets.reduce((sum, bucket) => sum + bucket.ids, 0),
      idsOnDisk: idFiles.reduce((sum, idFile) => sum + idFile.count, 0),
      bytes: this.bytes,
      bytesOnDisk: idFiles.reduce((sum, idFile) => sum + idFile.bytesOnDisk, 0),
      idFiles: idFiles.length,
      filesWithoutFilter: idFiles.filter((idFile) => !idFile.filter).length,
    };
  }

  /** A file of the index cannot be read any more: it must be made anew from the store. */
  get broken(): boolean {
    return this.#buckets.broken;
  }

  /** Arrivals before this can no longer matter to a record that arrives at `atMs`. */
  remembersSince(atMs: number): number {
    return this.#oldestFor(atMs) * this.bucketMs;
  }

  /**
   * Makes room for the ids of a batch and looks up, exactly, which of them are remembered; `has` answers from that.
   * Called before the records of the batch are gone through. It may be repeated (for the same or another batch).
   *
   * @param words four 32-bit words of each id of the batch, one after the other; ids may come twice, zero ids are ignored
   * @param _fromMs not needed: every bucket that is held is asked
   * Rejects when a file cannot be read or there is room neither in memory nor on disk; nothing has changed then.
   */
  async prepare(words: Uint32Array, _fromMs?: number): Promise<void> {
    this.#prepared = undefined;
    if (this.broken)
      throw new Error('remembered ids are unreadable on disk; they are rebuilt from the store');
    await this.#place?.memory.reserve(this.#buckets, batchBytesFor(words.length / 4));
    await this.#buckets.catchUp();
    const prepared = new PreparedIds(words, this.#secret);
    await this.#buckets.mark(prepared);
    this.#prepared = prepared;
  }

  /**
   * Was this id seen within the horizon before `atMs`? The hash is four 32-bit words, not all zero. Once ids have
   * left memory it must be one of the prepared batch.
   */
  has(a: number, b: number, c: number, d: number, atMs: number): boolean {
    const first = firstWord(a, b, this.#secret, this.#stirredSecret);
    const oldest = this.#oldestFor(atMs);
    const prepared = this.#prepared;
    if (prepared) {
      const one = prepared.find(first, b | 0, c | 0, d | 0);
      if (one >= 0) return prepared.marks[one]! >= oldest;
    }
    return this.#hasInMemory(first, b | 0, c | 0, d | 0, oldest);
  }

  add(a: number, b: number, c: number, d: number, atMs: number): void {
    const first = firstWord(a, b, this.#secret, this.#stirredSecret);
    const bucket = Math.floor(atMs / this.bucketMs);
    this.#buckets.at(bucket).active.add(first, b | 0, c | 0, d | 0);
    const prepared = this.#prepared;
    if (!prepared) return;
    const one = prepared.find(first, b | 0, c | 0, d | 0);
    if (one >= 0 && prepared.marks[one]! < bucket) prepared.marks[one] = bucket;
  }

  /** Removes what an earlier process left behind. Called before the first id is loaded. */
  begin(): Promise<void> {
    return this.#buckets.clearDirectory();
  }

  /**
   * Adds ids that arrived in the bucket of `atMs` and keeps the budget. For rebuilding; some hundred thousands at once
   * are faster than few. Rejects like `prepare`.
   */
  async load(words: Uint32Array, atMs: number): Promise<void> {
    const count = words.length / 4;
    await this.#place?.memory.reserve(this.#buckets, tableBytesFor(count) + 2 * words.byteLength);
    await this.#buckets.catchUp();
    const table = this.#buckets.at(Math.floor(atMs / this.bucketMs)).active;
    const ids = grouped(stirred(words, this.#secret));
    for (let at = 0; at < ids.length; at += 4) table.add(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
  }

  /** So many ids of the bucket of `atMs` will be loaded: makes a table of the right size, when it fits. */
  expect(ids: number, atMs: number): void {
    const bytes = ids * TABLE_BYTES_PER_ID;
    if (this.#place && !this.#place.memory.tryReserve(this.#buckets, bytes)) return;
    this.#buckets.at(Math.floor(atMs / this.bucketMs)).begin(ids);
    this.#place?.memory.release(this.#buckets);
  }

  /** Drops the buckets that no record arriving at or after `atMs` can ask for. */
  forget(atMs: number): void {
    this.#buckets.forgetBefore(this.#oldestFor(atMs));
  }

  /**
   * Called after the records of a batch were gone through: `has` cannot be asked until the next `prepare`. Begins to
   * tidy up in the background; it never rejects, as nothing needs to be undone when the disk refuses.
   */
  async settle(): Promise<void> {
    this.#prepared = undefined;
    if (!this.#place) return;
    this.#place.memory.release(this.#buckets);
    this.#place.memory.tend();
    this.#buckets.tend();
  }

  /** Resolves when nothing is under way in the background. */
  async idle(): Promise<void> {
    await this.#place?.memory.idle();
    await this.#buckets.idle();
  }

  /** Gives memory and files back. */
  async close(): Promise<void> {
    this.#prepared = undefined;
    await this.#buckets.close();
  }

  #oldestFor(atMs: number): number {
    return Math.floor((atMs - this.#horizonMs) / this.bucketMs);
  }

  #hasInMemory(a: number, b: number, c: number, d: number, oldest: number): boolean {
    for (const bucket of this.#buckets.all) {
      if (bucket.number < oldest) continue;
      invariant(
        bucket.idFiles.length === 0,
        'an id is asked for that was not prepared, and some are on disk',
      );
      for (const table of bucket.tables) if (table.has(a, b, c, d)) return true;
    }
    return false;
  }
}
