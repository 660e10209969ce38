/** The values of one dimension, each once, by small numbers that are used again when nobody uses their value any more. */
export class Dictionary {
  readonly #ids = new Map<string | null, number>();
  readonly #values: (string | null)[] = [];
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  #bytes = 0;

  /** Bytes that it holds, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#ids.size;
  }

  find(value: string | null): number | undefined {
    return this.#ids.get(value);
  }

  /** The numbers of those values that it knows, each once. */
  findAll(values: readonly (string | null)[]): readonly number[] {
    const found: number[] = [];
    for (const value of values) {
      const id = this.find(value);
      if (id !== undefined) found.push(id);
    }
    return found.length > 1 ? [...new Set(found)] : found;
  }

  valueOf(id: number): string | null {
    return this.#values[id]!;
  }

  /** The number of the value, which is made when there is none; it must be held, or it would never go. */
  intern(value: string | null): number {
    const known = this.#ids.get(value);
    if (known !== undefined) return known;
    const id = this.#free.pop() ?? this.#values.length;
    this.#values[id] = value;
    this.#uses[id] = 0;
    this.#ids.set(value, id);
    this.#bytes += ENTRY_BYTES + (value?.length ?? 0) * 2;
    return id;
  }

  hold(id: number): void {
    this.#uses[id] = this.#uses[id]! + 1;
  }

  drop(id: number): void {
    const left = this.#uses[id]! - 1;
    this.#uses[id] = left;
    if (left > 0) return;
    const value = this.#values[id]!;
    this.#ids.delete(value);
    this.#values[id] = null;
    this.#free.push(id);
    this.#bytes -= ENTRY_BYTES + (value?.length ?? 0) * 2;
  }
}

/** A map's entry, a string's head, a place in two arrays. */
const ENTRY_BYTES = 100;
