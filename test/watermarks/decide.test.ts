import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, type SourceFacts, type WatermarkFacts } from '../../src/watermarks/decide.ts';

const NOW = Date.UTC(2024, 0, 1, 12);
const MINUTE = 60_000;

const source = (latestMs: number | undefined, more: Partial<SourceFacts> = {}): SourceFacts => ({
  ...{ latestMs, beatMs: undefined, silentMs: 0, ...more },
});
const facts = (sources: readonly SourceFacts[], more: Partial<WatermarkFacts> = {}): WatermarkFacts => ({
  policy: { delayMs: 0, idleMs: MINUTE },
  futureAllowedMs: 24 * 60 * MINUTE,
  sources,
  silentMs: Math.min(0, ...sources.map((one) => one.silentMs)),
  beforeMs: undefined,
  nowMs: NOW,
  ...more,
});
const silent = (sources: readonly SourceFacts[], more: Partial<WatermarkFacts> = {}) =>
  decide(facts(sources, { silentMs: 10 * MINUTE, ...more })).atMs;
const IDLE = { silentMs: 10 * MINUTE };

const anyMs = fc.integer({ min: NOW - 1_000_000, max: NOW + 1_000_000 });
const anySource = fc.record({
  latestMs: fc.option(anyMs, { nil: undefined }),
  beatMs: fc.option(anyMs, { nil: undefined }),
  silentMs: fc.integer({ min: 0, max: 200_000 }),
});
const anyFacts: fc.Arbitrary<WatermarkFacts> = fc.record({
  policy: fc.record({
    delayMs: fc.integer({ min: 0, max: 100_000 }),
    idleMs: fc.option(fc.integer({ min: 1_000, max: 150_000 }), { nil: undefined }),
  }),
  futureAllowedMs: fc.integer({ min: 0, max: 500_000 }),
  sources: fc.array(anySource, { maxLength: 6 }),
  silentMs: fc.integer({ min: 0, max: 200_000 }),
  beforeMs: fc.option(anyMs, { nil: undefined }),
  nowMs: anyMs,
});

describe('the watermark', () => {
  it('is the greatest event time of the source that is least far, less the delay', () => {
    const policy = { delayMs: 5_000, idleMs: MINUTE };
    expect(decide(facts([source(NOW), source(NOW - 7_000)], { policy })).atMs).toBe(NOW - 12_000);
  });

  it('waits for a source that has said nothing yet, until that is idle', () => {
    expect(decide(facts([source(NOW), source(undefined)])).atMs).toBeUndefined();
    expect(decide(facts([source(NOW), source(undefined, IDLE)]))).toEqual({ atMs: NOW, idleSources: 1 });
    const never = { policy: { delayMs: 0, idleMs: undefined } };
    expect(decide(facts([source(NOW), source(undefined, IDLE)], never)).atMs).toBeUndefined();
  });

  it('goes on by a heartbeat where there are no events', () => {
    const beat = { beatMs: NOW - 1_000 };
    expect(decide(facts([source(NOW), source(undefined, beat), source(NOW - 9_000, beat)])).atMs).toBe(
      NOW - 1_000,
    );
  });

  it('follows the clock when the whole stream is silent, at round times, unless told not to', () => {
    expect(silent([source(NOW - 20 * MINUTE, IDLE)], { nowMs: NOW + 100 })).toBe(NOW - MINUTE);
    expect(silent([source(NOW - 20 * MINUTE, IDLE)], { nowMs: NOW + 14_999 })).toBe(NOW - MINUTE);
    expect(silent([source(NOW - 20 * MINUTE, IDLE)], { nowMs: NOW + 15_000 })).toBe(NOW - MINUTE + 15_000);
    const never = { policy: { delayMs: 0, idleMs: undefined } };
    expect(silent([source(NOW - 20 * MINUTE, IDLE)], never)).toBe(NOW - 20 * MINUTE);
  });

  it('is unknown while a stream has said nothing, however long', () => {
    expect(silent([source(undefined, IDLE)])).toBeUndefined();
    expect(silent([])).toBeUndefined();
  });

  it('does not follow the clock while records wait, although no source is known to be awake', () => {
    expect(decide(facts([], { beforeMs: NOW - 20 * MINUTE, silentMs: 0 })).atMs).toBe(NOW - 20 * MINUTE);
  });

  it('never goes back', () => {
    fc.assert(
      fc.property(anyFacts, (one) => {
        const { atMs } = decide(one);
        if (one.beforeMs !== undefined) expect(atMs).toBeGreaterThanOrEqual(one.beforeMs);
      }),
    );
  });

  it('never moves further ahead than the clock allows, whatever events and heartbeats say', () => {
    fc.assert(
      fc.property(anyFacts, (one) => {
        const { atMs } = decide(one);
        if (atMs !== undefined && atMs !== one.beforeMs)
          expect(atMs).toBeLessThanOrEqual(one.nowMs + one.futureAllowedMs);
      }),
    );
  });

  it('never passes a source that is awake', () => {
    fc.assert(
      fc.property(anyFacts, (one) => {
        const { atMs } = decide(one);
        if (atMs === undefined || atMs === one.beforeMs) return;
        for (const { latestMs, beatMs, silentMs } of one.sources) {
          if (one.policy.idleMs !== undefined && silentMs >= one.policy.idleMs) continue;
          const told = Math.max((latestMs ?? -Infinity) - one.policy.delayMs, beatMs ?? -Infinity);
          expect(atMs).toBeLessThanOrEqual(told);
        }
      }),
    );
  });

  it('does not depend on the order of the sources', () => {
    fc.assert(
      fc.property(anyFacts, (one) => {
        expect(decide({ ...one, sources: [...one.sources].reverse() })).toEqual(decide(one));
      }),
    );
  });
});
