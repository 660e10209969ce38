import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findBuckets, sidesOf } from '../../src/reconcile/rollups.ts';
import { scopeOf } from '../../src/reconcile/scope.ts';
import { eventsFrom, ROLLUPS, STREAM, TENANT, World } from './world.ts';

const DAY_MS = 86_400_000;

describe('what is as it should be', () => {
  let world: World;
  beforeEach(async () => {
    world = await World.make();
  });
  afterEach(() => world.end());

  it('has no difference: all measures, nulls, late, duplicates, quarantine, partitions, days', async () => {
    await world.define(STREAM, ROLLUPS);
    for (let round = 0; round < 4; round += 1) {
      const events = eventsFrom(round * 40, 40, world.clock.now());
      await world.send(events, round % 2);
      await world.send([...events.slice(0, 5), 'nonsense'], round % 2);
      world.clock.atMs += DAY_MS / 2;
    }
    await world.send(
      [{ ...eventsFrom(900, 1, world.clock.now())[0], at: world.clock.now() - 30 * DAY_MS }],
      1,
    );
    expect(await world.count(world.discarded, "why = 'late'")).toBe(1);
    expect(await world.count(world.discarded, "why = 'duplicate'")).toBeGreaterThan(5);
    expect(await world.count(world.quarantine)).toBeGreaterThan(5);
    const report = await world.reconcile({ deep: true });
    expect(report.before.differences).toEqual([]);
    expect(report.before.counts).toEqual({});
    expect(report.before.unverifiable).toEqual([]);
    expect(report).toMatchObject({ balanced: true, repairs: [] });
    expect(report.before.records).toBe(4 * 46 + 1);
    expect(report.before.rollups.map(({ name }) => name)).toEqual(['by_kind', 'plain']);
    const repaired = await world.reconcile({ repair: true });
    expect(repaired).toMatchObject({ balanced: true, repairs: [] });
    expect(repaired.after).toBeUndefined();
    expect(await world.leftovers()).toEqual([]);
    expect(world.told).toEqual([]);
  });

  it('has none while events flow', async () => {
    await world.define(STREAM, ROLLUPS);
    await world.send(eventsFrom(0, 200, world.clock.now()));
    let flows = true;
    const flow = (async () => {
      for (let round = 1; flows; round += 1)
        await world.send(eventsFrom(round * 200, 20, world.clock.now()), round % 2);
    })();
    for (let round = 0; round < 3; round += 1)
      expect(await world.reconcile()).toMatchObject({ balanced: true });
    flows = false;
    await flow;
  });

  it('a day that is too heavy is compared in parts of its dimensions', async () => {
    await world.define(STREAM, ROLLUPS);
    await world.send(eventsFrom(0, 60, world.clock.now()));
    const name = world.rollup('by_kind');
    await world.do(`INSERT INTO ${name} SELECT * FROM ${name} WHERE _tier = 60`);
    const run = { tenant: TENANT, name: world.name };
    const scope = await scopeOf(world, run.tenant, run.name, {});
    const rollup = scope.rollups.find(({ definition }) => definition.name === 'by_kind')!;
    const sides = sidesOf(scope, rollup, new Map());
    const fromDay = Math.floor(world.clock.now() / DAY_MS);
    const whole = await findBuckets(world.engine, sides, { fromDay, toDay: fromDay + 1 }, 1_000);
    const found: unknown[] = [];
    for (let part = 0; part < 3; part += 1) {
      const slice = { fromDay, toDay: fromDay + 1, part, of: 3 };
      const { count, listed } = await findBuckets(world.engine, sides, slice, 1_000);
      expect(listed).toHaveLength(count);
      expect(count).toBeGreaterThan(0);
      found.push(...listed);
    }
    expect(found).toHaveLength(whole.count);
    expect(new Set(found.map((one) => JSON.stringify(one)))).toEqual(
      new Set(whole.listed.map((one) => JSON.stringify(one))),
    );
  });

  it('a stream without records, rollups and ids has none', async () => {
    await world.define({ fields: { n: 'int64' }, dedupe: false });
    expect(await world.reconcile({ repair: true, deep: true })).toMatchObject({ balanced: true });
    await world.send([{ n: 1 }, { n: 2 }, 'x']);
    expect(await world.reconcile({ repair: true, deep: true })).toMatchObject({ balanced: true });
  });

  it('sums of floats that nearly cancel out are no difference', async () => {
    await world.define(
      { fields: { r: 'float64', at: 'timestamp' }, eventTime: 'at', dedupe: false },
      { r: { every: '1d', measures: { s: 'sum(r)' } } },
    );
    for (const r of [0.1, 0.2, -0.3, 1e15, 0.7, -1e15]) await world.send([{ r, at: world.clock.now() }]);
    expect(await world.reconcile()).toMatchObject({ balanced: true });
  });
});
