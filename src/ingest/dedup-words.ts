/**
 * An id as the index keeps it: its 128-bit hash as four 32-bit words, of which the first is stirred with a secret of
 * the process. The hash of an id can be computed by its sender, who could otherwise choose ids whose first words are
 * alike and make every table and file slow. Stirring can be undone, so different ids stay different; zero stays zero.
 *
 * Everywhere, ids are in the order of their words as signed integers, and a place (a slot, a filter's block, a page of
 * a file) is found from the first word as `rank / 2^32` of the way: ids that are sorted meet memory in its order.
 */

/** Four words. */
export const ID_BYTES = 16;
const TOP = 0x8000_0000 | 0;
const SCALE = 2 ** -32;

/** MurmurHash3's finaliser: every bit of the input changes about half of the bits of the result. */
export function stir(word: number): number {
  let h = word ^ (word >>> 16);
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return h ^ (h >>> 16);
}

/** What the first word of an id becomes. `stirredSecret` is `stir(secret)`: it lets zero stay zero. */
export const firstWord = (a: number, b: number, secret: number, stirredSecret: number): number =>
  a ^ stir(b ^ secret) ^ stirredSecret;

/** As the index keeps them, without those that are all zero: they stand for none. */
export function stirred(words: Uint32Array, secret: number): Int32Array {
  const stirredSecret = stir(secret);
  const ids = new Int32Array(words.length);
  let at = 0;
  for (let from = 0; from + 3 < words.length; from += 4) {
    const b = words[from + 1]!;
    const a = firstWord(words[from]!, b, secret, stirredSecret);
    ids[at] = a;
    ids[at + 1] = b;
    ids[at + 2] = words[from + 2]!;
    ids[at + 3] = words[from + 3]!;
    if ((ids[at]! | ids[at + 1]! | ids[at + 2]! | ids[at + 3]!) !== 0) at += 4;
  }
  return ids.subarray(0, at);
}

/** Place of an id among `places` (below 2^29), by its first word. Never falls while the word rises. */
export const placeOf = (a: number, places: number): number => (((a ^ TOP) >>> 0) * places * SCALE) | 0;

/** Negative, zero or positive, as the id at `i` of `x` comes before, equals or comes after the one at `j` of `y`. */
export function compareIds(x: Int32Array, i: number, y: Int32Array, j: number): number {
  for (let word = 0; word < 4; word += 1) {
    const left = x[i * 4 + word]!;
    const right = y[j * 4 + word]!;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

const SMALL = 64;

/** Sorts the ids [from, to) in place. */
export function sortIds(words: Int32Array, from: number, to: number): void {
  if (to - from > SMALL) {
    const copy = words.slice(from * 4, to * 4);
    const order = Array.from({ length: to - from }, (_, i) => i).sort((i, j) => compareIds(copy, i, copy, j));
    order.forEach((source, i) => {
      words.set(copy.subarray(source * 4, source * 4 + 4), (from + i) * 4);
    });
    return;
  }
  for (let i = from + 1; i < to; i += 1) {
    const at = i * 4;
    const [a, b, c, d] = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
    let j = i - 1;
    for (; j >= from && isAfter(words, j * 4, a, b, c, d); j -= 1)
      words.copyWithin(j * 4 + 4, j * 4, j * 4 + 4);
    const to4 = (j + 1) * 4;
    words[to4] = a;
    words[to4 + 1] = b;
    words[to4 + 2] = c;
    words[to4 + 3] = d;
  }
}

function isAfter(words: Int32Array, at: number, a: number, b: number, c: number, d: number): boolean {
  if (words[at] !== a) return words[at]! > a;
  if (words[at + 1] !== b) return words[at + 1]! > b;
  if (words[at + 2] !== c) return words[at + 2]! > c;
  return words[at + 3]! > d;
}

const PART_BITS = 11;

/**
 * The same ids, grouped by their first bits, the groups in order: many ids that go into a large table one group after
 * the other meet its memory a piece at a time, which makes it twice as fast.
 */
export function grouped(words: Int32Array): Int32Array {
  const shift = 32 - PART_BITS;
  const starts = new Uint32Array(2 ** PART_BITS + 1);
  for (let at = 0; at < words.length; at += 4) starts[((words[at]! ^ TOP) >>> shift) + 1]! += 1;
  for (let part = 1; part < starts.length; part += 1) starts[part]! += starts[part - 1]!;
  const out = new Int32Array(words.length);
  for (let at = 0; at < words.length; at += 4) {
    const part = (words[at]! ^ TOP) >>> shift;
    const to = starts[part]! * 4;
    starts[part]! += 1;
    out[to] = words[at]!;
    out[to + 1] = words[at + 1]!;
    out[to + 2] = words[at + 2]!;
    out[to + 3] = words[at + 3]!;
  }
  return out;
}

const DIGIT_BITS = 11;
const DIGIT = 2 ** DIGIT_BITS;

/** Indexes of the ids by rising first word; ids of equal first words stay as they come (radix sort, three passes). */
export function orderOf(words: Int32Array): Uint32Array {
  const count = words.length >>> 2;
  let order: Uint32Array<ArrayBuffer> = new Uint32Array(count);
  let next: Uint32Array<ArrayBuffer> = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) order[i] = i;
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    const starts = new Uint32Array(DIGIT);
    for (let i = 0; i < count; i += 1) starts[((words[i * 4]! ^ TOP) >>> shift) & (DIGIT - 1)]! += 1;
    let sum = 0;
    for (let digit = 0; digit < DIGIT; digit += 1) {
      const length = starts[digit]!;
      starts[digit] = sum;
      sum += length;
    }
    for (let i = 0; i < count; i += 1) {
      const one = order[i]!;
      const digit = ((words[one * 4]! ^ TOP) >>> shift) & (DIGIT - 1);
      next[starts[digit]!] = one;
      starts[digit]! += 1;
    }
    [order, next] = [next, order];
  }
  return order;
}
