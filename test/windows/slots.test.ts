import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sessionsOf } from '../../src/windows/sessions.ts';
import { slotsOf, spanOf, windowsAt } from '../../src/windows/slots.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const tumbling = (sizeMs: number, timeZone = 'UTC', originMs = 0) =>
  slotsOf({ shape: { kind: 'tumbling', sizeMs }, timeZone, originMs })!;
const iso = (ms: number) => new Date(ms).toISOString();

describe('slots', () => {
  it('of a day have 23 and 25 hours where the clocks change', () => {
    const slots = tumbling(DAY, 'Europe/Berlin');
    const hours = (day: string) => {
      const { startMs, endMs } = spanOf(slots, slots.at(Date.parse(day)));
      return [iso(startMs), (endMs - startMs) / HOUR];
    };
    expect(hours('2026-03-29T12:00:00Z')).toEqual(['2026-03-28T23:00:00.000Z', 23]);
    expect(hours('2026-10-25T12:00:00Z')).toEqual(['2026-10-24T22:00:00.000Z', 25]);
    expect(hours('2026-06-01T12:00:00Z')).toEqual(['2026-05-31T22:00:00.000Z', 24]);
  });

  it('begin at an origin, by the clocks of the zone', () => {
    const shift = tumbling(DAY, 'Europe/Berlin', 6 * HOUR);
    for (const day of ['2026-01-15', '2026-07-15']) {
      const start = shift.start(shift.at(Date.parse(`${day}T12:00:00Z`)));
      expect(new Date(start).toLocaleTimeString('de', { timeZone: 'Europe/Berlin' })).toBe('06:00:00');
    }
    // 1970-01-01 was a Thursday: weeks that begin on Monday begin four days later.
    const week = tumbling(7 * DAY, 'America/New_York', 4 * DAY);
    expect(new Date(week.start(week.at(Date.parse('2026-07-15T12:00:00Z')))).getUTCDay()).toBe(1);
    expect(iso(tumbling(HOUR, 'Asia/Kolkata').start(0))).toBe('1969-12-31T18:30:00.000Z');
  });

  it('follow one another without gaps, and every moment lies in exactly one', () => {
    const shape = fc.record({
      days: fc.integer({ min: 1, max: 40 }),
      zone: fc.constantFrom(
        'UTC',
        'Europe/Berlin',
        'America/New_York',
        'Australia/Lord_Howe',
        'Asia/Kolkata',
      ),
      originMs: fc.integer({ min: 0, max: 20 * DAY }),
      ms: fc.integer({ min: 0, max: 4e12 }),
    });
    fc.assert(
      fc.property(shape, ({ days, zone, originMs, ms }) => {
        const slots = tumbling(days * DAY, zone, originMs);
        const index = slots.at(ms);
        expect(slots.start(index)).toBeLessThanOrEqual(ms);
        expect(slots.start(index + 1)).toBeGreaterThan(ms);
        expect(slots.at(slots.start(index))).toBe(index);
      }),
      { numRuns: 200 },
    );
  });

  it('make sliding windows: each moment lies in as many as slides fit into the size', () => {
    const slots = slotsOf({
      shape: { kind: 'sliding', sizeMs: 30, slideMs: 10 },
      timeZone: 'UTC',
      originMs: 0,
    })!;
    const spans = windowsAt(slots, 25).map((window) => spanOf(slots, window));
    expect(spans.map(({ startMs, endMs }) => [startMs, endMs])).toEqual([
      [0, 30],
      [10, 40],
      [20, 50],
    ]);
  });
});

describe('sessions', () => {
  const shape = { gapMs: 10, maxMs: 25 };
  const of = (...times: number[]) => sessionsOf(shape, times).map(({ startMs, endMs }) => [startMs, endMs]);

  it('end a gap behind their last event; an event at that moment begins another', () => {
    expect(of(0, 9, 18)).toEqual([[0, 25]]);
    expect(of(0, 10)).toEqual([
      [0, 10],
      [10, 20],
    ]);
    expect(of(5)).toEqual([[5, 15]]);
    expect(of()).toEqual([]);
  });

  it('are cut when they have lasted too long', () => {
    expect(of(0, 9, 18, 24, 25, 30)).toEqual([
      [0, 25],
      [25, 40],
    ]);
  });
});
