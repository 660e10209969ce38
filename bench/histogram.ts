/**
 * Latencies in buckets that grow with the value (32 to each power of two, so an answer is at most 3.2 % above
 * the truth): recording is an increment, however many there are.
 */
const SUB_BITS = 5;
const SUB = 2 ** SUB_BITS;
const OCTAVES = 32;

export class Histogram {
  readonly #counts = new Float64Array(SUB * (OCTAVES + 1));
  #total = 0;
  #maxMs = 0;

  record(ms: number): void {
    const micros = Math.max(0, Math.round(ms * 1_000));
    this.#counts[bucketOf(micros)]! += 1;
    this.#total += 1;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Takes over everything that another one has recorded. */
  add(other: Histogram): void {
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1)
      this.#counts[bucket]! += other.#counts[bucket]!;
    this.#total += other.#total;
    this.#maxMs = Math.max(this.#maxMs, other.#maxMs);
  }

  get count(): number {
    return this.#total;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** The value that a share of the recorded ones do not exceed, ms; 0 when nothing was recorded. `quantile(0.99)` is p99. */
  quantile(share: number): number {
    if (this.#total === 0) return 0;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket]!;
      if (seen >= wanted) return Math.min(upperMicros(bucket) / 1_000, this.#maxMs);
    }
    return this.#maxMs;
  }
}

function bucketOf(micros: number): number {
  if (micros < SUB) return micros;
  const octave = Math.min(OCTAVES, Math.floor(Math.log2(micros)) - SUB_BITS + 1);
  const sub = Math.min(SUB - 1, Math.floor(micros / 2 ** (octave - 1)) - SUB);
  return octave * SUB + sub;
}

function upperMicros(bucket: number): number {
  if (bucket < SUB) return bucket;
  const octave = Math.floor(bucket / SUB);
  return ((bucket % SUB) + SUB + 1) * 2 ** (octave - 1) - 1;
}
