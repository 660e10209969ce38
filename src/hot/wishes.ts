/**
 * Of which buckets the events are worth reading: of those that are asked about again and again. A bucket into which events still
 * come has to be read anew after each of them, so it is left alone for a while. Pure but for its memory.
 */

/** Once or twice is cheaper in the engine. */
const ASKED_MIN = 3;
const AGAIN_MS = 10_000;
const WISHES_MAX = 64;

export class Wishes {
  readonly #wishes = new Map<number, { asked: number; notBeforeMs: number }>();

  /** Called for each question that would need them; true: read them now. */
  isDue(bucket: number, nowMs: number): boolean {
    const wish = this.#wishes.get(bucket) ?? this.#begin(bucket);
    wish.asked += 1;
    if (wish.asked < ASKED_MIN || nowMs < wish.notBeforeMs) return false;
    wish.notBeforeMs = nowMs + AGAIN_MS;
    return true;
  }

  /** They are too many, or not what the bucket says. */
  refuse(bucket: number): void {
    const wish = this.#wishes.get(bucket);
    if (wish) wish.notBeforeMs = Number.POSITIVE_INFINITY;
  }

  #begin(bucket: number) {
    const oldest = this.#wishes.keys().next();
    if (this.#wishes.size >= WISHES_MAX && !oldest.done) this.#wishes.delete(oldest.value);
    const wish = { asked: 0, notBeforeMs: 0 };
    this.#wishes.set(bucket, wish);
    return wish;
  }
}
