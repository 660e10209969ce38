/**
 * Values of states, merged as the engine merges them. Whole numbers (and decimals, in units of their last digit) are
 * doubles while those are exact and bigints beyond: no digit is ever lost.
 */
export type Whole = number | bigint;
/** `null`: least or greatest of nothing. */
export type HotValue = Whole | string | null;

const SAFE = Number.MAX_SAFE_INTEGER;

/** The same number as a double when that is exact. */
export const narrowed = (value: bigint): Whole =>
  value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : value;

export function addWhole(a: Whole, b: Whole): Whole {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (sum <= SAFE && sum >= -SAFE) return sum;
  }
  return narrowed(BigInt(a) + BigInt(b));
}

/** By the bytes of UTF-8, as the engine orders text: code units of surrogates count above all others. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

const rank = (unit: number): number =>
  unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
