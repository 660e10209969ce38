import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import type { Engine, Statement } from '../../src/store/index.ts';
import { eventsFrom, STREAM, TENANT, World } from './world.ts';

const ROLLUPS = {
  r: { by: ['kind'], every: '1h', measures: { events: 'count()', total: 'sum(price)', ids: 'unique(id)' } },
};
const HOUR_MS = 3_600_000;

let world: World;
let rows: string;
let totals: object;
beforeAll(async () => {
  world = await World.make();
  await world.define({ ...STREAM, partitions: 1 }, ROLLUPS);
  for (let round = 0; round < 3; round += 1) {
    const events = eventsFrom(round * 30, 30, world.clock.now());
    await world.send([...events, ...events.slice(0, 4)]);
    world.clock.atMs += 20 * HOUR_MS;
  }
  // Stored again beyond the horizon: to be moved.
  await world.send(eventsFrom(0, 2, world.clock.now()));
  await world.reconcile({ repair: true });
  rows = await world.rows();
  totals = world.totals();
}, 60_000);
afterAll(() => world.end());

/** Everything at once: a lost part, rows that are there twice or in two tables, an id that is stored twice, a wrong rollup. */
async function damage(): Promise<void> {
  await world.dropPart(world.quarantine);
  await world.do(
    `INSERT INTO ${world.events} SELECT * FROM ${world.events} WHERE _offset < 20 AND toYYYYMMDD(_received) = 20240501`,
  );
  await world.do(
    `INSERT INTO ${world.discarded} (_partition, _offset, _received, _time, _id, _id_hash, why, line) SELECT _partition, _offset, _received, _time, _id, _id_hash, 'duplicate', '' FROM ${world.events} WHERE _offset IN (22, 23)`,
  );
  await world.do(
    `INSERT INTO ${world.events} SELECT e.* REPLACE (d._partition AS _partition, d._offset AS _offset, d._received AS _received) FROM ${world.events} AS e INNER JOIN ${world.discarded} AS d ON e._id_hash = d._id_hash WHERE d._offset = 33 LIMIT 1`,
  );
  await world.do(`ALTER TABLE ${world.discarded} DELETE WHERE _offset = 33 SETTINGS mutations_sync = 2`);
  await world.do(
    `INSERT INTO ${world.rollup('r')} SELECT * FROM ${world.rollup('r')} WHERE _tier = 3600 LIMIT 2`,
  );
}

async function expectWhole(): Promise<void> {
  expect(await world.rows()).toBe(rows);
  expect(world.totals()).toEqual(totals);
  expect(await world.leftovers()).toEqual([]);
  expect(await world.reconcile()).toMatchObject({ balanced: true, before: { counts: {} } });
}

const failure = () => new MillraceError('store-unavailable', 'the store refused a statement: made to');

/** An engine whose writes pass through `write`. */
const writing =
  (write: (statement: Statement, execute: () => Promise<void>) => Promise<void>) =>
  (engine: Engine): Engine => ({
    execute: (statement) => write(statement, () => engine.execute(statement)),
    query: (...args) => engine.query(...args),
    stream: (...args) => engine.stream(...args),
    rows: (...args) => engine.rows(...args),
    close: () => engine.close(),
  });

describe('a repair ends the same', { timeout: 120_000 }, () => {
  for (const when of ['before', 'after'] as const) {
    it(`when each of its statements fails once, ${when} it was done`, async () => {
      const failed = new Set<string>();
      await world.close();
      await world.open(
        writing(async ({ text }, execute) => {
          const isFirst = !failed.has(text);
          failed.add(text);
          if (isFirst && when === 'before') throw failure();
          await execute();
          if (isFirst) throw failure();
        }),
      );
      await damage();
      expect(await world.reconcile({ repair: true })).toMatchObject({
        balanced: true,
        after: { counts: {} },
      });
      expect(failed.size).toBeGreaterThan(15);
      await expectWhole();
    });
  }

  for (const [number, at] of [1, 7, 14, 22].entries()) {
    it(`when the process dies at its statement ${at} and comes back`, async () => {
      let count = 0;
      let died = () => {};
      const dying = new Promise<void>((resolve) => {
        died = resolve;
      });
      let leave = () => {};
      const left = new Promise<void>((resolve) => {
        leave = resolve;
      });
      await world.close();
      await world.open(
        writing(async (_, execute) => {
          count += 1;
          if (count < at) return execute();
          if (count === at && number % 2 === 0) await execute();
          died();
          await left;
          throw failure();
        }),
      );
      await damage();
      const { id } = await world.reconciler.start(TENANT, 's', { repair: true });
      await dying;
      const stopped = world.runs.stop();
      leave();
      await stopped;
      await world.close();
      await world.open();
      expect(await world.ended(id)).toMatchObject({ state: 'done', result: { balanced: true } });
      await expectWhole();
    });
  }
});
