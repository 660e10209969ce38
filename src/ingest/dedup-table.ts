/**
 * A hash table of ids in typed arrays outside the JavaScript heap: open addressing, one id a slot of 16 bytes.
 *
 * An id's slot follows its rank, so the table is in order but for small shifts: it grows by one pass over old and new,
 * and is read out sorted without sorting. A large table is cut into shards by rank, whose sizes are spread evenly over
 * one step of growth: they grow one at a time, so that growing needs 1/256 of the table more for a moment, and what
 * a table needs for an id does not jump.
 *
 * Memory: between 16 / 0.75 = 21 and 32 bytes an id, 26.5 on average once it has some ten thousands; with the filter of
 * a table that is no longer written to, 28.5.
 */
import { FILTER_BITS_PER_ID, filterBytesFor, IdFilter } from './dedup-filter.ts';
import { ID_BYTES, placeOf, sortIds } from './dedup-words.ts';

const FULL = 0.75;
const FIRST_SLOTS = 256;
const SINGLE_SLOTS_MAX = 16_384;
const SHARD_BITS = 8;
const SHARDS = 2 ** SHARD_BITS;
const GROWTH = 1.5;
const TOP = 0x8000_0000 | 0;

/** Bytes an id on average, for estimates; with the filter of a table that is no longer written to. */
export const TABLE_BYTES_PER_ID = 26.5;
export const FILTERED_TABLE_BYTES_PER_ID = TABLE_BYTES_PER_ID + FILTER_BITS_PER_ID / 8;
/** What `ids` more ids may need at most, growth included. */
export const tableBytesFor = (ids: number): number => Math.ceil((ids * ID_BYTES * GROWTH) / FULL);

/** A table that is no longer written to is asked through a filter from this size on: a smaller one stays in the cache. */
const FILTERED_FROM = SINGLE_SLOTS_MAX;

export class IdTable {
  /** One shard, or one for each value of the first bits of the rank. */
  #shards: Int32Array[];
  #counts: Int32Array;
  #bits: number;
  #bytes: number;
  #count = 0;
  #filter: IdFilter | undefined;
  #filterIsWhole = false;

  /** `expected`: so many ids come without growing. */
  constructor(expected = 0) {
    const single = expected <= SINGLE_SLOTS_MAX * FULL;
    this.#bits = single ? 0 : SHARD_BITS;
    this.#shards = single
      ? [slots(Math.max(FIRST_SLOTS, Math.ceil(expected / FULL)))]
      : Array.from({ length: SHARDS }, (_, i) => {
          // Chance puts more into some shards: four times the standard deviation is room for all but a few.
          const ids = expected / SHARDS + 4 * Math.sqrt(expected / SHARDS);
          return slots(Math.ceil((ids / FULL) * GROWTH ** (i / SHARDS)));
        });
    this.#counts = new Int32Array(this.#shards.length);
    this.#bytes = this.#shards.reduce((sum, shard) => sum + shard.byteLength, 0);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes + (this.#filter?.bytes ?? 0);
  }

  /** Bytes that `filtered` would need; 0 when there is nothing to gain. */
  get filterBytesWanted(): number {
    return this.#filter || this.#count < FILTERED_FROM ? 0 : filterBytesFor(this.#count);
  }

  /**
   * Makes the filter, a shard at each step, so that others get their turn between the steps. What is added meanwhile
   * is in it; what is added later makes it let more through.
   */
  *filtered(): Generator<void> {
    const filter = new IdFilter(this.#count);
    this.#filter = filter;
    for (let shard = 0; shard < this.#shards.length; shard += 1) {
      eachId(this.#shards[shard]!, (a, b, c) => filter.add(a, b, c));
      yield;
    }
    this.#filterIsWhole = true;
  }

  /** The filter when it is whole and sized for what is here; it may be taken over when the table goes. */
  get filter(): IdFilter | undefined {
    return this.#filterIsWhole && this.#filter!.ids * 1.1 >= this.#count ? this.#filter : undefined;
  }

  has(a: number, b: number, c: number, d: number): boolean {
    const bits = this.#bits;
    const words = this.#shards[bits === 0 ? 0 : (a ^ TOP) >>> (32 - SHARD_BITS)]!;
    return find(words, bits, a, b, c, d) >= 0;
  }

  /** False when it was there already. */
  add(a: number, b: number, c: number, d: number): boolean {
    const bits = this.#bits;
    const shard = bits === 0 ? 0 : (a ^ TOP) >>> (32 - SHARD_BITS);
    const words = this.#shards[shard]!;
    const found = find(words, bits, a, b, c, d);
    if (found >= 0) return false;
    if ((this.#counts[shard]! + 1) * 4 > words.length * FULL) {
      this.#grow(shard);
      return this.add(a, b, c, d);
    }
    put(words, ~found, a, b, c, d);
    this.#counts[shard]! += 1;
    this.#count += 1;
    this.#filter?.add(a, b, c);
    return true;
  }

  /** Raises to `mark` the marks of those ids of `words` that are here. Ids of rising rank meet memory in its order. */
  markAll(words: Int32Array, marks: Float64Array, mark: number): void {
    const filter = this.#filterIsWhole ? this.#filter : undefined;
    for (let i = 0; i < marks.length; i += 1) {
      if (marks[i]! >= mark) continue;
      const at = i * 4;
      if (filter && !filter.mayHave(words[at]!, words[at + 1]!, words[at + 2]!)) continue;
      if (this.has(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!)) marks[i] = mark;
    }
  }

  /**
   * All ids in order, in chunks of about `chunkIds`; a chunk is good until the next is asked for. Nothing may be
   * added meanwhile.
   */
  *sorted(chunkIds: number): Generator<Int32Array> {
    let chunk = new Int32Array((chunkIds + 64) * 4);
    let count = 0;
    const take = (words: Int32Array, slot: number): void => {
      if ((count + 1) * 4 > chunk.length) {
        const larger = new Int32Array(chunk.length * 2);
        larger.set(chunk);
        chunk = larger;
      }
      for (let i = 0; i < 4; i += 1) chunk[count * 4 + i] = words[slot * 4 + i]!;
      count += 1;
    };
    for (const words of this.#shards) {
      const end = words.length / 4;
      let free = 0;
      while (isTaken(words, free)) free += 1;
      // Before the first free slot there may be ids that belong to the end and found no place there.
      const isOwn = (slot: number): boolean => home(words, this.#bits, words[slot * 4]!) <= slot;
      let cluster = count;
      for (let slot = 0; slot < free; slot += 1) if (isOwn(slot)) take(words, slot);
      sortIds(chunk, cluster, count);
      cluster = count;
      for (let slot = free + 1; slot <= end; slot += 1) {
        if (slot < end && isTaken(words, slot)) {
          take(words, slot);
          continue;
        }
        if (slot === end) for (let other = 0; other < free; other += 1) if (!isOwn(other)) take(words, other);
        if (count - cluster > 1) sortIds(chunk, cluster, count);
        if (count >= chunkIds) {
          yield chunk.subarray(0, count * 4);
          count = 0;
        }
        cluster = count;
      }
    }
    if (count > 0) yield chunk.subarray(0, count * 4);
  }

  #grow(shard: number): void {
    const old = this.#shards[shard]!;
    if (this.#bits === 0 && old.length / 4 >= SINGLE_SLOTS_MAX) {
      const larger = new IdTable(this.#count + 1);
      eachId(old, (a, b, c, d) => larger.add(a, b, c, d));
      this.#shards = larger.#shards;
      this.#counts = larger.#counts;
      this.#bits = larger.#bits;
      this.#bytes = larger.#bytes;
      return;
    }
    const bits = this.#bits;
    const words = slots(bits === 0 ? (old.length / 4) * 2 : Math.ceil((old.length / 4) * GROWTH));
    eachId(old, (a, b, c, d) => put(words, ~find(words, bits, a, b, c, d), a, b, c, d));
    this.#shards[shard] = words;
    this.#bytes += words.byteLength - old.byteLength;
  }
}

const slots = (count: number): Int32Array => new Int32Array(count * 4);

const home = (words: Int32Array, bits: number, a: number): number =>
  placeOf(((a ^ TOP) << bits) ^ TOP, words.length >>> 2);

const isTaken = (words: Int32Array, slot: number): boolean => {
  const at = slot * 4;
  return (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) !== 0;
};

function put(words: Int32Array, slot: number, a: number, b: number, c: number, d: number): void {
  const at = slot * 4;
  words[at] = a;
  words[at + 1] = b;
  words[at + 2] = c;
  words[at + 3] = d;
}

/** The id's slot, or `~slot` of the free one where it would go. */
function find(words: Int32Array, bits: number, a: number, b: number, c: number, d: number): number {
  const end = words.length;
  for (let at = home(words, bits, a) * 4; ; ) {
    const first = words[at]!;
    if (first === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return at >>> 2;
    if (first === 0 && (words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0) return ~(at >>> 2);
    at += 4;
    if (at === end) at = 0;
  }
}

function eachId(words: Int32Array, use: (a: number, b: number, c: number, d: number) => void): void {
  for (let at = 0; at < words.length; at += 4) {
    const [a, b, c, d] = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
    if ((a | b | c | d) !== 0) use(a, b, c, d);
  }
}
