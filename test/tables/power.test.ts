import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHANNELS, openWorld, START_MS, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

const HOUR_MS = 3_600_000;
const BEFORE = [
  { channel_id: 'a', country: 'de' },
  { channel_id: 'b', country: 'de' },
];
const AFTER = [
  { channel_id: 'a', country: 'fr' },
  { channel_id: 'c', country: 'fr' },
  { channel_id: 'd', country: null },
];
const rowsOf = async (name: string) =>
  (await world.current(name)).map(({ channel_id, country }) => [channel_id, country]);
const OLD = [
  ['a', 'de'],
  ['b', 'de'],
];
const NEW = [
  ['a', 'fr'],
  ['b', 'de'],
  ['c', 'fr'],
  ['d', null],
];

describe('when the power goes out at any statement of a change', () => {
  const changes = {
    upsert: { change: (name: string) => world.upsert(name, AFTER), after: NEW, rows: 3 },
    'upsert in the past': {
      change: (name: string) => world.upsert(name, AFTER, { validFromMs: START_MS - HOUR_MS }),
      // What was written later stays in force.
      after: [...OLD, ['c', 'fr'], ['d', null]],
      rows: 3,
    },
    removal: { change: (name: string) => world.remove(name, 'b'), after: [OLD[0]], rows: 1 },
  };
  it.each(Object.entries(changes))(
    '%s: all of it is there or nothing, and the same again completes it',
    async (kind, one) => {
      let reached = 0;
      for (let statement = 1; ; statement += 1) {
        for (const behind of [false, true]) {
          const name = `power_${kind.replaceAll(' ', '_')}_${statement}_${behind}`;
          await world.define(name, CHANNELS);
          await world.upsert(name, BEFORE);
          world.clock.advance(1);
          world.powerGoesOut(statement, behind);
          const outcome = await one.change(name).catch(() => undefined);
          const wasOut = world.isOut();
          world.restart();
          const found = await rowsOf(name);
          expect([OLD, one.after], `${name}`).toContainEqual(found);
          // Acknowledged is there.
          if (outcome) expect(found).toEqual(one.after);
          const again = await one.change(name);
          expect(again.rows).toBe(one.rows);
          expect(await rowsOf(name)).toEqual(one.after);
          const history = await world.history(name);
          await one.change(name);
          expect(await world.history(name), 'no version twice').toEqual(history);
          if (wasOut) reached += 1;
          else if (behind) {
            // Making the staging table, filling it, writing, dropping it.
            expect(reached).toBeGreaterThanOrEqual(6);
            return;
          }
        }
      }
    },
  );

  it('a reader beside a change finds the rows before or those behind it, never some', async () => {
    const name = 'beside';
    await world.define(name, CHANNELS);
    const sizes = [1, 2, 3, 4, 5];
    const rows = (size: number) => Array.from({ length: 300 }, (_, n) => ({ channel_id: `k${n}`, size }));
    await world.upsert(name, rows(0));
    let ends = false;
    const seen: string[] = [];
    const reading = (async () => {
      while (!ends)
        seen.push(JSON.stringify([...new Set((await world.current(name)).map(({ size }) => size))]));
    })();
    for (const size of sizes) {
      world.clock.advance(1);
      await world.upsert(name, rows(size));
    }
    ends = true;
    await reading;
    expect(seen.length).toBeGreaterThan(sizes.length);
    expect(seen.filter((one) => (JSON.parse(one) as number[]).length !== 1)).toEqual([]);
  });
});
