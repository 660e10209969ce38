import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bucketsSql } from '../../src/stats/buckets-sql.ts';
import { type Piece, planQuestion } from '../../src/stats/plan.ts';
import { type Engine, openChdb, periodSeconds } from '../../src/store/index.ts';
import { rollup, stream, versioned } from './fixture.ts';

const TIERS = [10, 60, 3_600, 86_400];
const DAY = 86_400;

/** What a rollup of ten seconds answers of the range. */
function piecesOf(from: number, to: number): Piece[] {
  const made = planQuestion({
    stream,
    question: { functions: [{ name: 'count', fn: 'count' }], by: [], where: [] },
    fromMs: from * 1_000,
    toMs: to * 1_000,
    starts: [],
    rollups: [versioned(rollup('fine', [], 10))],
  });
  return made.pieces.filter(({ tierSeconds }) => tierSeconds !== undefined);
}

let directory: string;
let engine: Engine;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-buckets-'));
  engine = openChdb({ directory, syncsNames: false });
  await engine.execute({
    text: 'CREATE TABLE kept (_tier UInt32, _period Int64, _bucket Int64) ENGINE = MergeTree ORDER BY (_tier, _period, _bucket) SETTINGS index_granularity = 64',
  });
  // Six days about the beginning of 1970, every bucket of every tier.
  for (const tier of TIERS) {
    await engine.execute({
      text: `INSERT INTO kept SELECT ${tier}, toInt64(floor(at / ${periodSeconds(tier)})), at FROM (SELECT toInt64(number) * ${tier} - ${3 * DAY} AS at FROM numbers(${(6 * DAY) / tier}))`,
    });
  }
});

afterAll(async () => {
  await engine.close();
  await rm(directory, { recursive: true, force: true });
});

const rowsOf = async (pieces: readonly Piece[]) =>
  engine.rows<{ tier: number; from: string; to: string; rows: string }>({
    text: `SELECT _tier AS tier, min(_bucket) AS from, max(_bucket) AS to, count() AS rows FROM kept WHERE ${bucketsSql(pieces)} GROUP BY _tier ORDER BY _tier`,
  });

/** The same from a loop over the pieces. */
const expected = (pieces: readonly Piece[]) =>
  TIERS.flatMap((tier) => {
    const own = pieces.filter(({ tierSeconds }) => tierSeconds === tier);
    if (own.length === 0) return [];
    const rows = own.reduce((sum, { fromMs, toMs }) => sum + (toMs - fromMs) / 1_000 / tier, 0);
    const [first, last] = [own[0]!.fromMs / 1_000, own.at(-1)!.toMs / 1_000 - tier];
    return [{ tier, from: String(first), to: String(last), rows: String(rows) }];
  });

describe('the rows of pieces', () => {
  it('are those of each piece and no others, whatever the range', async () => {
    const second = fc.integer({ min: -3 * DAY, max: 3 * DAY });
    let twoSided = 0;
    await fc.assert(
      fc.asyncProperty(second, second, async (one, other) => {
        const pieces = piecesOf(Math.min(one, other), Math.max(one, other) + 20);
        fc.pre(pieces.length > 0);
        if (new Set(pieces.map(({ tierSeconds }) => tierSeconds)).size < pieces.length) twoSided += 1;
        const inside = pieces.filter(({ toMs }) => toMs <= 3 * DAY * 1_000);
        fc.pre(inside.length > 0);
        expect(await rowsOf(inside)).toEqual(expected(inside));
      }),
      { numRuns: 150 },
    );
    expect(twoSided).toBeGreaterThan(20);
  });

  it('leave out what lies between the two pieces of a tier', async () => {
    const pieces = piecesOf(-DAY - 7_270, DAY + 3_730);
    expect(pieces.map(({ tierSeconds }) => tierSeconds)).toEqual([10, 60, 3_600, 86_400, 3_600, 60, 10]);
    expect(await rowsOf(pieces)).toEqual(expected(pieces));
  });

  it('of thousands of periods are told by the ends of each tier, and of moments far apart all the same', async () => {
    const year = 366 * DAY;
    const pieces: Piece[] = [
      { tierSeconds: 10, fromMs: -900 * year * 1_000 - 30_000, toMs: -900 * year * 1_000 },
      { tierSeconds: 60, fromMs: -900 * year * 1_000, toMs: 900 * year * 1_000 },
    ];
    const text = bucketsSql(pieces);
    expect(text.length).toBeLessThan(500);
    expect(await rowsOf(pieces)).toEqual([
      { tier: 60, from: String(-3 * DAY), to: String(3 * DAY - 60), rows: String((6 * DAY) / 60) },
    ]);
  });

  it('of nothing are none', async () => {
    expect(await rowsOf([{ tierSeconds: 60, fromMs: 0, toMs: 0 }])).toEqual([]);
  });
});
