/**
 * Filling a rollup's table from stored events while ingest goes on: what ingest had applied when the table was made is
 * cut into chunks, and each chunk is one insert, one block, with a mark of its own in it (`_tier` 0, `_bucket`
 * -(1 + number of the chunk)): after any unknown outcome it is known which chunks are there.
 *
 * Whether the table holds what it should is told by sums that do not depend on order or merging: for each tier the
 * events and a checksum of (bucket, dimensions) of each event. A row of the rollup counts its checksum `_count`
 * times, so the sums of the rows equal those of the events, however either was split or merged.
 */
import type { TenantId } from '../base/brand.ts';
import { type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import { eventsTable, rollupTable } from './layout.ts';
import type { Engine, QueryLimits, Statement } from './port.ts';
import { quoteIdentifier } from './sql.ts';

/** Stored events of one day of arrival and one log partition with offsets in [from, to). */
export interface Slice {
  readonly day: number;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export interface Chunk {
  readonly slices: readonly Slice[];
  /** At most. */
  readonly events: number;
}

/** How far each log partition goes: [from, to) of its offsets, in the order of the partitions. */
export type OffsetRanges = readonly { readonly from: number; readonly to: number }[];

/** For each tier the number of events and their checksum modulo 2^64, in decimal. */
export type TierSums = Readonly<Record<string, { readonly events: string; readonly checksum: string }>>;

/** As many events as a large batch has: an insert of sketches for each of them must fit into memory, too. */
export const CHUNK_EVENTS_MAX = 250_000;
const CHUNK_SLICES_MAX = 64;

export interface Extent {
  readonly day: number;
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  readonly events: number;
}

/** Cuts what is stored into chunks. Pure: the same extents give the same chunks. */
export function cutChunks(extents: readonly Extent[], eventsMax = CHUNK_EVENTS_MAX): Chunk[] {
  const chunks: { slices: Slice[]; events: number }[] = [];
  const add = (slice: Slice, events: number) => {
    const chunk = chunks.at(-1);
    if (chunk && chunk.events + events <= eventsMax && chunk.slices.length < CHUNK_SLICES_MAX) {
      chunk.slices.push(slice);
      chunk.events += events;
    } else chunks.push({ slices: [slice], events });
  };
  for (const { day, partition, first, last, events } of extents) {
    if (events <= eventsMax) {
      add({ day, partition, from: first, to: last + 1 }, events);
      continue;
    }
    // A range of so many offsets holds at most so many events.
    for (let from = first; from <= last; from += eventsMax) {
      const to = Math.min(from + eventsMax, last + 1);
      add({ day, partition, from, to }, to - from);
    }
  }
  return chunks;
}

export const extentsStatement = (
  tenant: TenantId,
  stream: StreamDefinition,
  offsets: readonly number[],
): Statement => ({
  text: `SELECT toYYYYMMDD(_received) AS day, _partition AS partition, min(_offset) AS first, max(_offset) AS last, count() AS events
FROM ${eventsTable(tenant, stream.name)} WHERE _offset < arrayElement({offsets:Array(UInt64)}, _partition + 1)
GROUP BY day, partition ORDER BY day, partition`,
  params: { offsets: offsets.map(BigInt) },
});

/** The events of a chunk as a relation with a condition: what stands behind FROM. */
export const chunkSource = (tenant: TenantId, stream: StreamDefinition, chunk: Chunk): string =>
  `${eventsTable(tenant, stream.name)} WHERE ${chunkCondition(chunk)}`;

export function chunkCondition(chunk: Chunk): string {
  const whole = (value: number): string => String(Math.trunc(Number(value)));
  const conditions = chunk.slices.map(
    ({ day, partition, from, to }) =>
      `(toYYYYMMDD(_received) = ${whole(day)} AND _partition = ${whole(partition)} AND _offset >= ${whole(from)} AND _offset < ${whole(to)})`,
  );
  return `(${conditions.join(' OR ')})`;
}

/** Stored events of offset ranges, one for each log partition. */
export function rangesSource(tenant: TenantId, stream: StreamDefinition, ranges: OffsetRanges): string {
  const conditions = ranges.flatMap(({ from, to }, partition) =>
    from < to ? [`(_partition = ${partition} AND _offset >= ${from} AND _offset < ${to})`] : [],
  );
  return `${eventsTable(tenant, stream.name)} WHERE ${conditions.length === 0 ? 'false' : conditions.join(' OR ')}`;
}

/** `_bucket` of the row that tells that a chunk is there. Marks of log partitions are not negative. */
export const chunkMark = (number: number): number => -(1 + number);

/** The same for a value in a column of any nullability or width. */
const dimensionsHash = (columns: readonly string[]): string =>
  columns.length === 0
    ? 'toUInt64(0)'
    : `sipHash64(${columns
        .map(quoteIdentifier)
        .map((column) => `toUInt8(isNull(${column})), CAST(ifNull(toString(${column}), ''), 'String')`)
        .join(', ')})`;

const checksumOf = (bucket: string): string =>
  `intHash64(bitXor(_d, intHash64(reinterpretAsUInt64(${bucket}))))`;

/** Sums of each tier over stored events: one row, columns `events` and `checksum_TIER`. */
export function sumsOfEvents(columns: readonly string[], rollup: RollupDefinition, source: string): string {
  const ms = 'toUnixTimestamp64Milli(_time)';
  const sums = tiersOf(rollup.everySeconds).map((tier) => {
    const bucket = `toInt64(intDiv(_ms - positiveModulo(_ms, ${tier * 1_000}), 1000))`;
    return `toString(sum(${checksumOf(bucket)})) AS checksum_${tier}`;
  });
  return `SELECT toString(count()) AS events, ${sums.join(', ')} FROM (SELECT ${ms} AS _ms, ${dimensionsHash(columns)} AS _d FROM ${source})`;
}

/** Sums of each tier over the rows of a rollup's table. */
export const sumsOfRollup = (columns: readonly string[], table: string): string =>
  `SELECT _tier AS tier, toString(sum(_count)) AS events, toString(sum(${checksumOf('_bucket')} * _count)) AS checksum
FROM (SELECT _tier, _bucket, _count, ${dimensionsHash(columns)} AS _d FROM ${table} WHERE _tier > 0) GROUP BY tier`;

const MODULUS = 2n ** 64n;

export function addSums(a: TierSums, b: TierSums): TierSums {
  const sum = { ...a };
  for (const [tier, { events, checksum }] of Object.entries(b)) {
    const before = sum[tier] ?? { events: '0', checksum: '0' };
    sum[tier] = {
      events: String(BigInt(before.events) + BigInt(events)),
      checksum: String((BigInt(before.checksum) + BigInt(checksum)) % MODULUS),
    };
  }
  return sum;
}

/** What differs between what a table should hold and what it holds, in words; empty when nothing does. */
export function differences(wanted: TierSums, found: TierSums): string[] {
  const nothing = { events: '0', checksum: '0' };
  return [...new Set([...Object.keys(wanted), ...Object.keys(found)])].flatMap((tier) => {
    const [a, b] = [wanted[tier] ?? nothing, found[tier] ?? nothing];
    if (a.events !== b.events) return [`tier ${tier}: ${b.events} events instead of ${a.events}`];
    return a.checksum === b.checksum
      ? []
      : [`tier ${tier}: ${a.events} events, but not in the right buckets`];
  });
}

/** Long questions of our own, within what the caller may still want. */
export const SLOW: QueryLimits = { timeoutSeconds: 3_600 };

export async function askEvents(
  engine: Pick<Engine, 'rows'>,
  columns: readonly string[],
  rollup: RollupDefinition,
  source: string,
  signal?: AbortSignal,
): Promise<TierSums> {
  const [row] = await engine.rows<Record<string, string>>(
    { text: sumsOfEvents(columns, rollup, source) },
    { ...SLOW, ...(signal ? { signal } : {}) },
  );
  const events = row?.events ?? '0';
  if (events === '0') return {};
  return Object.fromEntries(
    tiersOf(rollup.everySeconds).map((tier) => [tier, { events, checksum: row![`checksum_${tier}`]! }]),
  );
}

export async function askRollup(
  engine: Pick<Engine, 'rows'>,
  columns: readonly string[],
  tenant: TenantId,
  rollup: string,
  version: number,
): Promise<TierSums> {
  const rows = await engine.rows<{ tier: number; events: string; checksum: string }>(
    { text: sumsOfRollup(columns, rollupTable(tenant, rollup, version)) },
    SLOW,
  );
  return Object.fromEntries(rows.map(({ tier, events, checksum }) => [String(tier), { events, checksum }]));
}
