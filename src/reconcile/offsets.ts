/**
 * Log against raw: the offsets of the three tables together are exactly those that are applied, each once. Slices of
 * 65 536 offsets are counted and hashed against the numbers themselves; only slices that differ are looked at closely.
 */
import type { Engine } from '../store/index.ts';
import { BOUNDED, type BrokenParts, type Pulse, type Range, readable } from './parts.ts';
import { type PartitionScope, RAW_TABLES, type RawTable, type Scope } from './scope.ts';

const SLICE_OFFSETS = 65_536;
/** Slices that one statement counts. */
const SLICES_AT_ONCE = 64;

/** An offset that is not there exactly once: how many rows each table has of it. */
export interface Miscounted extends Readonly<Record<RawTable, number>> {
  readonly offset: number;
}

type Hands = Pick<Engine, 'rows'>;

const rowsOf = ({ events, quarantine, discarded }: Miscounted): number => events + quarantine + discarded;
export const isMissing = (one: Miscounted): boolean => rowsOf(one) === 0;
export const surplusOf = (one: Miscounted): number => Math.max(0, rowsOf(one) - 1);

/** SQL: rows of the three tables in a range, with the number of the table (1 to 3) as `_t`. */
function union(scope: Scope, broken: BrokenParts, partition: number, { from, to }: Range): string {
  return RAW_TABLES.map((name, index) => {
    const table = scope.raw[name];
    return `SELECT _offset AS o, toUInt8(${index + 1}) AS _t FROM ${table} WHERE ${readable(broken, table)} AND _partition = ${partition} AND _offset >= ${from} AND _offset < ${to}`;
  }).join(' UNION ALL ');
}

/** The slices of the partition that differ. */
export async function differingSlices(
  engine: Hands,
  scope: Scope,
  { key, from, cut }: PartitionScope,
  broken: BrokenParts,
  pulse: Pulse,
): Promise<readonly Range[]> {
  const differing: Range[] = [];
  for (let start = from; start < cut; ) {
    pulse.throwIfEnding();
    const group = Math.floor(start / SLICE_OFFSETS);
    const end = Math.min(cut, (group + SLICES_AT_ONCE) * SLICE_OFFSETS);
    const slice = `intDiv(o, ${SLICE_OFFSETS}) AS s`;
    const rows = await engine.rows<{ s: string }>(
      {
        text: `SELECT s FROM (
SELECT ${slice}, toInt64(count()) AS n, reinterpretAsInt64(sum(sipHash64(o))) AS h FROM (${union(scope, broken, key.partition, { from: start, to: end })}) GROUP BY s
UNION ALL SELECT ${slice}, -toInt64(count()) AS n, -reinterpretAsInt64(sum(sipHash64(o))) AS h FROM (SELECT number AS o FROM numbers(${start}, ${end - start})) GROUP BY s
) GROUP BY s HAVING sum(n) != 0 OR sum(h) != 0 ORDER BY s`,
      },
      { ...BOUNDED, signal: pulse.signal },
    );
    for (const row of rows) {
      const base = Number(row.s) * SLICE_OFFSETS;
      differing.push({ from: Math.max(base, from), to: Math.min(base + SLICE_OFFSETS, cut) });
    }
    start = end;
  }
  return differing;
}

/** The offsets of a slice that are not there exactly once, ascending. */
export async function miscountedIn(
  engine: Hands,
  scope: Scope,
  partition: number,
  slice: Range,
  broken: BrokenParts,
): Promise<readonly Miscounted[]> {
  const rows = await engine.rows<{ o: string } & Record<RawTable, string>>(
    {
      text: `SELECT o, countIf(_t = 1) AS events, countIf(_t = 2) AS quarantine, countIf(_t = 3) AS discarded
FROM (${union(scope, broken, partition, slice)} UNION ALL SELECT number AS o, toUInt8(0) AS _t FROM numbers(${slice.from}, ${slice.to - slice.from}))
GROUP BY o HAVING events + quarantine + discarded != 1 ORDER BY o`,
    },
    BOUNDED,
  );
  return rows.map((row) => ({
    offset: Number(row.o),
    ...{ events: Number(row.events), quarantine: Number(row.quarantine), discarded: Number(row.discarded) },
  }));
}

/** Everything that is not there exactly once, slice by slice. */
export async function* miscounted(
  engine: Hands,
  scope: Scope,
  broken: BrokenParts,
  pulse: Pulse,
): AsyncIterable<{ readonly partition: PartitionScope; readonly found: readonly Miscounted[] }> {
  for (const partition of scope.partitions) {
    for (const slice of await differingSlices(engine, scope, partition, broken, pulse)) {
      pulse.throwIfEnding();
      yield { partition, found: await miscountedIn(engine, scope, partition.key.partition, slice, broken) };
    }
  }
}

export interface Strays {
  readonly table: RawTable;
  readonly partition: number;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

/** SQL: was the offset of a row never given out? `ends` are the ends of the log, one for each partition. */
export const isStray = (ends: readonly number[]): string =>
  `_offset >= arrayElement([${[...ends, 0].map((end) => `toUInt64(${end})`).join(', ')}], least(toUInt32(_partition), ${ends.length}) + 1)`;

/** Rows that no log knows. Call it while nothing is applied, with the ends as they are then. */
export async function findStrays(
  engine: Hands,
  scope: Scope,
  broken: BrokenParts,
  ends: readonly number[],
): Promise<readonly Strays[]> {
  const found: Strays[] = [];
  for (const name of RAW_TABLES) {
    const table = scope.raw[name];
    const rows = await engine.rows<{ partition: number; n: string; first: string; last: string }>(
      {
        text: `SELECT _partition AS partition, count() AS n, min(_offset) AS first, max(_offset) AS last FROM ${table} WHERE ${readable(broken, table)} AND ${isStray(ends)} GROUP BY partition ORDER BY partition`,
      },
      BOUNDED,
    );
    for (const row of rows) {
      found.push({
        ...{ table: name, partition: Number(row.partition), rows: Number(row.n) },
        ...{ first: Number(row.first), last: Number(row.last) },
      });
    }
  }
  return found;
}
