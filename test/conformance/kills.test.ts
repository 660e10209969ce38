/** What a kill in the middle of inserts leaves behind, with the tables and settings of the store. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { type Engine, eventsTable, openChdb, rollupTable, StoreTables } from '../../src/store/index.ts';
import { BATCH_ROWS, ROLLUP, STREAM } from './batches.ts';
import { killMoments, Writer } from './process.ts';
import { assumption, removePath, temporaryPath } from './support.ts';

const KILLS = 12;

let directory: string;
beforeAll(async () => {
  directory = await temporaryPath();
});
afterAll(() => removePath(directory));

const open = (): Engine => openChdb({ directory, readers: 1, writers: 1 });

/** Batches of the events table with their rows, and the events that each tier of the rollup counted. */
async function stored(
  engine: Engine,
): Promise<{ batches: Map<number, number>; tiers: number[]; mark: number }> {
  const batches = await engine.rows<{ batch: number; rows: string }>({
    text: `SELECT intDiv(_offset, ${BATCH_ROWS}) AS batch, uniqExact(_offset) AS rows FROM ${eventsTable(DEFAULT_TENANT, STREAM.name)} GROUP BY batch HAVING count() = rows`,
  });
  const tiers = await engine.rows<{ tier: number; events: string; applied: string }>({
    text: `SELECT _tier AS tier, sum(_count) AS events, max(_applied) AS applied FROM ${rollupTable(DEFAULT_TENANT, ROLLUP.name, 1)} GROUP BY tier ORDER BY tier`,
  });
  return {
    batches: new Map(batches.map((row) => [Number(row.batch), Number(row.rows)])),
    tiers: tiers.filter((row) => row.tier > 0).map((row) => Number(row.events)),
    mark: Number(tiers.find((row) => row.tier === 0)?.applied ?? 0),
  };
}

describe('a process that is killed while it inserts', () => {
  assumption(
    `${KILLS} kills: the directory opens, each batch is whole or absent, what was acknowledged is there, a rollup has the batch exactly when it has its mark`,
    'docs/decisions/0001-log-is-the-truth.md, src/ingest: after an unknown outcome the proof is read',
    async () => {
      let engine = open();
      const tables = new StoreTables(engine);
      await tables.createStream(DEFAULT_TENANT, STREAM);
      await tables.buildRollup(DEFAULT_TENANT, STREAM, ROLLUP, 1);
      await engine.close();
      const expected = new Set<number>();
      let counted = 0;
      let next = 0;
      let unknown = 0;
      for (const moment of killMoments(KILLS, 150)) {
        const { acknowledged, lastTried } = await new Writer(directory, 'inserts', next).kill(moment);
        engine = open();
        const found = await stored(engine);
        await engine.close();
        for (const batch of acknowledged) expected.add(batch);
        counted += acknowledged.length * BATCH_ROWS;
        if (lastTried !== undefined && !expected.has(lastTried)) {
          unknown += 1;
          // Either outcome is right, in each table of its own.
          if (found.batches.has(lastTried)) expected.add(lastTried);
          if (found.mark === (lastTried + 1) * BATCH_ROWS) counted += BATCH_ROWS;
        }
        const whole = [...expected].sort((a, b) => a - b).map((batch) => [batch, BATCH_ROWS]);
        expect([...found.batches].sort(([a], [b]) => a - b)).toEqual(whole);
        expect(found.tiers.every((events) => events === counted)).toBe(true);
        next = (lastTried ?? next - 1) + 1;
      }
      expect(expected.size, 'something was written').toBeGreaterThan(0);
      expect(unknown, 'some kills fell into an insert').toBeGreaterThan(0);
    },
  );

  assumption(
    'a second process on the same directory is refused until the first is gone',
    'src/store/chdb.ts, docs/invariants.md: one owner of a data directory at a time',
    async () => {
      const owner = new Writer(directory, 'open');
      await owner.ready();
      expect(open).toThrow(expect.objectContaining({ code: 'store-unavailable' }));
      await owner.kill(0);
      const engine = open();
      expect((await stored(engine)).batches.size).toBeGreaterThan(0);
      await engine.close();
    },
  );
});
