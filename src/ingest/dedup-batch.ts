/** The ids of one batch and in which bucket each is remembered, so that asking for one touches only the batch's memory. */
import type { Marks } from './dedup-lookup.ts';
import { tableBytesFor } from './dedup-table.ts';
import { orderOf, stirred } from './dedup-words.ts';

/** Words twice and their order while they are sorted; later words, marks, slots and candidates. */
const BYTES_PER_ID = 16 + 16 + 8 + 8;

/** What a batch of so many ids may need, with the ids that it adds. */
export const batchBytesFor = (ids: number): number => ids * BYTES_PER_ID + tableBytesFor(ids);

function inOrder(words: Int32Array): Int32Array {
  const order = orderOf(words);
  const sorted = new Int32Array(words.length);
  for (let i = 0; i < order.length; i += 1) {
    const from = order[i]! * 4;
    const to = i * 4;
    sorted[to] = words[from]!;
    sorted[to + 1] = words[from + 1]!;
    sorted[to + 2] = words[from + 2]!;
    sorted[to + 3] = words[from + 3]!;
  }
  return sorted;
}

export class PreparedIds implements Marks {
  readonly words: Int32Array;
  /** The greatest bucket in which the id is; -Infinity while in none. */
  readonly marks: Float64Array;
  /** Index of an id plus one, by the last bits of its first word; 0 is free. */
  readonly #slots: Int32Array;
  #last = 0;

  constructor(words: Uint32Array, secret: number) {
    this.words = inOrder(stirred(words, secret));
    const count = this.words.length / 4;
    this.marks = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
    let slots = 8;
    while (slots < count * 2) slots *= 2;
    this.#slots = new Int32Array(slots);
    for (let i = 0; i < count; i += 1) this.#place(i);
  }

  /** Index of the id (of the first of equal ones), or -1 when it is not of this batch. */
  find(a: number, b: number, c: number, d: number): number {
    if (this.#last < this.marks.length && this.#is(this.#last, a, b, c, d)) return this.#last;
    const mask = this.#slots.length - 1;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const one = this.#slots[slot]! - 1;
      if (one < 0) return -1;
      if (this.#is(one, a, b, c, d)) {
        this.#last = one;
        return one;
      }
    }
  }

  #is(one: number, a: number, b: number, c: number, d: number): boolean {
    const { words } = this;
    const at = one * 4;
    return words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d;
  }

  #place(one: number): void {
    const { words } = this;
    const at = one * 4;
    const mask = this.#slots.length - 1;
    for (let slot = words[at]! & mask; ; slot = (slot + 1) & mask) {
      const other = this.#slots[slot]! - 1;
      if (other < 0) {
        this.#slots[slot] = one + 1;
        return;
      }
      if (this.#is(other, words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!)) return;
    }
  }
}
