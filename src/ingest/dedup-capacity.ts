/** What remembering ids needs, by formula, before any event has come. */
import { formatBytes } from '../base/bytes.ts';
import { formatDuration } from '../base/duration.ts';
import { badDefinition, type StreamDefinition } from '../define/index.ts';
import { FILTER_SHARE } from './dedup-budget.ts';
import { MEMORY_BYTES_PER_ID_ON_DISK, PAGE_INDEX_BYTES_PER_ID } from './dedup-file.ts';
import { BUCKET_MS_MIN, bucketMsOf } from './dedup-index.ts';
import { SPILLS_FROM } from './dedup-memory.ts';
import { FILTERED_TABLE_BYTES_PER_ID } from './dedup-table.ts';
import { ID_BYTES } from './dedup-words.ts';

export interface DedupNeed {
  /** Ids per second. */
  readonly ratePerSecond: number;
  readonly withinMs: number;
}

export interface DedupCapacity {
  /** Ids remembered at most: those of the horizon and one bucket, an eighth of it. */
  readonly ids: number;
  /** Bytes of memory when all ids are in memory. */
  readonly bytesInMemory: number;
  /** Bytes of memory when all ids are on disk: filters and page indexes. */
  readonly bytesFilters: number;
  /** Bytes on disk when all ids are there; twice as many for a moment while files are merged. */
  readonly bytesOnDisk: number;
  readonly fits: 'memory' | 'spill' | 'no';
  /** One sentence with the numbers, for people. */
  readonly says: string;
}

/** Filters, with the page indexes that go with them, may take this share of the budget. */
const FILTERS_SHARE =
  (FILTER_SHARE * MEMORY_BYTES_PER_ID_ON_DISK) / (MEMORY_BYTES_PER_ID_ON_DISK - PAGE_INDEX_BYTES_PER_ID);

/**
 * The need of one stream, or of several that share the budget.
 *
 *   ids      = rate x (within + within / 8)        a bucket is dropped as a whole
 *   memory   = ids x 28.5 bytes                    `memory` when that is at most 7/8 of the budget
 *   filters  = ids x 2.06 bytes                    `spill` when that is at most 3/4 of the budget
 *   disk     = ids x 16 bytes
 *
 * @example
 * dedupCapacity({ ratePerSecond: 10_000, withinMs: 86_400_000, budgetBytes: 4 * 2 ** 30 }).fits; // 'spill'
 */
export function dedupCapacity(
  need: (DedupNeed | { readonly needs: readonly DedupNeed[] }) & { readonly budgetBytes: number },
): DedupCapacity {
  const needs = 'needs' in need ? need.needs : [need];
  const ids = needs.reduce((sum, one) => sum + idsOf(one), 0);
  const bytesInMemory = Math.ceil(ids * FILTERED_TABLE_BYTES_PER_ID);
  const bytesFilters = Math.ceil(ids * MEMORY_BYTES_PER_ID_ON_DISK);
  const bytesOnDisk = ids * ID_BYTES;
  const budget = need.budgetBytes;
  const fits =
    bytesInMemory <= budget * SPILLS_FROM
      ? 'memory'
      : bytesFilters <= budget * FILTERS_SHARE
        ? 'spill'
        : 'no';
  const remembered = `${ids.toLocaleString('en')} ids are remembered at most; that is ${formatBytes(bytesInMemory)} of memory, or ${formatBytes(bytesFilters)} of memory and ${formatBytes(bytesOnDisk)} on disk`;
  return { ids, bytesInMemory, bytesFilters, bytesOnDisk, fits, says: remembered };
}

const idsOf = ({ ratePerSecond, withinMs }: DedupNeed): number =>
  Math.ceil((ratePerSecond * (withinMs + bucketMsOf(withinMs))) / 1_000);

const needOf = ({ dedupeRatePerSecond, dedupeWithinMs }: StreamDefinition): DedupNeed | undefined =>
  dedupeRatePerSecond === undefined || dedupeWithinMs === 0
    ? undefined
    : { ratePerSecond: dedupeRatePerSecond, withinMs: dedupeWithinMs };

/**
 * What the declared rate of a stream means for this installation: undefined when all ids stay in memory (or no rate is
 * declared), else a sentence that `plan` shows. `others` are the other streams, of all tenants, that share the budget.
 *
 * Fails with `bad-definition` when the ids would not fit even on disk, with the numbers and what to change.
 */
export function checkDedupFits(
  stream: StreamDefinition,
  others: readonly StreamDefinition[],
  budgetBytes: number,
): string | undefined {
  const own = needOf(stream);
  if (!own) return undefined;
  const needs = [stream, ...others].map(needOf).filter((need) => need !== undefined);
  const { fits, says } = dedupCapacity({ needs, budgetBytes });
  if (fits === 'memory') return undefined;
  const shared =
    needs.length === 1 ? '' : ` (with the ${needs.length - 1} other streams that declare a rate)`;
  const rate = `${own.ratePerSecond} ids per second for ${formatDuration(own.withinMs)}`;
  if (fits === 'spill') {
    return `dedupe: at ${rate}${shared} ${says}; with ${formatBytes(budgetBytes)} (MILLRACE_DEDUP_MEMORY) older ids are looked up on disk`;
  }
  throw badDefinition(`the stream ${JSON.stringify(stream.name)}`, [
    { path: 'dedupe', message: `${rate}${shared} do not fit: ${says}. ${advice(own, needs, budgetBytes)}` },
  ]);
}

/** A horizon that is advised is a whole number of these. */
const ROUND_MS = [3_600_000, 60_000];

function advice(own: DedupNeed, needs: readonly DedupNeed[], budgetBytes: number): string {
  const { bytesFilters } = dedupCapacity({ needs, budgetBytes });
  const wanted = Math.ceil(bytesFilters / FILTERS_SHARE / 2 ** 30);
  const left =
    (budgetBytes * FILTERS_SHARE) / MEMORY_BYTES_PER_ID_ON_DISK - dedupCapacity({ needs, budgetBytes }).ids;
  const idsLeft = idsOf(own) + left;
  // The horizon and its bucket: an eighth of it, at least a second.
  const spanMs = (idsLeft / own.ratePerSecond) * 1_000;
  const exactMs = Math.min((spanMs * 8) / 9, spanMs - BUCKET_MS_MIN);
  const unitMs = ROUND_MS.find((one) => exactMs >= 2 * one) ?? 1_000;
  const withinMs = Math.floor(exactMs / unitMs) * unitMs;
  const shorter = withinMs >= 1_000 ? `, or dedupe.within to at most ${formatDuration(withinMs)}` : '';
  return `Raise MILLRACE_DEDUP_MEMORY from ${formatBytes(budgetBytes)} to at least ${wanted}GiB${shorter}, or declare a lower rate`;
}
