/** A state of the rows of one bucket: a typed array where numbers are narrow, a map beside it for the few that are not. */
import type { HotState } from './shape.ts';
import { addWhole, compareText, type HotValue, type Whole } from './values.ts';

export interface Column {
  /** Bytes that it holds, about. */
  readonly bytes: number;
  grow(rows: number): void;
  /** Merges a value into the row's state. */
  add(row: number, value: HotValue): void;
  /** The row's state merged with what was found before. */
  merge(row: number, before: HotValue): HotValue;
}

export function columnOf(state: HotState, rows: number): Column {
  if (state.value === 'text') return new TextColumn(state.merge === 'min' ? 1 : -1, rows);
  if (state.merge !== 'sum') return new EdgeColumn(state.merge === 'min' ? 1 : -1, rows);
  return state.value === 'float' ? new FloatSumColumn(rows) : new SumColumn(rows);
}

/** What a state is before anything was merged into it. */
export const emptyOf = (state: HotState): HotValue => (state.merge === 'sum' ? 0 : null);

const BIGINT_BYTES = 96;

function grown(values: Float64Array<ArrayBuffer>, rows: number, fill: number): Float64Array<ArrayBuffer> {
  const next = new Float64Array(rows);
  next.set(values);
  if (fill !== 0) next.fill(fill, values.length);
  return next;
}

/** NaN: the number is in `#wide`. */
class SumColumn implements Column {
  #values: Float64Array<ArrayBuffer>;
  #wide: Map<number, bigint> | undefined;

  constructor(rows: number) {
    this.#values = new Float64Array(rows);
  }

  get bytes(): number {
    return this.#values.byteLength + (this.#wide?.size ?? 0) * BIGINT_BYTES;
  }

  grow(rows: number): void {
    this.#values = grown(this.#values, rows, 0);
  }

  add(row: number, value: HotValue): void {
    const sum = addWhole(this.#at(row), value as Whole);
    if (typeof sum === 'number') {
      this.#values[row] = sum;
      this.#wide?.delete(row);
    } else {
      this.#values[row] = Number.NaN;
      this.#wide ??= new Map();
      this.#wide.set(row, sum);
    }
  }

  merge(row: number, before: HotValue): HotValue {
    return addWhole(before as Whole, this.#at(row));
  }

  #at(row: number): Whole {
    const value = this.#values[row]!;
    return Number.isNaN(value) ? this.#wide!.get(row)! : value;
  }
}

class FloatSumColumn implements Column {
  #values: Float64Array<ArrayBuffer>;

  constructor(rows: number) {
    this.#values = new Float64Array(rows);
  }

  get bytes(): number {
    return this.#values.byteLength;
  }

  grow(rows: number): void {
    this.#values = grown(this.#values, rows, 0);
  }

  add(row: number, value: HotValue): void {
    this.#values[row] = this.#values[row]! + (value as number);
  }

  merge(row: number, before: HotValue): HotValue {
    return (before as number) + this.#values[row]!;
  }
}

/** The least (`sign` 1) or greatest (-1) number. NaN: it is in `#wide`, or there is none. */
class EdgeColumn implements Column {
  readonly #sign: 1 | -1;
  #values: Float64Array<ArrayBuffer>;
  #wide: Map<number, bigint> | undefined;

  constructor(sign: 1 | -1, rows: number) {
    this.#sign = sign;
    this.#values = new Float64Array(rows).fill(Number.NaN);
  }

  get bytes(): number {
    return this.#values.byteLength + (this.#wide?.size ?? 0) * BIGINT_BYTES;
  }

  grow(rows: number): void {
    this.#values = grown(this.#values, rows, Number.NaN);
  }

  add(row: number, value: HotValue): void {
    const best = this.merge(row, value);
    if (typeof best === 'number') {
      this.#values[row] = best;
      this.#wide?.delete(row);
    } else if (best !== null) {
      this.#values[row] = Number.NaN;
      this.#wide ??= new Map();
      this.#wide.set(row, best as bigint);
    }
  }

  merge(row: number, before: HotValue): HotValue {
    const narrow = this.#values[row]!;
    const own = Number.isNaN(narrow) ? this.#wide?.get(row) : narrow;
    if (own === undefined) return before;
    if (before === null) return own;
    return (this.#sign === 1 ? own < (before as Whole) : own > (before as Whole)) ? own : before;
  }
}

/** The least or greatest text. */
class TextColumn implements Column {
  readonly #sign: 1 | -1;
  readonly #values: (string | null)[];
  #bytes: number;

  constructor(sign: 1 | -1, rows: number) {
    this.#sign = sign;
    this.#values = new Array<string | null>(rows).fill(null);
    this.#bytes = rows * 8;
  }

  get bytes(): number {
    return this.#bytes;
  }

  grow(rows: number): void {
    this.#bytes += (rows - this.#values.length) * 8;
    while (this.#values.length < rows) this.#values.push(null);
  }

  add(row: number, value: HotValue): void {
    const before = this.#values[row]!;
    const best = this.merge(row, value) as string | null;
    this.#bytes += bytesOf(best) - bytesOf(before);
    this.#values[row] = best;
  }

  merge(row: number, before: HotValue): HotValue {
    const own = this.#values[row]!;
    if (own === null) return before;
    if (before === null) return own;
    return compareText(own, before as string) * this.#sign < 0 ? own : before;
  }
}

const bytesOf = (text: string | null): number => (text === null ? 0 : 24 + text.length * 2);
