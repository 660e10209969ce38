/**
 * A bucket that fills at a rate up to a burst. It may be emptied below nothing: what a request takes is known only when
 * it has been read, and one that is greater than the burst must be possible. Who is in debt waits until it is paid, so the
 * average holds. Pure: the time is handed in.
 *
 * @example
 * const bucket = new TokenBucket(100, 400, 0); // 100 a second, 400 at once
 * bucket.take(1_000, 0);
 * bucket.waitMs(0); // 6_010: a debt of 600, and one more to be had
 */
export class TokenBucket {
  #perSecond: number;
  #burst: number;
  #level: number;
  #atMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#level = burst;
    this.#atMs = nowMs;
  }

  get burst(): number {
    return this.#burst;
  }

  /** The limit was changed: what is owed stays owed, and is paid at the new rate. */
  change(perSecond: number, burst: number, nowMs: number): void {
    if (perSecond === this.#perSecond && burst === this.#burst) return;
    this.#fill(nowMs);
    // Whoever had used nothing has used nothing.
    if (this.#level === this.#burst) this.#level = burst;
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#level = Math.min(burst, this.#level);
  }

  /** What may be taken now without debt; below 0 what is owed. */
  level(nowMs: number): number {
    this.#fill(nowMs);
    return this.#level;
  }

  /** Takes, or with a negative amount gives back. */
  take(amount: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level = Math.min(this.#burst, this.#level - amount);
  }

  /** How long until something may be taken; 0: now. */
  waitMs(nowMs: number): number {
    const level = this.level(nowMs);
    const least = Math.min(1, this.#burst);
    return level > 0 ? 0 : ((least - level) / this.#perSecond) * 1_000;
  }

  /** How long until it is full. */
  fullInMs(nowMs: number): number {
    return ((this.#burst - this.level(nowMs)) / this.#perSecond) * 1_000;
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    this.#level = Math.min(this.#burst, this.#level + (passedMs / 1_000) * this.#perSecond);
  }
}
