/** Random numbers that are the same in every run, so that two runs do the same work. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 2_654_435_761) + 97) | 0 || 1;
  }

  /** In [0, 1). */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 4_294_967_296;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }
}

/** Ranks 0 … n - 1 where rank k comes up in proportion to 1 / (k + 1): few keys are hot, most are rare. */
export class Zipf {
  readonly #cumulative: Float64Array;
  readonly #random: Random;

  constructor(n: number, random: Random) {
    this.#random = random;
    this.#cumulative = new Float64Array(n);
    let sum = 0;
    for (let k = 0; k < n; k += 1) {
      sum += 1 / (k + 1);
      this.#cumulative[k] = sum;
    }
  }

  next(): number {
    const target = this.#random.next() * this.#cumulative[this.#cumulative.length - 1]!;
    let low = 0;
    let high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#cumulative[middle]! < target) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
