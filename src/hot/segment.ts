/** One bucket of a rollup: a row for each key that occurs in it. */
import type { BucketEvents } from './bucket-events.ts';
import { type Column, columnOf } from './columns.ts';
import type { HotShape } from './shape.ts';
import type { HotValue } from './values.ts';

const ROWS_MIN = 4;
/** The objects themselves. */
const OVERHEAD_BYTES = 400;
const COLUMN_OVERHEAD_BYTES = 200;

export class Segment {
  /** Start of the bucket, epoch seconds. */
  readonly bucket: number;
  readonly columns: readonly Column[];
  /** Undefined when nobody asked for them, and from when another event came into the bucket. */
  events: BucketEvents | undefined;
  #keys = new Int32Array(ROWS_MIN);
  /** Row + 1 by key, linear probing. At most half full. */
  #slots = new Int32Array(ROWS_MIN * 2);
  #count = 0;

  constructor(bucket: number, shape: HotShape) {
    this.bucket = bucket;
    this.columns = shape.states.map((state) => columnOf(state, ROWS_MIN));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    let bytes = (this.events?.bytes ?? 0) + OVERHEAD_BYTES + this.#keys.byteLength + this.#slots.byteLength;
    for (const column of this.columns) bytes += COLUMN_OVERHEAD_BYTES + column.bytes;
    return bytes;
  }

  keyAt(row: number): number {
    return this.#keys[row]!;
  }

  /** The key's row, or -1. */
  rowOf(key: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = homeOf(key) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === 0) return -1;
      if (this.#keys[entry - 1] === key) return entry - 1;
    }
  }

  /** True when the key has got a row only now. */
  add(key: number, states: readonly HotValue[]): boolean {
    this.events = undefined;
    const known = this.rowOf(key);
    const row = known < 0 ? this.#addRow(key) : known;
    for (let i = 0; i < states.length; i += 1) this.columns[i]!.add(row, states[i]!);
    return known < 0;
  }

  #addRow(key: number): number {
    const row = this.#count;
    if (row === this.#keys.length) this.#grow();
    this.#keys[row] = key;
    this.#count += 1;
    this.#enter(row);
    return row;
  }

  #enter(row: number): void {
    const mask = this.#slots.length - 1;
    let slot = homeOf(this.#keys[row]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = row + 1;
  }

  #grow(): void {
    const rows = this.#keys.length * 2;
    const keys = new Int32Array(rows);
    keys.set(this.#keys);
    this.#keys = keys;
    this.#slots = new Int32Array(rows * 2);
    for (let row = 0; row < this.#count; row += 1) this.#enter(row);
    for (const column of this.columns) column.grow(rows);
  }
}

const homeOf = (key: number): number => {
  const mixed = Math.imul(key, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
};
