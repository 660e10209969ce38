/**
 * The events of one bucket, one by one: for questions whose range ends within it, as every one does that is counted from now.
 * A row is an event; the events of a key are a chain, the newest read first.
 */
import { type Column, columnOf } from './columns.ts';
import type { HotShape } from './shape.ts';
import type { HotValue } from './values.ts';

const ROWS_MIN = 16;
/** A number in a map. */
const KEY_BYTES = 40;

export class BucketEvents {
  readonly columns: readonly Column[];
  /** All of them were read. */
  isWhole = false;
  readonly #startMs: number;
  /** Since the start of the bucket. */
  #times = new Int32Array(ROWS_MIN);
  #keys = new Int32Array(ROWS_MIN);
  /** Row + 1 of the key's event that was read before; 0: there is none. */
  #before = new Int32Array(ROWS_MIN);
  /** Row + 1 of the key's event that was read last. */
  readonly #last = new Map<number, number>();
  #count = 0;

  constructor(startMs: number, shape: HotShape) {
    this.#startMs = startMs;
    this.columns = shape.states.map((state) => columnOf(state, ROWS_MIN));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    let bytes = 3 * this.#times.byteLength + KEY_BYTES * this.#last.size;
    for (const column of this.columns) bytes += column.bytes;
    return bytes;
  }

  add(key: number, atMs: number, states: readonly HotValue[]): void {
    const row = this.#count;
    if (row === this.#times.length) this.#grow();
    this.#times[row] = atMs - this.#startMs;
    this.#keys[row] = key;
    this.#before[row] = this.#last.get(key) ?? 0;
    this.#last.set(key, row + 1);
    this.#count += 1;
    for (let i = 0; i < states.length; i += 1) this.columns[i]!.add(row, states[i]!);
  }

  /** Rows of the key's events in `[fromMs, toMs)`. */
  visitKey(key: number, fromMs: number, toMs: number, take: (row: number, key: number) => void): void {
    for (let next = this.#last.get(key) ?? 0; next > 0; next = this.#before[next - 1]!) {
      if (this.#isIn(next - 1, fromMs, toMs)) take(next - 1, key);
    }
  }

  /** Rows of all events in `[fromMs, toMs)`. */
  visitAll(fromMs: number, toMs: number, take: (row: number, key: number) => void): void {
    for (let row = 0; row < this.#count; row += 1) {
      if (this.#isIn(row, fromMs, toMs)) take(row, this.#keys[row]!);
    }
  }

  #isIn(row: number, fromMs: number, toMs: number): boolean {
    const atMs = this.#startMs + this.#times[row]!;
    return atMs >= fromMs && atMs < toMs;
  }

  #grow(): void {
    const rows = this.#times.length * 2;
    const grown = (values: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const next = new Int32Array(rows);
      next.set(values);
      return next;
    };
    this.#times = grown(this.#times);
    this.#keys = grown(this.#keys);
    this.#before = grown(this.#before);
    for (const column of this.columns) column.grow(rows);
  }
}
