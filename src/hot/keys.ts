/**
 * The keys of a rollup (tuples of dimension values), each once, by small numbers. Looked up by the whole tuple in a hash
 * table, by one value in a posting list that is made when first asked for.
 */
import { Dictionary } from './dictionary.ts';

const CAPACITY_MIN = 16;

export class Keys {
  readonly dictionaries: readonly Dictionary[];
  /** `[dimension][key]`: number of the value. */
  readonly #values: Int32Array<ArrayBuffer>[];
  /** How many rows each key has; 0: the number is free. */
  #uses = new Int32Array(CAPACITY_MIN);
  readonly #free: number[] = [];
  /** Numbers that were ever given. */
  #given = 0;
  /** Key + 1 by hash, linear probing. At most half full. */
  #slots = new Int32Array(CAPACITY_MIN * 2);
  readonly #postings: (Map<number, Set<number>> | undefined)[];
  readonly #tuple: Int32Array<ArrayBuffer>;
  #postingEntries = 0;

  constructor(dimensions: number) {
    this.dictionaries = Array.from({ length: dimensions }, () => new Dictionary());
    this.#values = Array.from({ length: dimensions }, () => new Int32Array(CAPACITY_MIN));
    this.#postings = new Array<undefined>(dimensions).fill(undefined);
    this.#tuple = new Int32Array(dimensions);
  }

  /** Numbers lie below it. */
  get given(): number {
    return this.#given;
  }

  get bytes(): number {
    const tables = (this.#values.length + 1) * this.#uses.byteLength + this.#slots.byteLength;
    return (
      tables +
      this.#postingEntries * POSTING_BYTES +
      this.dictionaries.reduce((sum, one) => sum + one.bytes, 0)
    );
  }

  valueId(key: number, dimension: number): number {
    return this.#values[dimension]![key]!;
  }

  valueOf(key: number, dimension: number): string | null {
    return this.dictionaries[dimension]!.valueOf(this.valueId(key, dimension));
  }

  /** The key's number, which is made when there is none; it must be held, or it would never go. */
  intern(values: readonly (string | null)[]): number {
    for (let i = 0; i < values.length; i += 1) this.#tuple[i] = this.dictionaries[i]!.intern(values[i]!);
    const found = this.#slots[this.#slotOf(this.#tuple)]!;
    return found > 0 ? found - 1 : this.#add();
  }

  /** The key's number, if it has one. */
  lookUp(values: readonly (string | null)[]): number | undefined {
    for (let i = 0; i < values.length; i += 1) {
      const id = this.dictionaries[i]!.find(values[i]!);
      if (id === undefined) return undefined;
      this.#tuple[i] = id;
    }
    return this.#found();
  }

  /** By numbers of values, one for each dimension. */
  find(valueIds: readonly number[]): number | undefined {
    for (let i = 0; i < valueIds.length; i += 1) this.#tuple[i] = valueIds[i]!;
    return this.#found();
  }

  /** The key of `#tuple`. */
  #found(): number | undefined {
    const found = this.#slots[this.#slotOf(this.#tuple)]!;
    return found > 0 ? found - 1 : undefined;
  }

  hold(key: number): void {
    this.#uses[key] = this.#uses[key]! + 1;
  }

  drop(key: number): void {
    const left = this.#uses[key]! - 1;
    this.#uses[key] = left;
    if (left > 0) return;
    this.#remove(key);
    for (let i = 0; i < this.#values.length; i += 1) {
      const value = this.#values[i]![key]!;
      const posting = this.#postings[i]?.get(value);
      if (posting?.delete(key)) {
        this.#postingEntries -= 1;
        if (posting.size === 0) this.#postings[i]!.delete(value);
      }
      this.dictionaries[i]!.drop(value);
    }
    this.#free.push(key);
  }

  /** The keys that have this value. */
  having(dimension: number, valueId: number): ReadonlySet<number> {
    let postings = this.#postings[dimension];
    if (!postings) {
      postings = new Map();
      for (let key = 0; key < this.#given; key += 1) {
        if (this.#uses[key]! > 0) this.#post(postings, this.#values[dimension]![key]!, key);
      }
      this.#postings[dimension] = postings;
    }
    return postings.get(valueId) ?? NONE;
  }

  #post(postings: Map<number, Set<number>>, value: number, key: number): void {
    let posting = postings.get(value);
    if (!posting) {
      posting = new Set();
      postings.set(value, posting);
    }
    posting.add(key);
    this.#postingEntries += 1;
  }

  #add(): number {
    const key = this.#free.pop() ?? this.#given;
    if (key === this.#given) {
      this.#given += 1;
      if (this.#given > this.#uses.length) this.#grow();
    }
    for (let i = 0; i < this.#tuple.length; i += 1) {
      const value = this.#tuple[i]!;
      this.#values[i]![key] = value;
      this.dictionaries[i]!.hold(value);
      const postings = this.#postings[i];
      if (postings) this.#post(postings, value, key);
    }
    this.#slots[this.#freeSlot(key)] = key + 1;
    return key;
  }

  #grow(): void {
    const capacity = this.#uses.length * 2;
    const uses = new Int32Array(capacity);
    uses.set(this.#uses);
    this.#uses = uses;
    for (let i = 0; i < this.#values.length; i += 1) {
      const values = new Int32Array(capacity);
      values.set(this.#values[i]!);
      this.#values[i] = values;
    }
    const before = this.#slots;
    this.#slots = new Int32Array(capacity * 2);
    for (const entry of before) if (entry > 0) this.#slots[this.#freeSlot(entry - 1)] = entry;
  }

  #hashOf(key: number): number {
    let hash = 0x9e37;
    for (const values of this.#values) hash = mix(hash, values[key]!);
    return hash;
  }

  #freeSlot(key: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hashOf(key) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  }

  /** Where the tuple is, or would be. */
  #slotOf(tuple: Int32Array): number {
    const mask = this.#slots.length - 1;
    let hash = 0x9e37;
    for (let i = 0; i < tuple.length; i += 1) hash = mix(hash, tuple[i]!);
    let slot = hash & mask;
    for (;;) {
      const entry = this.#slots[slot]!;
      if (entry === 0 || this.#isTuple(entry - 1, tuple)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #isTuple(key: number, tuple: Int32Array): boolean {
    for (let i = 0; i < tuple.length; i += 1) if (this.#values[i]![key] !== tuple[i]) return false;
    return true;
  }

  /** Those behind move up, so that no search ends before what it looks for. */
  #remove(key: number): void {
    const mask = this.#slots.length - 1;
    let hole = this.#hashOf(key) & mask;
    while (this.#slots[hole] !== key + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.#hashOf(this.#slots[slot]! - 1) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#slots[hole] = this.#slots[slot]!;
      hole = slot;
    }
    this.#slots[hole] = 0;
  }
}

const NONE: ReadonlySet<number> = new Set();
const POSTING_BYTES = 48;

function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
