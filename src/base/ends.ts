/** Whatever is begun, with its end beside it; and all of it ended in the reverse order. */
export class Ends {
  readonly #ends: (() => unknown)[] = [];
  #all: Promise<void> | undefined;

  /** What is added last ends first. */
  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  /**
   * Ends everything, each thing once however often this is called, and the rest too when one fails at it. Rejects with
   * the first failure when all have been tried.
   *
   * @example
   * const ends = new Ends();
   * const catalog = await openCatalog(path, clock);
   * ends.add(() => catalog.close());
   * await ends.all();
   */
  all(): Promise<void> {
    this.#all ??= this.#endAll();
    return this.#all;
  }

  async #endAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const end of this.#ends.reverse()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
