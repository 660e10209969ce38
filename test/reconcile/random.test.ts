/** Random damage to random histories: after a repair everything is as it was. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eventsFrom, ROLLUPS, STREAM, World } from './world.ts';

const DAY_MS = 86_400_000;
const table = fc.constantFrom('events', 'quarantine', 'discarded');
const cut = fc.record({
  table,
  partition: fc.nat(1),
  from: fc.nat(60),
  count: fc.integer({ min: 1, max: 25 }),
});
const rollup = fc.constantFrom('by_kind', 'plain');
const damage = fc.oneof(
  cut.map((one) => ({ kind: 'delete' as const, ...one })),
  cut.map((one) => ({ kind: 'double' as const, ...one })),
  fc.record({ kind: fc.constant('drop-part' as const), table }),
  fc.record({ kind: fc.constant('rollup-twice' as const), rollup, modulus: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('rollup-delete' as const), rollup, modulus: fc.integer({ min: 1, max: 5 }) }),
);
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

async function harm(world: World, one: Damage): Promise<void> {
  if (one.kind === 'rollup-twice') {
    const name = world.rollup(one.rollup);
    await world.do(
      `INSERT INTO ${name} SELECT * FROM ${name} WHERE _tier > 0 AND sipHash64(_bucket) % ${one.modulus} = 0`,
    );
    return;
  }
  if (one.kind === 'rollup-delete') {
    const name = world.rollup(one.rollup);
    await world.do(
      `ALTER TABLE ${name} DELETE WHERE _tier > 0 AND sipHash64(_bucket) % ${one.modulus} = 0 SETTINGS mutations_sync = 2`,
    );
    return;
  }
  const name = world[one.table as 'events' | 'quarantine' | 'discarded'];
  if (one.kind === 'drop-part') {
    if ((await world.partsOf(name)).length > 0) await world.dropPart(name);
    return;
  }
  const where = `_partition = ${one.partition} AND _offset >= ${one.from} AND _offset < ${one.from + one.count}`;
  if (one.kind === 'delete') {
    await world.do(`ALTER TABLE ${name} DELETE WHERE ${where} SETTINGS mutations_sync = 2`);
    return;
  }
  // One day of arrival at a time, as every insert is.
  for (const row of await world.ask(
    `SELECT DISTINCT toYYYYMMDD(_received) AS day FROM ${name} WHERE ${where}`,
  ))
    await world.do(
      `INSERT INTO ${name} SELECT * FROM ${name} WHERE ${where} AND toYYYYMMDD(_received) = ${row.day}`,
    );
}

it('random damage is found and repaired', { timeout: 180_000 }, async () => {
  const world = await World.make();
  try {
    await world.define(STREAM, ROLLUPS);
    for (let round = 0; round < 4; round += 1) {
      const events = eventsFrom(round * 30, 30, world.clock.now());
      await world.send([...events, ...events.slice(3, 9), 'nonsense'], round % 2);
      world.clock.atMs += DAY_MS / 3;
    }
    const rows = await world.rows();
    const totals = [world.totals(0), world.totals(1)];
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (all) => {
        for (const one of all) await harm(world, one);
        expect(await world.reconcile({ repair: true })).toMatchObject({ balanced: true });
        expect(await world.rows()).toBe(rows);
        expect([world.totals(0), world.totals(1)]).toEqual(totals);
        expect(await world.leftovers()).toEqual([]);
      }),
      { numRuns: 5, endOnFailure: true },
    );
  } finally {
    await world.end();
  }
});
