import { Temporal } from 'temporal-polyfill';
import { describe, expect, it } from 'vitest';
import {
  missedBetween,
  newestDue,
  newestPeriod,
  nextDue,
  periodEndingAt,
} from '../../src/reports/schedule.ts';

const at = (text: string): number => Date.parse(text);
const iso = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16);
const nightly = { cron: '30 2 * * *', timeZone: 'Europe/Berlin', period: '1d' };

function course(timed: typeof nightly, from: string, count: number): (string | undefined)[] {
  const found: number[] = [];
  for (let last = at(from); found.length < count; found.push(last)) last = nextDue(timed, last)!;
  return found.map(iso);
}

describe('schedules of reports', () => {
  it('a time that is skipped comes when the clocks have gone forward, one that comes twice comes once', () => {
    const spring = course(nightly, '2024-03-30T00:00:00Z', 3);
    expect(spring).toEqual(['2024-03-30T01:30', '2024-03-31T01:00', '2024-04-01T00:30']);
    const autumn = course(nightly, '2024-10-26T00:00:00Z', 3);
    expect(autumn).toEqual(['2024-10-26T00:30', '2024-10-27T00:30', '2024-10-28T01:30']);
  });

  it('a schedule of every hour has 23 and 25 of them', () => {
    const hourly = { ...nightly, cron: '0 * * * *' };
    const hours = (from: string, to: string) => missedBetween(hourly, at(from) - 1, at(to));
    expect(hours('2024-03-30T23:00:00Z', '2024-03-31T22:00:00Z')).toBe(23);
    expect(hours('2024-10-26T22:00:00Z', '2024-10-27T23:00:00Z')).toBe(25);
  });

  it('periods of a day follow each other without gap or overlap over both changes', () => {
    for (const from of ['2024-03-29T12:00:00Z', '2024-10-25T12:00:00Z']) {
      let last = nextDue(nightly, at(from))!;
      for (let n = 0; n < 4; n += 1) {
        const next = nextDue(nightly, last)!;
        expect(periodEndingAt(nightly, next)).toEqual({ fromMs: last, toMs: next });
        last = next;
      }
    }
  });

  const ZONES = ['Europe/Berlin', 'America/Santiago', 'Australia/Lord_Howe'];
  const CRONS = [
    ['30 2 * * *', '1d', { days: 1 }],
    ['0 0 * * *', '1d', { days: 1 }],
    ['15 2 * * 0', '1w', { weeks: 1 }],
    ['0 0 * * 1', '1w', { weeks: 1 }],
    ['30 1 1 * *', '1mo', { months: 1 }],
    ['0 0 1 * *', '1mo', { months: 1 }],
  ] as const;
  it.each(ZONES)(
    'in %s days, weeks and months come once each on their dates, and periods meet',
    (timeZone) => {
      for (const [cron, period, step] of CRONS) {
        const timed = { cron, timeZone, period };
        const [minute, hour] = cron.split(' ').map(Number);
        const local = (ms: number) => Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone);
        let last = nextDue(timed, at('2024-02-20T00:00:00Z'))!;
        const until = at('2025-05-01T00:00:00Z');
        for (let date = local(last).toPlainDate(); last < until; ) {
          const next = nextDue(timed, last)!;
          date = date.add(step);
          const due = local(next);
          expect([timeZone, cron, due.toPlainDate().toString()]).toEqual([timeZone, cron, date.toString()]);
          // At its time of day; where the clocks have jumped over that, at the first moment behind it.
          if (due.hour !== hour || due.minute !== minute) {
            const jump = local(next - 1);
            expect(jump.offsetNanoseconds).toBeLessThan(due.offsetNanoseconds);
          }
          expect(periodEndingAt(timed, next)).toEqual({ fromMs: last, toMs: next });
          expect(newestDue(timed, last, next)).toBe(next);
          expect(newestDue(timed, last, next - 1)).toBeUndefined();
          last = next;
        }
      }
    },
  );

  it('what was missed comes down to the newest', () => {
    const tenMinutes = { cron: '*/10 * * * *', timeZone: 'UTC', period: '10m' };
    const due = newestDue(tenMinutes, at('2024-01-01T00:00:00Z'), at('2024-01-01T02:15:00Z'))!;
    expect(iso(due)).toBe('2024-01-01T02:10');
    expect(missedBetween(tenMinutes, at('2024-01-01T00:00:00Z'), due)).toBe(12);
    expect(newestDue(tenMinutes, due, at('2024-01-01T02:19:59Z'))).toBeUndefined();
  });

  it('without a schedule the newest period is that of the calendar of its zone', () => {
    const monthly = { cron: undefined, timeZone: 'Europe/Berlin', period: '1mo' };
    const { fromMs, toMs } = newestPeriod(monthly, at('2024-04-15T12:00:00Z'));
    expect([iso(fromMs), iso(toMs)]).toEqual(['2024-02-29T23:00', '2024-03-31T22:00']);
  });
});
