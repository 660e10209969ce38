/** Zones and calendars: what the engine computes right, and what Millrace computes instead. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { bucketStarts, parseEvery } from '../../src/stats/calendar.ts';
import { assumption, Scratch, weakness } from './support.ts';

const ZONES = [
  'Australia/Lord_Howe',
  'Europe/Berlin',
  'America/Sao_Paulo',
  'Asia/Kolkata',
  'Asia/Kathmandu',
] as const;
const QUARTER = 900;
/** Two years of quarter hours; in 2018 São Paulo still changed its clocks, at midnight. */
const SPANS = [Date.UTC(2018, 0, 1) / 1_000, Date.UTC(2024, 0, 1) / 1_000];
const YEAR_SECONDS = 366 * 86_400;
const OURS =
  'src/stats/calendar.ts, src/stats/statement.ts: hours by arithmetic on UTC, days by the starts we give';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await Scratch.open();
  const moments = SPANS.map((from) => `range(${from}, ${from + YEAR_SECONDS}, ${QUARTER})`).join(', ');
  scratch.ask('CREATE TABLE a.quarters (s Int64) ENGINE = Memory');
  scratch.ask(`INSERT INTO a.quarters SELECT arrayJoin(arrayConcat(${moments}))`);
});
afterAll(() => scratch.close());

/** How many quarter hours of the two years are put into an hour that does not begin at minute 0 of the zone. */
const wrongHours = (zone: string): number =>
  scratch.number(`SELECT countIf(toMinute(toStartOfHour(toDateTime(s, '${zone}'))) != 0) FROM a.quarters`);

describe('hours', () => {
  weakness('toStartOfHour is wrong around the half-hour clock changes of Lord Howe', OURS, () => {
    expect(wrongHours('Australia/Lord_Howe')).toBe(352);
  });

  for (const zone of ZONES.slice(1)) {
    assumption(`toStartOfHour is right in ${zone}`, OURS, () => {
      expect(wrongHours(zone)).toBe(0);
    });
  }

  assumption('buckets by arithmetic on UTC are what they say, before 1970 too', OURS, () => {
    const width = 3_600;
    const moments = [-62_000_000_001, -3_601, -3_600, -1, 0, 3_599, 1_712_415_600];
    const found = scratch
      .lines(
        `SELECT s - positiveModulo(s, ${width}) FROM (SELECT arrayJoin([${moments.join(', ')}])::Int64 AS s)`,
      )
      .map(([start]) => Number(start));
    expect(found).toEqual(moments.map((moment) => Math.floor(moment / width) * width));
  });
});

describe('days', () => {
  for (const zone of ZONES) {
    assumption(
      `the days that Millrace lays out for ${zone} are the engine's own dates, quarter hour by quarter hour`,
      `${OURS}; both sides bring a zone table of their own, and they must agree`,
      () => {
        const starts = SPANS.flatMap((from) =>
          bucketStarts(parseEvery('1d')!, from * 1_000, (from + YEAR_SECONDS) * 1_000, zone),
        ).map((ms) => ms / 1_000);
        expect(starts.every((start) => start % QUARTER === 0)).toBe(true);
        const [row] = scratch.lines(
          `SELECT count(), countIf(dates > 1), uniqExact(start), max(steps) FROM (
             SELECT roundDown(s, [${starts.join(', ')}]::Array(Int64)) AS start, uniqExact(toDate(toDateTime(s, '${zone}'))) AS dates, count() AS steps
             FROM a.quarters GROUP BY start)`,
        );
        const days = Number(row![0]);
        expect(days).toBe(starts.length);
        expect(Number(row![3]), 'quarter hours of the longest day').toBeLessThanOrEqual(100);
        expect(Number(row![1]), 'days that hold two dates of the zone').toBe(0);
      },
    );
  }

  assumption(
    'in Kolkata, Kathmandu and Lord Howe days do not begin at full hours of UTC, yet always at its quarter hours',
    'src/stats/plan.ts: a tier answers days of a zone only when their starts are its buckets',
    () => {
      for (const zone of ['Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe']) {
        const odd = scratch.lines(
          `SELECT countIf(toUnixTimestamp(d) % 3600 != 0) > 0, countIf(toUnixTimestamp(d) % ${QUARTER} != 0) FROM (SELECT DISTINCT toStartOfDay(toDateTime(s, '${zone}')) AS d FROM a.quarters)`,
        );
        expect(odd).toEqual([['1', '0']]);
      }
    },
  );

  assumption(
    'a DateTime64 in UTC keeps milliseconds from 1900 to 2299',
    'src/store/layout.ts, src/ingest/classify.ts',
    () => {
      for (const ms of [Date.UTC(1900, 0, 1), -1, 0, Date.UTC(2299, 11, 31, 23, 59, 59, 999)]) {
        const kept = `toUnixTimestamp64Milli(fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC'))`;
        expect(scratch.number(`SELECT ${kept}`)).toBe(ms);
      }
    },
  );
});
