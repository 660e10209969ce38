/**
 * When a report is due and what it is about. Pure.
 *
 * Schedules are read in the report's zone: a time of day that is skipped when clocks are set forward comes at that moment,
 * and one that comes twice counts once, unless the schedule names every hour. A period ends where the run is due. Hours and
 * minutes are plain lengths; days, weeks and months follow the calendar, so a day has 23 or 25 hours now and then.
 */
import { Cron } from 'croner';
import { LRUCache } from 'lru-cache';
import { Temporal } from 'temporal-polyfill';
import type { ReportDefinition } from '../define/model.ts';
import { type Every, parseEvery, periodStarts } from '../stats/index.ts';

export type Timed = Pick<ReportDefinition, 'cron' | 'timeZone' | 'period'>;

export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

const schedules = new LRUCache<string, Cron>({ max: 2_000 });

function scheduleOf({ cron, timeZone }: Timed): Cron | undefined {
  if (cron === undefined) return undefined;
  const key = JSON.stringify([cron, timeZone]);
  let schedule = schedules.get(key);
  if (!schedule) {
    schedule = new Cron(cron, { timezone: timeZone, paused: true });
    schedules.set(key, schedule);
  }
  return schedule;
}

/** The first scheduled moment after `afterMs`; undefined: never. */
export const nextDue = (timed: Timed, afterMs: number): number | undefined =>
  scheduleOf(timed)?.nextRun(new Date(afterMs))?.getTime();

/** The newest scheduled moment in `(afterMs, untilMs]`. */
export function newestDue(timed: Timed, afterMs: number, untilMs: number): number | undefined {
  // The schedule counts whole seconds.
  const before = new Date(Math.floor(untilMs / 1_000) * 1_000 + 1_000);
  const newest = scheduleOf(timed)?.previousRuns(1, before)[0]?.getTime();
  return newest !== undefined && newest > afterMs && newest <= untilMs ? newest : undefined;
}

const COUNTED_MAX = 1_000;

/** How many scheduled moments lie in `(afterMs, newestMs)`; at most 1 000 are counted. */
export function missedBetween(timed: Timed, afterMs: number, newestMs: number): number {
  let missed = 0;
  for (
    let at = nextDue(timed, afterMs);
    at !== undefined && at < newestMs && missed < COUNTED_MAX;
    missed += 1
  )
    at = nextDue(timed, at);
  return missed;
}

/** The wall clock moves by an hour at most, and by half of one in places. */
const SNAP_MS = 2 * 3_600_000;

/** What a run is about that is due, or ends, at `endMs`. */
export function periodEndingAt(timed: Timed, endMs: number): Period {
  const every = everyOf(timed);
  if (every.kind === 'fixed') return { fromMs: endMs - every.ms, toMs: endMs };
  const duration =
    every.unit === 'month'
      ? { months: every.count }
      : every.unit === 'week'
        ? { weeks: every.count }
        : { days: every.count };
  const nominalMs = Temporal.Instant.fromEpochMilliseconds(endMs)
    .toZonedDateTimeISO(timed.timeZone)
    .subtract(duration).epochMilliseconds;
  return { fromMs: scheduledNear(timed, nominalMs) ?? nominalMs, toMs: endMs };
}

/** One period ends where the next begins, also when the time of day between them was skipped or came twice. */
function scheduledNear(timed: Timed, nominalMs: number): number | undefined {
  const near = [newestDue(timed, nominalMs - SNAP_MS, nominalMs), nextDue(timed, nominalMs - 1)].filter(
    (at) => at !== undefined && Math.abs(at - nominalMs) <= SNAP_MS,
  ) as number[];
  return near.sort((a, b) => Math.abs(a - nominalMs) - Math.abs(b - nominalMs))[0];
}

/** The newest period that had ended at `nowMs`: by the schedule, or without one by the calendar of the zone. */
export function newestPeriod(timed: Timed, nowMs: number): Period {
  const due = newestDue(timed, Number.NEGATIVE_INFINITY, nowMs);
  if (due !== undefined) return periodEndingAt(timed, due);
  const [start] = periodStarts(everyOf(timed), nowMs, nowMs + 1, timed.timeZone);
  return periodEndingAt({ ...timed, cron: undefined }, start!);
}

const everyOf = ({ period }: Timed): Every => parseEvery(period)!;
