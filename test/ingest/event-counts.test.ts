import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addCounts, bucketsOf, countBetween, NO_COUNTS } from '../../src/ingest/index.ts';

const MINUTE = 60_000;
const DAY = 1_440;

describe('counts by minute of event time', () => {
  it('are those of all minutes that a range touches', () => {
    const counts = addCounts(NO_COUNTS, [
      [-3, 1],
      [10, 2],
      [11, 3],
    ]);
    expect(countBetween(counts, 10 * MINUTE + 1, 11 * MINUTE)).toEqual({ count: 2, isExact: true });
    expect(countBetween(counts, 11 * MINUTE - 1, 11 * MINUTE + 1)).toEqual({ count: 5, isExact: true });
    expect(countBetween(counts, -3 * MINUTE, 10 * MINUTE)).toEqual({ count: 1, isExact: true });
    expect(countBetween(counts, 12 * MINUTE, 90 * MINUTE)).toEqual({ count: 0, isExact: true });
  });

  it('grow coarser with age: a range that cuts an hour is not told exactly', () => {
    const counts = addCounts(
      NO_COUNTS,
      [
        [DAY, 1],
        [DAY + 70, 2],
        [DAY + 80, 3],
        [DAY + 200, 4],
      ],
      2,
    );
    expect([...bucketsOf(counts)].map(([start, count, width]) => [start - DAY, count, width])).toEqual([
      [200, 4, 1],
      [0, 1, 60],
      [60, 5, 60],
    ]);
    const at = (from: number, to: number) => countBetween(counts, (DAY + from) * MINUTE, (DAY + to) * MINUTE);
    expect(at(0, 120)).toEqual({ count: 6, isExact: true });
    expect(at(65, 120)).toEqual({ count: 5, isExact: false });
    expect(at(0, 75)).toEqual({ count: 6, isExact: false });
    expect(at(120, 150)).toEqual({ count: 0, isExact: true });
    // What comes later into an hour that is known as a whole belongs there.
    const more = addCounts(counts, [[DAY + 71, 5]], 2);
    expect(countBetween(more, (DAY + 60) * MINUTE, (DAY + 120) * MINUTE)).toEqual({
      count: 10,
      isExact: true,
    });
  });

  it('are bounded, and what they call exact is what a plain list has', () => {
    const minute = fc.integer({ min: -5 * DAY, max: 5 * DAY });
    const found = fc.array(fc.tuple(minute, fc.integer({ min: 1, max: 9 })), { maxLength: 30 });
    const histories = fc.array(found, { maxLength: 6 });
    const [length, most] = [fc.nat({ max: 3 * DAY }), fc.integer({ min: 1, max: 8 })];
    fc.assert(
      fc.property(histories, minute, length, most, (batches, from, minutes, max) => {
        let counts = NO_COUNTS;
        for (const batch of batches) counts = JSON.parse(JSON.stringify(addCounts(counts, batch, max)));
        for (const tier of [counts.minutes, counts.hours, counts.days])
          expect(tier.length).toBeLessThanOrEqual(2 * max);
        const told = countBetween(counts, from * MINUTE, (from + minutes) * MINUTE);
        const is = batches
          .flat()
          .filter(([at]) => at >= from && at < from + minutes)
          .reduce((sum, [, count]) => sum + count, 0);
        if (told.isExact) expect(told.count).toBe(is);
        else if (counts.forgotten === undefined) expect(told.count).toBeGreaterThanOrEqual(is);
      }),
      { numRuns: 500 },
    );
  });
});
