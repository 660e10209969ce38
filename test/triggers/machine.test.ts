import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TriggerCondition } from '../../src/define/model.ts';
import { type GroupState, type Observation, type Rule, step, type Told } from '../../src/triggers/machine.ts';

const MINUTE = 60_000;

function through(rule: Rule, observations: readonly Observation[]) {
  let state: GroupState | undefined;
  const told: Told[] = [];
  for (const observation of observations) {
    const next = step(rule, state, observation, (atMs) => `${atMs}-${told.length}`);
    state = next.state;
    if (next.told) told.push(next.told);
  }
  return { state, told };
}

const rule = (when: TriggerCondition, more: Partial<Rule> = {}): Rule => ({
  ...{ when, forMs: 0, muteMs: 0 },
  ...more,
});
const minutes = (...values: readonly (number | null)[]): Observation[] =>
  values.map((value, index) => ({ atMs: index * MINUTE, value }));
const statusesOf = ({ told }: { readonly told: readonly Told[] }) =>
  told.map(({ status, atMs }) => `${status} ${atMs / MINUTE}`);

const above = (value: number, clear = value): TriggerCondition => ({ kind: 'above', value, clear });

describe('the life of a trigger', () => {
  it('fires once and resolves once', () => {
    expect(statusesOf(through(rule(above(10)), minutes(1, 11, 12, 9, 8, 20)))).toEqual([
      ...['firing 1', 'resolved 3', 'firing 5'],
    ]);
  });

  it('is over only beyond the second threshold', () => {
    expect(statusesOf(through(rule(above(10, 5)), minutes(11, 9, 11, 6, 5, 9)))).toEqual([
      ...['firing 0', 'resolved 4'],
    ]);
    const below: TriggerCondition = { kind: 'below', value: 5, clear: 10 };
    expect(statusesOf(through(rule(below), minutes(4, 6, 9, 10, 6)))).toEqual(['firing 0', 'resolved 3']);
  });

  it('waits until the condition has held for long enough, without a gap', () => {
    const patient = rule(above(10), { forMs: 2 * MINUTE });
    expect(statusesOf(through(patient, minutes(11, 11, 9, 11, 11, 11, 11)))).toEqual(['firing 5']);
  });

  it('does not fire again within its own silence; what still holds fires when that is over', () => {
    const silent = rule(above(10), { muteMs: 5 * MINUTE });
    expect(statusesOf(through(silent, minutes(11, 9, 11, 11, 11, 11, 11)))).toEqual([
      ...['firing 0', 'resolved 1', 'firing 5'],
    ]);
  });

  it('does not fire while it is muted by hand, and is resolved all the same', () => {
    const muted = (from: number, to: number) => (one: Observation, index: number) => ({
      ...one,
      isMuted: index >= from && index < to,
    });
    expect(statusesOf(through(rule(above(10)), minutes(11, 11, 11).map(muted(0, 2))))).toEqual(['firing 2']);
    expect(statusesOf(through(rule(above(10)), minutes(11, 9, 11).map(muted(1, 3))))).toEqual([
      ...['firing 0', 'resolved 1'],
    ]);
  });

  it('compares with an earlier number, where there is one', () => {
    const changes = rule({ kind: 'changes', by: 0.5, withinMs: MINUTE });
    const observations = [
      ...[null, 0, 100, 100, 100].map((before, index) => ({ atMs: index, value: 149, before })),
      { atMs: 5, value: 150, before: 100 },
      { atMs: 6, value: 120, before: 100 },
      { atMs: 7, value: 50, before: 100 },
    ];
    expect(through(changes, observations).told.map(({ status, atMs }) => [status, atMs])).toEqual([
      ['firing', 5],
      ['resolved', 6],
      ['firing', 7],
    ]);
  });

  it('compares with the same time of the last weeks, from two on', () => {
    const deviates = rule({ kind: 'deviates', factor: 3, weeks: 4 });
    const told = (value: number, earlier: readonly number[]) =>
      through(deviates, [{ atMs: 0, value, earlier }]).told.length;
    expect(told(1_000, [100])).toBe(0);
    // The deviation of 90, 100, 110 is 10.
    expect(told(130, [90, 100, 110])).toBe(0);
    expect(told(131, [90, 100, 110])).toBe(1);
    expect(told(69, [90, 100, 110])).toBe(1);
  });

  it('knows who has been silent for too long, and who is back', () => {
    const absent = rule({ kind: 'absent', forMs: 3 * MINUTE });
    const at = (minute: number, alive?: number): Observation => ({
      ...{ atMs: minute * MINUTE, value: null },
      ...(alive === undefined ? {} : { aliveAtMs: alive * MINUTE }),
    });
    const seen = through(absent, [at(0, 0), at(2), at(3), at(4), at(5, 4), at(6), at(7)]);
    expect(statusesOf(seen)).toEqual(['firing 3', 'resolved 5', 'firing 7']);
  });

  it('leaves an observation alone that is older than the newest, and takes one of the same moment instead', () => {
    const { state, told } = through(rule(above(10)), [
      ...minutes(1, 11),
      { atMs: 0, value: 5 },
      { atMs: MINUTE, value: 9 },
    ]);
    expect(told.map(({ status }) => status)).toEqual(['firing', 'resolved']);
    expect(state).toMatchObject({ phase: 'inactive', value: 9, atMs: MINUTE });
  });
});

const condition: fc.Arbitrary<TriggerCondition> = fc.oneof(
  fc
    .tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 4 }))
    .map(([value, gap]) => ({ kind: 'above' as const, value, clear: value - gap })),
  fc
    .tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 4 }))
    .map(([value, gap]) => ({ kind: 'below' as const, value, clear: value + gap })),
  fc.record({
    kind: fc.constant('changes' as const),
    by: fc.double({ min: 0.1, max: 2, noNaN: true }),
    withinMs: fc.constant(60_000),
  }),
  fc.integer({ min: 1, max: 20 }).map((forMs) => ({ kind: 'absent' as const, forMs })),
);
const observations = fc.array(
  fc.record({
    passed: fc.integer({ min: -2, max: 6 }),
    value: fc.option(fc.integer({ min: -10, max: 10 })),
    before: fc.option(fc.integer({ min: -10, max: 10 })),
    isAlive: fc.boolean(),
    isMuted: fc.boolean(),
  }),
  { maxLength: 60 },
);
const history = fc.tuple(
  fc.record({
    when: condition,
    forMs: fc.integer({ min: 0, max: 8 }),
    muteMs: fc.integer({ min: 0, max: 15 }),
  }),
  observations.map((all) => {
    let atMs = 100;
    return all.map(({ passed, isAlive, ...one }): Observation => {
      atMs += passed;
      return { ...one, atMs, ...(isAlive ? { aliveAtMs: atMs } : {}) };
    });
  }),
);

describe('whatever is observed', () => {
  it('firings and resolutions take turns, and belong together', () => {
    fc.assert(
      fc.property(history, ([rule, all]) => {
        const { told } = through(rule, all);
        told.forEach((one, index) => {
          expect(one.status).toBe(index % 2 === 0 ? 'firing' : 'resolved');
          if (one.status === 'firing') expect(one.atMs - one.sinceMs).toBeGreaterThanOrEqual(rule.forMs);
          else expect(one).toMatchObject({ id: told[index - 1]!.id, firedAtMs: told[index - 1]!.atMs });
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('it fires never while it is muted, nor within its own silence', () => {
    fc.assert(
      fc.property(history, ([rule, all]) => {
        let state: GroupState | undefined;
        let silentUntil = Number.NEGATIVE_INFINITY;
        for (const one of all) {
          const next = step(rule, state, one, String);
          if (next.told?.status === 'firing') {
            expect(one.isMuted).toBe(false);
            expect(one.atMs).toBeGreaterThanOrEqual(silentUntil);
            silentUntil = one.atMs + rule.muteMs;
          }
          state = next.state;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('between two thresholds nothing begins and nothing ends', () => {
    fc.assert(
      fc.property(history, ([rule, all]) => {
        const { when } = rule;
        fc.pre(when.kind === 'above');
        let state: GroupState | undefined;
        for (const one of all) {
          const next = step(rule, state, one, String);
          const isBetween = one.value !== null && one.value <= when.value && one.value > when.clear;
          if (isBetween) expect(next.told).toBeUndefined();
          state = next.state;
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('the same observations give the same, wherever they are cut: the state is all that is remembered', () => {
    fc.assert(
      fc.property(history, fc.nat(), ([rule, all], cut) => {
        const whole = through(rule, all);
        let state: GroupState | undefined;
        const told: Told[] = [];
        for (const [index, one] of all.entries()) {
          if (index === cut % (all.length + 1)) state = state && JSON.parse(JSON.stringify(state));
          const next = step(rule, state, one, (atMs) => `${atMs}-${told.length}`);
          state = next.state;
          if (next.told) told.push(next.told);
        }
        expect({ state, told }).toEqual(whole);
      }),
    );
  });
});
