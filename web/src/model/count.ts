/** Counts: whole numbers that may pass 2^53. */
export type Count = number | bigint;

export function toCount(value: unknown): Count {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  // Some encoders quote 64-bit integers.
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return narrow(BigInt(value));
  return 0;
}

export function addCounts(counts: Iterable<Count>): Count {
  let sum = 0n;
  for (const count of counts) sum += big(count);
  return narrow(sum);
}

export function subtractCounts(left: Count, right: Count): Count {
  return narrow(big(left) - big(right));
}

function big(count: Count): bigint {
  return typeof count === 'bigint' ? count : BigInt(Math.trunc(count));
}

function narrow(value: bigint): Count {
  const double = Number(value);
  return Number.isSafeInteger(double) ? double : value;
}
