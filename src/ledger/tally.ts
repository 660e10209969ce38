/**
 * Is a set of rows exactly the offsets [from, to), each once? Decided from sums that the engine makes in one pass.
 *
 * Count, least and greatest alone would let a doubled row hide a missing one. The sums of the offsets and of their
 * squares are known in closed form, the sum of their hashes from the numbers themselves; all are taken modulo 2^64,
 * as the engine adds.
 */
export interface Tally {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly lateDropped: number;
  readonly least: number;
  readonly greatest: number;
  readonly sum: bigint;
  readonly squares: bigint;
  /** Absent when the hashes were not asked for. */
  readonly hash: bigint | undefined;
}

export type OutcomeName = 'stored' | 'duplicates' | 'quarantined' | 'lateDropped';

const MODULUS = 2n ** 64n;
const wrap = (value: bigint): bigint => ((value % MODULUS) + MODULUS) % MODULUS;

export const EMPTY: Tally = {
  stored: 0,
  duplicates: 0,
  quarantined: 0,
  lateDropped: 0,
  least: Number.POSITIVE_INFINITY,
  greatest: Number.NEGATIVE_INFINITY,
  sum: 0n,
  squares: 0n,
  hash: 0n,
};

export const rowsOf = (tally: Pick<Tally, OutcomeName>): number =>
  tally.stored + tally.duplicates + tally.quarantined + tally.lateDropped;

export const addTallies = (a: Tally, b: Tally): Tally => ({
  stored: a.stored + b.stored,
  duplicates: a.duplicates + b.duplicates,
  quarantined: a.quarantined + b.quarantined,
  lateDropped: a.lateDropped + b.lateDropped,
  least: Math.min(a.least, b.least),
  greatest: Math.max(a.greatest, b.greatest),
  sum: wrap(a.sum + b.sum),
  squares: wrap(a.squares + b.squares),
  hash: a.hash === undefined || b.hash === undefined ? undefined : wrap(a.hash + b.hash),
});

const sumBelow = (n: bigint): bigint => (n * (n - 1n)) / 2n;
const squaresBelow = (n: bigint): bigint => ((n - 1n) * n * (2n * n - 1n)) / 6n;

/** Do the rows hold each offset of [from, to) once and nothing else? `hash` is that of the range, when it is known. */
export function isExactly(tally: Tally, from: number, to: number, hash?: bigint): boolean {
  if (rowsOf(tally) !== to - from) return false;
  if (from === to) return true;
  const [first, end] = [BigInt(from), BigInt(to)];
  return (
    tally.least === from &&
    tally.greatest === to - 1 &&
    tally.sum === wrap(sumBelow(end) - sumBelow(first)) &&
    tally.squares === wrap(squaresBelow(end) - squaresBelow(first)) &&
    (hash === undefined || tally.hash === undefined || tally.hash === hash)
  );
}
