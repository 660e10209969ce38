/** A binary heap whose items can be moved and removed: the least key first, equal keys in the order they were put. */
interface Entry<Item> {
  readonly item: Item;
  readonly key: number;
  readonly turn: number;
}

export class LeastFirst<Item> {
  readonly #entries: Entry<Item>[] = [];
  readonly #places = new Map<Item, number>();
  #turns = 0;

  get size(): number {
    return this.#entries.length;
  }

  /** Enters an item, or gives it another key; with an equal key it keeps its turn. */
  put(item: Item, key: number): void {
    const at = this.#places.get(item);
    if (at === undefined) {
      this.#turns += 1;
      this.#entries.push({ item, key, turn: this.#turns });
      this.#settle(this.#entries.length - 1);
      return;
    }
    const { turn } = this.#entries[at]!;
    this.#entries[at] = { item, key, turn };
    this.#settle(at);
  }

  take(): { readonly item: Item; readonly key: number } | undefined {
    const first = this.#entries[0];
    if (first) this.remove(first.item);
    return first;
  }

  remove(item: Item): void {
    const at = this.#places.get(item);
    if (at === undefined) return;
    this.#places.delete(item);
    const last = this.#entries.pop()!;
    if (last.item === item) return;
    this.#entries[at] = last;
    this.#settle(at);
  }

  /** Moves the entry up or down to where it belongs, and notes every place on the way. */
  #settle(start: number): void {
    let at = start;
    const entry = this.#entries[at]!;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(entry, this.#entries[parent]!)) break;
      this.#move(parent, at);
      at = parent;
    }
    for (;;) {
      let child = 2 * at + 1;
      const right = child + 1;
      if (right < this.#entries.length && before(this.#entries[right]!, this.#entries[child]!)) child = right;
      if (child >= this.#entries.length || !before(this.#entries[child]!, entry)) break;
      this.#move(child, at);
      at = child;
    }
    this.#entries[at] = entry;
    this.#places.set(entry.item, at);
  }

  #move(from: number, to: number): void {
    const entry = this.#entries[from]!;
    this.#entries[to] = entry;
    this.#places.set(entry.item, to);
  }
}

const before = <Item>(a: Entry<Item>, b: Entry<Item>): boolean =>
  a.key < b.key || (a.key === b.key && a.turn < b.turn);
