import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addCounts, subtractCounts } from '../../web/src/model/count.ts';
import { firstEventLine } from '../../web/src/model/example.ts';
import { dimensions, measurable } from '../../web/src/model/fields.ts';
import {
  formatBucket,
  formatDuration,
  formatMeasure,
  formatMeasures,
  formatRate,
  formatShare,
  formatValue,
  readTime,
} from '../../web/src/model/format.ts';
import { parseExact } from '../../web/src/model/json.ts';
import { align, BUCKETS_MAX, defaultRange, resolveRange } from '../../web/src/model/range.ts';
import { RateMeter } from '../../web/src/model/rate.ts';
import { readStreams } from '../../web/src/model/stream.ts';
import { readView, takeKey, writeView } from '../../web/src/model/view.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('numbers', () => {
  it('keep every digit from the answer to the page', () => {
    const answer = parseExact('{"big": 18446744073709551615, "cents": 123456789012345678.25, "small": 2.5}');
    expect(Object.values(answer as object).map(formatValue)).toEqual([
      '18446744073709551615',
      '123456789012345678.25',
      '2.5',
    ]);
  });

  it('add and subtract exactly beyond 2^53', () => {
    expect(addCounts([9_007_199_254_740_993n, 1, 1])).toBe(9_007_199_254_740_995n);
    expect(subtractCounts(9_007_199_254_740_993n, 9_007_199_254_740_990n)).toBe(3);
  });

  it('are written so that they can be read', () => {
    expect([7, 1234.5678, 0.001234, 9_007_199_254_740_993n, null].map(formatMeasure)).toEqual([
      '7',
      '1,234.57',
      '0.001234',
      '9,007,199,254,740,993',
      '–',
    ]);
    expect(formatMeasures([1, 22.456, null])).toEqual(['1.00', '22.46', '–']);
    expect([null, 0, 0.04, 9.96, 1234.4].map(formatRate)).toEqual(['–', '0', '<0.1', '10.0', '1,234']);
    expect([0, 0.0001, 0.5].map(formatShare)).toEqual(['0.0%', '<0.1%', '50.0%']);
    expect([0, 3.21, 1_530, 5_400_000, 400 * DAY].map(formatDuration)).toEqual([
      '0 ms',
      '3.2 ms',
      '1.5 s',
      '1.5 h',
      '400 d',
    ]);
  });

  it('of years beyond four digits and before the first keep their form', () => {
    const far = readTime('+012345-01-02T00:00:00.000Z')!;
    expect(formatBucket(far, DAY)).toBe('+012345-01-02');
    expect(readTime('no time')).toBeNull();
  });
});

describe('a range', () => {
  it('has at most 300 buckets, whole ones, around everything asked for', () => {
    const twoCenturies = 200 * 365 * DAY;
    const spans = fc.oneof(fc.integer({ min: 1, max: DAY }), fc.integer({ min: 1, max: twoCenturies }));
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 2e12 }), spans, (from, span) => {
        const { from: start, to, step } = align(from, from + span);
        expect(start).toBeLessThanOrEqual(from);
        expect(to).toBeGreaterThanOrEqual(from + span);
        expect([step.floor(start), step.floor(to)]).toEqual([start, to]);
        let buckets = 0;
        for (let at = start; at < to; at = step.next(at)) buckets += 1;
        expect(buckets).toBeLessThanOrEqual(BUCKETS_MAX);
      }),
    );
  });

  it('of weeks starts on a Monday, of months on the first', () => {
    const from = Date.UTC(2001, 4, 17);
    const weeks = align(from, from + 1_000 * DAY);
    expect([weeks.step.every, new Date(weeks.from).getUTCDay()]).toEqual(['1w', 1]);
    const months = align(from, from + 4_000 * DAY);
    expect([months.step.every, formatBucket(months.from, DAY)]).toEqual(['1mo', '2001-05-01']);
    const quarters = align(from, from + 12_000 * DAY);
    expect([quarters.step.every, formatBucket(quarters.from, DAY)]).toEqual(['3mo', '2001-04-01']);
  });

  it('is the whole data for a stream whose events are old', () => {
    const now = Date.UTC(2026, 0, 1);
    const old = { firstEventAt: Date.UTC(2001, 0, 1), lastEventAt: Date.UTC(2001, 5, 30, 23) };
    expect(defaultRange(now, old)).toBe('all');
    expect(defaultRange(now, { firstEventAt: now - DAY, lastEventAt: now })).toBe('1h');
    expect(resolveRange('all', now, old)).toMatchObject({ from: old.firstEventAt, to: Date.UTC(2001, 6, 1) });
    expect(resolveRange('all', now, { firstEventAt: null, lastEventAt: null })).toBeUndefined();
  });
});

describe('the rate', () => {
  it('is that of the last seconds, and starts anew after a silence or a reset', () => {
    const meter = new RateMeter();
    meter.read(1_000, 0);
    expect(meter.perSecond).toBeNull();
    for (let second = 1; second <= 20; second += 1) meter.read(1_000 + second * 50, second * 1_000);
    expect(meter.perSecond).toBe(50);
    meter.read(10, 21_000);
    expect(meter.perSecond).toBeNull();
    meter.read(20, 22_000);
    expect(meter.perSecond).toBe(10);
    meter.read(1_000_000, 60_000);
    expect(meter.perSecond).toBeNull();
  });
});

describe('the address', () => {
  it('gives the key away and keeps the rest', () => {
    expect(takeKey('#stream=a&key=x%2By&range=1h')).toEqual({ key: 'x+y', rest: '#stream=a&range=1h' });
    expect(takeKey('#key=a+b=')).toEqual({ key: 'a+b=', rest: '' });
    expect(takeKey('#stream=a')).toEqual({ key: undefined, rest: '#stream=a' });
  });

  it('carries a view there and back, and drops what it does not know', () => {
    const view = { stream: 'a b&c', range: '7d', fn: 'p95', field: 'x', by: 'y' } as const;
    expect(readView(writeView(view))).toEqual(view);
    expect(readView('#range=9y&fn=drop')).toEqual({});
  });
});

describe('a stream', () => {
  const [stream] = readStreams({
    streams: [
      {
        name: 'sales',
        document: {
          fields: {
            id: 'uint64',
            amount: 'decimal(12,2)',
            note: { type: 'string', optional: true },
            shop: { type: 'enum', values: ["O'Hare", 'Orly'] },
            at: 'timestamp',
          },
          eventId: 'id',
        },
        state: {},
      },
    ],
  });

  it('offers numeric fields to measure, and named values first to count by, its id last', () => {
    expect(measurable(stream!).map(({ name }) => name)).toEqual(['amount']);
    expect(dimensions(stream!).map(({ name }) => name)).toEqual(['shop', 'note', 'id']);
  });

  it('gives an example that a shell takes as it is', () => {
    const line = firstEventLine('http://localhost:7070', stream!, '2026-01-01T00:00:00Z');
    expect(line).toContain(`-d '{"id":1,"amount":1.5,"shop":"O'\\''Hare","at":"2026-01-01T00:00:00Z"}'`);
  });
});
