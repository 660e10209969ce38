/** From a preset to `[from, to)` and a bucket width: at most 300 buckets, aligned, UTC. */
export const RANGES = ['15m', '1h', '24h', '7d', '30d', 'all'] as const;
export type RangeName = (typeof RANGES)[number];

export const BUCKETS_MAX = 300;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY = 4 * DAY;

export interface Step {
  /** As the `every` parameter has it. */
  readonly every: string;
  readonly label: string;
  /** Width; of months, the shortest. */
  readonly ms: number;
  /** Start of the bucket that holds a moment. */
  readonly floor: (ms: number) => number;
  /** Start of the bucket after the one that starts here. */
  readonly next: (ms: number) => number;
}

const STEPS: readonly Step[] = [
  even('1s', '1 second', 1_000),
  even('10s', '10 seconds', 10_000),
  even('1m', '1 minute', MINUTE),
  even('5m', '5 minutes', 5 * MINUTE),
  even('10m', '10 minutes', 10 * MINUTE),
  even('1h', '1 hour', HOUR),
  even('6h', '6 hours', 6 * HOUR),
  even('1d', '1 day', DAY),
  { ...even('1w', '1 week', 7 * DAY), floor: (ms) => floorTo(ms - FIRST_MONDAY, 7 * DAY) + FIRST_MONDAY },
  months('1mo', '1 month', 1),
  months('3mo', '3 months', 3),
  months('12mo', '1 year', 12),
];

const SPANS: Readonly<Record<Exclude<RangeName, 'all'>, number>> = {
  '15m': 15 * MINUTE,
  '1h': HOUR,
  '24h': DAY,
  '7d': 7 * DAY,
  '30d': 30 * DAY,
};

export interface Range {
  /** Epoch ms, the start of a bucket. */
  readonly from: number;
  /** Epoch ms, exclusive, the start of a bucket. */
  readonly to: number;
  readonly step: Step;
}

export interface Extent {
  readonly firstEventAt: number | null;
  readonly lastEventAt: number | null;
}

/** Undefined when the whole data is asked for and there is none. */
export function resolveRange(name: RangeName, nowMs: number, extent: Extent): Range | undefined {
  if (name !== 'all') return align(nowMs - SPANS[name], nowMs);
  if (extent.firstEventAt === null || extent.lastEventAt === null) return undefined;
  return align(extent.firstEventAt, extent.lastEventAt + 1);
}

/** A stream whose newest event is old is looked at whole: its last hour would be empty. */
export function defaultRange(nowMs: number, extent: Extent): RangeName {
  if (extent.lastEventAt === null) return '1h';
  return nowMs - extent.lastEventAt > DAY ? 'all' : '1h';
}

export function align(from: number, to: number): Range {
  // One bucket more than the span has, since neither end need lie on a boundary.
  const step = STEPS.find(({ ms }) => (to - from) / ms <= BUCKETS_MAX - 1) ?? STEPS.at(-1)!;
  const start = step.floor(from);
  const lastBucket = step.floor(to - 1);
  return { from: start, to: step.next(lastBucket), step };
}

function even(every: string, label: string, ms: number): Step {
  return { every, label, ms, floor: (at) => floorTo(at, ms), next: (start) => start + ms };
}

function floorTo(value: number, width: number): number {
  return Math.floor(value / width) * width;
}

/** Months count from January 1970, so that quarters and years begin where the calendar's do. */
function months(every: string, label: string, count: number): Step {
  const monthOf = (ms: number): number => {
    const date = new Date(ms);
    return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
  };
  const startOf = (month: number): number => new Date(0).setUTCFullYear(1970, month, 1);
  return {
    every,
    label,
    ms: count * 28 * DAY,
    floor: (ms) => startOf(floorTo(monthOf(ms), count)),
    next: (start) => startOf(monthOf(start) + count),
  };
}
