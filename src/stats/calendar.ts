/**
 * Where the buckets of a series begin: the one authority, for the engine and for the filling of empty buckets.
 *
 * Seconds, minutes and hours are plain arithmetic on UTC, counted from the epoch. Days, weeks and months follow the
 * calendar of a zone: a day starts at the first moment of its date there, so it may have 23, 24.5 or 25 hours, and
 * a date that a zone skipped has no bucket. Multiples count from 1970: days from January 1st, weeks from the Monday
 * of its first week (1969-12-29), months from January.
 */
import { Temporal } from 'temporal-polyfill';

export type Every =
  | { readonly kind: 'fixed'; readonly ms: number }
  | { readonly kind: 'calendar'; readonly unit: 'day' | 'week' | 'month'; readonly count: number };

export const BUCKETS_MAX = 11_000;
export const EVERY_FORMS = 'a number and s, m, h, d, w or mo, such as 10s, 15m, 1h, 1d, 1w or 1mo';

const FIXED_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const CALENDAR = { d: 'day', w: 'week', mo: 'month' } as const;

/** `'15m'` → `{ kind: 'fixed', ms: 900000 }`, `'1mo'` → `{ kind: 'calendar', unit: 'month', count: 1 }`. */
export function parseEvery(text: string): Every | undefined {
  const match = /^(\d{1,9})(s|m|h|d|w|mo)$/.exec(text.trim());
  if (!match) return undefined;
  const count = Number(match[1]);
  const unit = match[2] as 's' | 'm' | 'h' | 'd' | 'w' | 'mo';
  if (count === 0) return undefined;
  const fixed = FIXED_MS[unit];
  if (fixed !== undefined) return { kind: 'fixed', ms: count * fixed };
  // A bucket of more than a century is a slip, and the calendar ends somewhere.
  if (count > 36_525) return undefined;
  return { kind: 'calendar', unit: CALENDAR[unit as keyof typeof CALENDAR], count };
}

const DAY_MS = 86_400_000;
const SHORTEST_MS = { day: DAY_MS, week: 7 * DAY_MS, month: 28 * DAY_MS } as const;

/** How many buckets a range has at least: enough to refuse one that is far too long before it is laid out. */
export function bucketsAtLeast(every: Every, fromMs: number, toMs: number): number {
  if (every.kind === 'fixed') return Math.ceil(toMs / every.ms) - Math.floor(fromMs / every.ms);
  const longest = every.unit === 'month' ? 31 * DAY_MS : SHORTEST_MS[every.unit];
  return Math.floor((toMs - fromMs) / (longest * every.count + DAY_MS));
}

/**
 * Starts of the buckets that touch `[fromMs, toMs)`, epoch ms, ascending; the first may lie before `fromMs`.
 * Empty when the range is.
 */
export function bucketStarts(every: Every, fromMs: number, toMs: number, zone: string): number[] {
  const starts: number[] = [];
  if (fromMs >= toMs) return starts;
  if (every.kind === 'fixed') {
    for (let at = Math.floor(fromMs / every.ms) * every.ms; at < toMs; at += every.ms) starts.push(at);
    return starts;
  }
  let date = firstDate(every, fromMs, zone);
  for (;;) {
    const at = startOfDay(date, zone);
    if (at >= toMs) return starts;
    const last = starts.at(-1);
    // A skipped date begins where the next one does.
    if (last === undefined || at > last) {
      if (at <= fromMs) starts.length = 0;
      starts.push(at);
    }
    date = date.add(step(every));
  }
}

/** End of the bucket that starts at `startMs`. */
export function bucketEnd(every: Every, startMs: number, zone: string): number {
  if (every.kind === 'fixed') return startMs + every.ms;
  const start = Temporal.Instant.fromEpochMilliseconds(startMs).toZonedDateTimeISO(zone).toPlainDate();
  for (let date = start.add(step(every)); ; date = date.add(step(every))) {
    const at = startOfDay(date, zone);
    if (at > startMs) return at;
  }
}

const startOfDay = (date: Temporal.PlainDate, zone: string): number =>
  date.toZonedDateTime(zone).epochMilliseconds;

type Calendar = Extract<Every, { kind: 'calendar' }>;

function step({ unit, count }: Calendar): { days: number } | { months: number } {
  if (unit === 'month') return { months: count };
  return { days: unit === 'week' ? 7 * count : count };
}

const EPOCH_DATE = Temporal.PlainDate.from('1970-01-01');
const EPOCH_MONDAY = Temporal.PlainDate.from('1969-12-29');

/** The date on which the bucket around `atMs` begins. */
function firstDate(every: Calendar, atMs: number, zone: string): Temporal.PlainDate {
  const date = Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(zone).toPlainDate();
  const first = floorDate(every, date);
  // Clocks set back over midnight show the old date again after the new one has begun.
  return startOfDay(first, zone) <= atMs ? first : floorDate(every, first.subtract({ days: 1 }));
}

function floorDate({ unit, count }: Calendar, date: Temporal.PlainDate): Temporal.PlainDate {
  if (unit === 'month') {
    const months = (date.year - 1970) * 12 + date.month - 1;
    return EPOCH_DATE.add({ months: months - modulo(months, count) });
  }
  const origin = unit === 'week' ? EPOCH_MONDAY : EPOCH_DATE;
  const days = origin.until(date).days;
  return origin.add({ days: days - modulo(days, unit === 'week' ? 7 * count : count) });
}

const modulo = (a: number, b: number): number => ((a % b) + b) % b;
