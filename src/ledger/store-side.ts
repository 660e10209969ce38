/** The store's side of the ledger: what lies in the three tables of a stream, by partition and time of arrival. */

import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { discardedTable, type Engine, eventsTable, quarantineTable } from '../store/index.ts';
import { addTallies, EMPTY, type OutcomeName, type Tally } from './tally.ts';

export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export interface StoreQuestion {
  readonly tenant: TenantId;
  readonly stream: string;
  /** Arrivals in [fromMs, toMs), multiples of `widthMs`. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly widthMs: number;
  /**
   * Which offsets are looked at; what is being applied right now is left out. Narrow ranges are read much faster: the
   * tables are not sorted by arrival, but each stretch of them knows its least and greatest offset.
   */
  readonly offsets: readonly OffsetRange[];
  readonly withHashes?: boolean;
  readonly signal?: AbortSignal | undefined;
}

interface Row {
  readonly partition: number;
  readonly start: string;
  readonly outcome: OutcomeName;
  readonly n: string;
  readonly least: string;
  readonly greatest: string;
  readonly total: string;
  readonly squares: string;
  readonly hash: string;
}

/** Tallies by partition, then by start of the bucket. */
export type StoreSide = ReadonlyMap<number, ReadonlyMap<number, Tally>>;

export async function readStoreSide(
  engine: Pick<Engine, 'rows'>,
  question: StoreQuestion,
): Promise<StoreSide> {
  const { tenant, stream, fromMs, toMs, widthMs } = question;
  const ranges = question.offsets.filter(({ from, to }) => from < to);
  if (ranges.length === 0 || fromMs >= toMs) return new Map();
  const offsets = inRanges(ranges);
  const moment = (name: string) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;
  const where = `WHERE _received >= ${moment('from')} AND _received < ${moment('to')} AND ${offsets.condition}`;
  const sums = `intDiv(toUnixTimestamp64Milli(_received), {width:Int64}) * {width:Int64} AS start, count() AS n, min(_offset) AS least, max(_offset) AS greatest, sum(_offset) AS total, sum(_offset * _offset) AS squares, ${question.withHashes ? 'sum(sipHash64(_offset))' : 'toUInt64(0)'} AS hash`;
  const from = (table: string, outcome: string) =>
    `SELECT _partition AS partition, ${outcome} AS outcome, ${sums} FROM ${table} ${where} GROUP BY partition, start, outcome`;
  const rows = await engine.rows<Row>(
    {
      text: [
        from(eventsTable(tenant, stream), "'stored'"),
        from(quarantineTable(tenant, stream), "'quarantined'"),
        from(discardedTable(tenant, stream), "if(why = 'late', 'lateDropped', 'duplicates')"),
      ].join('\nUNION ALL '),
      params: { ...offsets.params, from: fromMs, to: toMs, width: widthMs },
    },
    question.signal ? { signal: question.signal } : {},
  );
  const side = new Map<number, Map<number, Tally>>();
  for (const row of rows) {
    const ofPartition = side.get(row.partition) ?? new Map<number, Tally>();
    const start = Number(row.start);
    const tally: Tally = {
      ...EMPTY,
      [row.outcome]: Number(row.n),
      least: Number(row.least),
      greatest: Number(row.greatest),
      sum: BigInt(row.total),
      squares: BigInt(row.squares),
      hash: question.withHashes ? BigInt(row.hash) : undefined,
    };
    ofPartition.set(start, addTallies(ofPartition.get(start) ?? EMPTY, tally));
    side.set(row.partition, ofPartition);
  }
  return side;
}

export interface Discrepancy {
  readonly missing: number;
  readonly extra: number;
}

/** How many offsets of [from, to) have no row, and how many rows are too many, among the rows of a span of arrival. */
export async function discrepancyOf(
  engine: Pick<Engine, 'rows'>,
  question: Omit<StoreQuestion, 'widthMs' | 'withHashes' | 'offsets'> & {
    readonly partition: number;
    readonly from: number;
    readonly to: number;
    /** Offsets at or beyond it are left out. */
    readonly below: number;
  },
): Promise<Discrepancy | undefined> {
  const { tenant, stream, fromMs, toMs, partition, below, from, to } = question;
  const moment = (name: string) => `fromUnixTimestamp64Milli({${name}:Int64}, 'UTC')`;
  const where = `WHERE _received >= ${moment('fromMs')} AND _received < ${moment('toMs')} AND _partition = {partition:UInt16} AND _offset < {below:UInt64}`;
  const tables = [
    eventsTable(tenant, stream),
    quarantineTable(tenant, stream),
    discardedTable(tenant, stream),
  ];
  try {
    const [row] = await engine.rows<{ n: string; different: string }>(
      {
        text: `SELECT count() AS n, uniqExactIf(_offset, _offset >= {from:UInt64} AND _offset < {to:UInt64}) AS different FROM (${tables.map((table) => `SELECT _offset FROM ${table} ${where}`).join(' UNION ALL ')})`,
        params: { fromMs, toMs, partition, below, from, to },
      },
      question.signal ? { signal: question.signal } : {},
    );
    const different = Number(row?.different ?? 0);
    return { missing: to - from - different, extra: Number(row?.n ?? 0) - different };
  } catch (error) {
    // Too many to tell apart within the limits: the difference of the counts must do.
    if (error instanceof MillraceError && (error.code === 'bad-question' || error.code === 'query-timeout'))
      return undefined;
    throw error;
  }
}

/** A condition on partitions and offsets, with its bindings. */
export function inRanges(ranges: readonly OffsetRange[]): {
  readonly condition: string;
  readonly params: Record<string, number>;
} {
  const params: Record<string, number> = {};
  const parts = ranges.map(({ partition, from, to }, place) => {
    params[`p${place}`] = partition;
    params[`from${place}`] = from;
    params[`to${place}`] = to;
    return `(_partition = {p${place}:UInt16} AND _offset >= {from${place}:UInt64} AND _offset < {to${place}:UInt64})`;
  });
  return { condition: `(${parts.join(' OR ')})`, params };
}

/** The sum of the hashes of each range, from the numbers alone. */
export async function hashesOf(
  engine: Pick<Engine, 'rows'>,
  ranges: readonly { readonly from: number; readonly to: number }[],
): Promise<readonly bigint[]> {
  if (ranges.length === 0) return [];
  const params: Record<string, number> = {};
  const parts = ranges.map(({ from, to }, index) => {
    params[`from${index}`] = from;
    params[`n${index}`] = to - from;
    return `SELECT ${index} AS place, sum(sipHash64(number)) AS hash FROM numbers({from${index}:UInt64}, {n${index}:UInt64})`;
  });
  const rows = await engine.rows<{ place: number; hash: string }>({
    text: parts.join('\nUNION ALL '),
    params,
  });
  const hashes = ranges.map(() => 0n);
  for (const row of rows) hashes[row.place] = BigInt(row.hash);
  return hashes;
}
