/**
 * How many records there were by minute of event time, of a kind that is rare: what came late, duplicates. Bounded by
 * growing coarser with age: the oldest minutes become hours, the oldest hours days, the oldest days are forgotten.
 *
 *   kept  := { minutes, hours, days, forgotten? }      no bucket lies within another
 *   tier  := (delta count)*                            delta: from the start of the bucket before, in widths of the tier
 */

/** Buckets of each width that are kept. */
export const BUCKETS_MAX = 1_500;
const MINUTE_MS = 60_000;
/** Minutes in a bucket, by tier. */
const WIDTHS = [1, 60, 1_440] as const;

/** `[minute since 1970, records]` */
export type MinuteCount = readonly [minute: number, count: number];

/** As it is kept in a file; the first bucket's delta counts from 1970. */
export interface EventCounts {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  /** What lay before this minute is forgotten. */
  readonly forgotten?: number;
}

export const NO_COUNTS: EventCounts = Object.freeze({ minutes: [], hours: [], days: [] });

/** The counts of all buckets, by the minute at which they begin. */
export function* bucketsOf(
  counts: EventCounts,
): Generator<readonly [minute: number, count: number, width: number]> {
  for (const [tier, width] of WIDTHS.entries()) {
    for (const [bucket, count] of decoded(tiersOf(counts)[tier]!)) yield [bucket * width, count, width];
  }
}

/** With `found` added. */
export function addCounts(counts: EventCounts, found: Iterable<MinuteCount>, max = BUCKETS_MAX): EventCounts {
  const [minutes, hours, days] = tiersOf(counts).map((tier) => new Map(decoded(tier))) as [Tier, Tier, Tier];
  let { forgotten } = counts;
  for (const [minute, count] of found) {
    const [hour, day] = [Math.floor(minute / WIDTHS[1]), Math.floor(minute / WIDTHS[2])];
    if (days.has(day)) add(days, day, count);
    else if (hours.has(hour)) add(hours, hour, count);
    else add(minutes, minute, count);
  }
  const perDay = WIDTHS[2] / WIDTHS[1];
  for (const hour of oldest(minutes, max, WIDTHS[1])) fold(minutes, WIDTHS[1], hour, hours);
  const full = oldest(hours, max, perDay);
  for (const day of full) {
    fold(hours, perDay, day, days);
    // Minutes of that day that were newer than its hours.
    fold(minutes, WIDTHS[2], day, days);
  }
  for (const day of oldest(days, max, 1)) {
    days.delete(day);
    forgotten = Math.max(forgotten ?? -Infinity, (day + 1) * WIDTHS[2]);
  }
  return {
    ...{ minutes: encoded(minutes), hours: encoded(hours), days: encoded(days) },
    ...(forgotten === undefined ? {} : { forgotten }),
  };
}

/**
 * The records of the minutes that `[fromMs, toMs)` touches. `isExact` is false when some may be forgotten, or when the range
 * cuts an hour or a day that is only known as a whole; the count is then that of all that may be in it.
 */
export function countBetween(
  counts: EventCounts,
  fromMs: number,
  toMs: number,
): { readonly count: number; readonly isExact: boolean } {
  const { starts, ends, before } = indexOf(counts);
  const [from, to] = [Math.floor(fromMs / MINUTE_MS), Math.ceil(toMs / MINUTE_MS)];
  const first = firstAbove(ends, from);
  const end = Math.max(first, firstAbove(starts, to - 1));
  const isCut = end > first && (starts[first]! < from || ends[end - 1]! > to);
  const isKept = counts.forgotten === undefined || from >= counts.forgotten;
  return { count: before[end]! - before[first]!, isExact: isKept && !isCut };
}

type Tier = Map<number, number>;

const tiersOf = ({ minutes, hours, days }: EventCounts) => [minutes, hours, days] as const;

function* decoded(tier: readonly number[]): Generator<[number, number]> {
  let bucket = 0;
  for (let at = 0; at < tier.length; at += 2) {
    bucket += tier[at]!;
    yield [bucket, tier[at + 1]!];
  }
}

function encoded(tier: Tier): readonly number[] {
  let last = 0;
  return [...tier]
    .sort(([a], [b]) => a - b)
    .flatMap(([bucket, count]) => {
      const delta = bucket - last;
      last = bucket;
      return [delta, count];
    });
}

function add(tier: Tier, bucket: number, count: number): void {
  tier.set(bucket, (tier.get(bucket) ?? 0) + count);
}

/** The wider buckets that the oldest ones beyond `max` lie in. */
function oldest(tier: Tier, max: number, width: number): ReadonlySet<number> {
  if (tier.size <= max) return new Set();
  const sorted = [...tier.keys()].sort((a, b) => a - b);
  return new Set(sorted.slice(0, tier.size - max).map((bucket) => Math.floor(bucket / width)));
}

/** All that lies in one wider bucket goes there. */
function fold(tier: Tier, width: number, into: number, wider: Tier): void {
  for (let bucket = into * width; bucket < (into + 1) * width; bucket += 1) {
    const count = tier.get(bucket);
    if (count === undefined) continue;
    tier.delete(bucket);
    add(wider, into, count);
  }
}

interface Index {
  /** In minutes, ascending; buckets do not overlap. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Records of all buckets before this one; one longer. */
  readonly before: readonly number[];
}

const indexes = new WeakMap<EventCounts, Index>();

/** Made when it is first asked for: every question looks, and the counts seldom change. */
function indexOf(counts: EventCounts): Index {
  const known = indexes.get(counts);
  if (known) return known;
  const buckets = [...bucketsOf(counts)].sort(([a], [b]) => a - b);
  const before = [0];
  for (const [, count] of buckets) before.push(before.at(-1)! + count);
  const index = {
    starts: buckets.map(([start]) => start),
    ends: buckets.map(([start, , width]) => start + width),
    before,
  };
  indexes.set(counts, index);
  return index;
}

/** The first place whose value is greater. */
function firstAbove(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
