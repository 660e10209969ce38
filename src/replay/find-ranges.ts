/** Asks log, ingest and store what `rangesOf` needs to know. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import { eventsCompleteSince } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import { eventsTable } from '../store/index.ts';
import type { ReplayParts } from './parts.ts';
import type { ReplayBound, ReplayRequest } from './port.ts';
import { checkPartitions, type PartitionFacts, type Range, rangesOf } from './range.ts';

const DAY_MS = 86_400_000;

export interface FoundRanges {
  readonly ranges: readonly Range[];
  /** Arrival of the first and of the last record of the ranges. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly applied: readonly number[];
}

export async function findRanges(
  parts: ReplayParts,
  tenant: TenantId,
  stream: StreamDefinition,
  { from, to }: ReplayRequest,
): Promise<FoundRanges> {
  const { log, ingest } = parts;
  checkPartitions([from, to], stream.partitions);
  const keys = Array.from(
    { length: stream.partitions },
    (_, partition): PartitionKey => ({ tenant, stream: stream.name, partition }),
  );
  const keptSinceMs = await keptSince(parts, tenant, stream);
  const partitions: PartitionFacts[] = [];
  for (const key of keys) {
    const { start, end } = log.state(key);
    const at = async (bound: ReplayBound | undefined) =>
      bound && 'atMs' in bound ? log.offsetAt(key, bound.atMs) : undefined;
    partitions.push({
      start,
      startMs: end > start ? await arrivalOf(parts, key, start) : undefined,
      applied: ingest.state(key).applied,
      fromAt: await at(from),
      toAt: await at(to),
      kept: keptSinceMs === undefined ? 0 : await log.offsetAt(key, keptSinceMs),
    });
  }
  const ranges = rangesOf({ from, to, partitions, keptSinceMs });
  const arrivals: number[] = [];
  for (const [partition, range] of ranges.entries()) {
    if (range.from >= range.to) continue;
    arrivals.push(await arrivalOf(parts, keys[partition]!, range.from));
    arrivals.push(await arrivalOf(parts, keys[partition]!, range.to - 1));
  }
  return {
    ranges,
    firstMs: Math.min(...arrivals),
    lastMs: Math.max(...arrivals),
    applied: partitions.map((facts) => facts.applied),
  };
}

async function arrivalOf({ log }: ReplayParts, key: PartitionKey, offset: number): Promise<number> {
  const [block] = await log.read(key, offset as Offset, 1);
  if (!block) throw new Error(`the log of ${key.stream}/${key.partition} does not hold ${offset}`);
  return block.receivedAtMs;
}

/** Start of the first day of arrival of which raw holds everything; undefined as long as it has forgotten nothing. */
async function keptSince(
  { catalog, clock, engine }: ReplayParts,
  tenant: TenantId,
  stream: StreamDefinition,
): Promise<number | undefined> {
  if (eventsCompleteSince(catalog, tenant, stream.name) === undefined) return undefined;
  const { hotMs } = stream.retention;
  if (hotMs !== undefined) return Math.floor((clock.now() - hotMs) / DAY_MS) * DAY_MS;
  const [row] = await engine.rows<{ first: string; n: string }>({
    text: `SELECT toUnixTimestamp64Milli(min(_received)) AS first, count() AS n FROM ${eventsTable(tenant, stream.name)}`,
  });
  return row === undefined || row.n === '0' ? clock.now() : Math.floor(Number(row.first) / DAY_MS) * DAY_MS;
}
