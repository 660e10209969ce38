/**
 * Raw against a rollup. Events flow meanwhile and come to raw and to the rollup one after the other, so the first pass
 * finds slices that may differ, and each of those is looked at again between two batches, when all tables are as one.
 */
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition } from '../define/model.ts';
import { type Engine, rollupTable } from '../store/index.ts';
import {
  type BucketSides,
  type BucketSlice,
  comparedStates,
  cutDays,
  DAY_SECONDS,
  differingBuckets,
  dimensionColumns,
  floatColumns,
  keysOf,
  magnitudesStatement,
} from './buckets.ts';
import { BOUNDED, type BrokenParts, LISTED_MAX, type Pulse, type ReconcileParts, readable } from './parts.ts';
import type { Scope } from './scope.ts';

export interface DifferingBucket {
  readonly tier: number;
  /** Epoch seconds. */
  readonly bucket: number;
  readonly dimensions: Readonly<Record<string, unknown>>;
  /** Number of events, and the states that differ by name. */
  readonly expected: Readonly<Record<string, unknown>>;
  readonly found: Readonly<Record<string, unknown>>;
}

export interface RollupFinding {
  readonly name: string;
  readonly days: number;
  /** Exact. */
  readonly count: number;
  readonly listed: readonly DifferingBucket[];
  /** Slices with differences. */
  readonly slices: readonly BucketSlice[];
  /** Buckets by tier that count events that raw has forgotten. */
  readonly unverifiable: readonly { readonly tier: number; readonly buckets: number }[];
  readonly hasTop: boolean;
}

type Hands = Pick<Engine, 'rows'>;

export const sidesOf = (
  scope: Scope,
  rollup: Versioned<RollupDefinition>,
  broken: BrokenParts,
  table = rollupTable(scope.tenant, rollup.definition.name, rollup.version),
): BucketSides => ({
  ...{ stream: scope.stream.definition, rollup: rollup.definition, table },
  ...{ readableRows: readable(broken, table), events: scope.raw.events },
  readableEvents: readable(broken, scope.raw.events),
  ...{ completeSinceMs: scope.completeSinceMs, magnitudes: {} },
});

/** Buckets of a slice that differ: how many, and the first of them. */
export async function findBuckets(
  engine: Hands,
  sides: BucketSides,
  slice: BucketSlice,
  limit: number,
): Promise<{ readonly count: number; readonly listed: readonly DifferingBucket[] }> {
  const { stream, rollup } = sides;
  const fields = floatColumns(stream, rollup);
  const [row = {}] =
    fields.length === 0
      ? []
      : await engine.rows<Record<string, number | null>>(
          { text: magnitudesStatement(sides, slice) },
          BOUNDED,
        );
  const magnitudes = Object.fromEntries(fields.map((field) => [field, Number(row[field] ?? 0)]));
  const rows = await engine.rows<Record<string, unknown>>(
    {
      text: `SELECT *, count() OVER () AS _total FROM (${differingBuckets({ ...sides, magnitudes }, slice)}) ORDER BY ${keysOf(stream, rollup)} LIMIT ${Math.max(1, limit)}`,
    },
    BOUNDED,
  );
  const { exact, floats } = comparedStates(stream, rollup);
  const columns = dimensionColumns(stream, rollup);
  const listed = rows.slice(0, limit).map((one): DifferingBucket => {
    const names = [...exact, ...floats].map((state) => state.name);
    const values = (texts: string, sums: string) => [
      ...exact.map((_, at) => (one[texts] as string[])[at] ?? null),
      ...floats.map((_, at) => (one[sums] as number[])[at] ?? null),
    ];
    const [wanted, found] = [values('_we', '_wf'), values('_fe', '_ff')];
    const differing = names.flatMap((_, at) => (wanted[at] === found[at] ? [] : [at]));
    const tell = (count: unknown, all: readonly unknown[]) => ({
      events: Number(count),
      ...Object.fromEntries(differing.map((at) => [names[at]!, shortened(all[at])])),
    });
    return {
      ...{ tier: Number(one._tier), bucket: Number(one._bucket) },
      dimensions: Object.fromEntries(rollup.by.map((name, at) => [name, one[columns[at]!]])),
      expected: tell(one._wn, wanted),
      found: tell(one._fn, found),
    };
  });
  return { count: Number(rows[0]?._total ?? 0), listed };
}

const TEXT_MAX = 200;
const shortened = (value: unknown): unknown =>
  typeof value === 'string' && value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value;

/** Days of event time of which there are events or buckets. */
async function daysOf(engine: Hands, sides: BucketSides): Promise<readonly { day: number; rows: number }[]> {
  const rows = await engine.rows<{ day: string; n: string }>(
    {
      text: `SELECT day, sum(n) AS n FROM (
SELECT toInt64(floor(toUnixTimestamp64Milli(_time) / ${DAY_SECONDS * 1_000})) AS day, count() AS n FROM ${sides.events} WHERE ${sides.readableEvents} GROUP BY day
UNION ALL SELECT toInt64(floor(_bucket / ${DAY_SECONDS})) AS day, count() AS n FROM ${sides.table} WHERE ${sides.readableRows} AND _tier > 0 GROUP BY day
) GROUP BY day ORDER BY day`,
    },
    BOUNDED,
  );
  return rows.map((row) => ({ day: Number(row.day), rows: Number(row.n) }));
}

/** Does the work between two batches. */
export type Exclusively = <T>(work: () => Promise<T>) => Promise<T>;

export async function compareRollup(
  parts: Pick<ReconcileParts, 'engine' | 'ingest' | 'catalog'>,
  scope: Scope,
  rollup: Versioned<RollupDefinition>,
  broken: BrokenParts,
  pulse: Pulse,
  exclusively: Exclusively = (work) =>
    parts.ingest.exclusively(scope.tenant, scope.stream.definition.name, work),
): Promise<RollupFinding | undefined> {
  const { engine, catalog } = parts;
  const { name } = rollup.definition;
  const stands = () => catalog.rollup(scope.tenant, name)?.version === rollup.version;
  const sides = sidesOf(scope, rollup, broken);
  try {
    const days = await daysOf(engine, sides);
    const doubtful: BucketSlice[] = [];
    for (const slice of cutDays(days, rollup.definition.by.length > 0)) {
      pulse.throwIfEnding();
      if ((await findBuckets(engine, sides, slice, 0)).count > 0) doubtful.push(slice);
    }
    let count = 0;
    const listed: DifferingBucket[] = [];
    const slices: BucketSlice[] = [];
    for (const slice of doubtful) {
      pulse.throwIfEnding();
      const found = await exclusively(() => findBuckets(engine, sides, slice, LISTED_MAX - listed.length));
      if (found.count === 0) continue;
      count += found.count;
      listed.push(...found.listed);
      slices.push(slice);
    }
    if (!stands()) return undefined;
    const unverifiable = await forgottenBuckets(engine, sides);
    const hasTop = comparedStates(scope.stream.definition, rollup.definition).exact.some((state) =>
      state.name.startsWith('top.'),
    );
    return { name, days: days.length, count, listed, slices, unverifiable, hasTop };
  } catch (error) {
    // A rollup that was changed or removed meanwhile is another one now.
    if (!stands()) return undefined;
    throw error;
  }
}

async function forgottenBuckets(
  engine: Hands,
  { table, readableRows, completeSinceMs }: BucketSides,
): Promise<RollupFinding['unverifiable']> {
  if (completeSinceMs === undefined) return [];
  const rows = await engine.rows<{ tier: number; n: string }>(
    {
      text: `SELECT _tier AS tier, uniqExact(_bucket) AS n, max(_bucket) FROM ${table} WHERE ${readableRows} AND _tier > 0 AND _bucket * 1000 < {since:Int64} GROUP BY tier ORDER BY tier`,
      params: { since: completeSinceMs },
    },
    BOUNDED,
  );
  return rows.map(({ tier, n }) => ({ tier: Number(tier), buckets: Number(n) }));
}
