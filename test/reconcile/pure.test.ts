import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutDays } from '../../src/reconcile/buckets.ts';
import { duration, whyIdTwice, whyMissing, whyRollup } from '../../src/reconcile/explain.ts';
import { rangesOf } from '../../src/reconcile/parts.ts';
import { startWhatIsDue } from '../../src/reconcile/schedule.ts';
import { fixedTenants } from '../../src/tenants/index.ts';
import { TENANT } from './world.ts';

const CALM = {
  ...{
    missing: 0,
    doubled: 0,
    idsTwice: 0,
    lostParts: {},
    rollupsCountMore: undefined,
    horizonMs: 3_600_000,
  },
};

describe('what is decided without looking', () => {
  it('days are cut so that each lies in the slices once, in order, and a slice is small or one day', () => {
    const day = fc.record({
      day: fc.integer({ min: -50_000, max: 100_000 }),
      rows: fc.integer({ min: 1, max: 90 }),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(day, { selector: (one) => one.day, maxLength: 60 }),
        fc.boolean(),
        (all, by) => {
          const days = all.toSorted((a, b) => a.day - b.day);
          const slices = cutDays(days, by, 30);
          for (const { day: one } of days) {
            const holding = slices.filter((slice) => slice.fromDay <= one && one < slice.toDay);
            const [first] = holding;
            expect(holding).toHaveLength(first?.of ?? 1);
            if (first?.of !== undefined)
              expect(holding.map((slice) => slice.part)).toEqual([...Array(first.of).keys()]);
          }
          for (const { fromDay, toDay, of } of slices) {
            const inside = days.filter((one) => fromDay <= one.day && one.day < toDay);
            const rows = inside.reduce((sum, one) => sum + one.rows, 0);
            expect(inside.length === 1 || rows <= 30).toBe(true);
            if (of !== undefined) expect(rows / of).toBeLessThanOrEqual(30);
          }
        },
      ),
    );
  });

  it('offsets become ranges', () => {
    expect(rangesOf([1, 2, 3, 7, 9, 10])).toEqual([
      { from: 1, to: 4 },
      { from: 7, to: 8 },
      { from: 9, to: 11 },
    ]);
  });

  it('it is said why', () => {
    expect(whyMissing(1_200, { ...CALM, rollupsCountMore: 1_200 })).toBe(
      'the events table lost a part, or rows were deleted by hand: 1 200 consecutive offsets are in no table, and the rollups still count 1 200 events more than there are',
    );
    expect(whyRollup(3, 6, 'r', CALM)).toMatch(/counted a batch twice or was written by hand/);
    expect(whyRollup(3, 6, 'r', { ...CALM, missing: 3 })).toMatch(
      /still counts events that the events table has lost/,
    );
    expect(whyRollup(6, 3, 'r', { ...CALM, lostParts: { r: ['has the part x set aside'] } })).toMatch(
      /part x set aside/,
    );
    expect(whyIdTwice(3 * 86_400_000, 86_400_000)).toBe(
      'the same id was stored again 3 days later, beyond the horizon of 24 hours',
    );
    expect(duration(90_000)).toBe('90 seconds');
  });

  it('a stream is due once in a while, counted from its last run or its definition, and never while one goes on', async () => {
    const started: string[] = [];
    const streams = [
      { definition: { name: 'old' }, updatedAtMs: 0 },
      { definition: { name: 'new' }, updatedAtMs: 95_000 },
      { definition: { name: 'done' }, updatedAtMs: 0 },
      { definition: { name: 'going' }, updatedAtMs: 0 },
      { definition: { name: 'again' }, updatedAtMs: 0 },
    ];
    const runs: Record<string, object> = {
      done: { startedAtMs: 50_000, endedAtMs: 60_000 },
      going: { startedAtMs: 10, endedAtMs: undefined },
      again: { startedAtMs: 10, endedAtMs: 20 },
    };
    await startWhatIsDue({
      ...{ tenants: fixedTenants(TENANT), everyMs: 60_000, logger: { error: () => {} } },
      catalog: { streams: () => streams as never },
      runs: {
        list: (_: unknown, filter: { stream?: string }) => [runs[filter.stream!]].filter(Boolean) as never,
      },
      reconciler: { start: (_: unknown, stream: string) => started.push(stream) as never },
      clock: { now: () => 100_000 } as never,
    } as never);
    expect(started).toEqual(['old', 'again']);
  });
});
