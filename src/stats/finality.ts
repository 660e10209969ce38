/** Whether more can come into an answer. */
import type { TenantId } from '../base/brand.ts';
import type { LateArrivals, RangeCount, Watermarks } from '../watermarks/index.ts';
import type { StatsMeta } from './port.ts';
import { formatMoment } from './time.ts';

export type Finality = Pick<StatsMeta, 'watermark' | 'finality' | 'version' | 'late' | 'duplicates'>;

const MINUTE_MS = 60_000;
/** What came late is known by minute: a range that ends within one is over when that is. */
const endOfMinute = (ms: number): number => Math.ceil(ms / MINUTE_MS) * MINUTE_MS;

const UNKNOWN: Finality = { watermark: null, finality: 'open', version: null, late: null, duplicates: null };

/** Both taken before the question is put: what the watermark says of the events is true of the answer. */
export interface Standing {
  readonly atMs: number | undefined;
  late(fromMs: number, toMs: number): RangeCount;
  duplicates(fromMs: number, toMs: number): RangeCount;
}

export function standingAt(
  watermarks: Pick<Watermarks & LateArrivals, 'of' | 'late' | 'duplicates'> | undefined,
  tenant: TenantId,
  stream: string,
): Standing | undefined {
  if (!watermarks) return undefined;
  const { atMs } = watermarks.of(tenant, stream);
  return {
    atMs,
    late: (fromMs, toMs) => watermarks.late(tenant, stream, fromMs, toMs),
    duplicates: (fromMs, toMs) => watermarks.duplicates(tenant, stream, fromMs, toMs),
  };
}

/**
 * `corrected` is told too often rather than not: for a range that reaches back behind the late events that are
 * remembered, too. A filtered asker learns whether the range is over, and nothing of when others' events come.
 */
export function finalityOf(
  standing: Standing | undefined,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  isFiltered: boolean,
): Finality {
  if (!standing) return UNKNOWN;
  const { atMs } = standing;
  const isOver = atMs !== undefined && atMs >= endOfMinute(toMs);
  if (isFiltered) return { ...UNKNOWN, finality: isOver ? 'final' : 'open' };
  const late = standing.late(fromMs, toMs);
  const duplicates = standing.duplicates(fromMs, toMs);
  const over = late.count > 0 || !late.isExact ? 'corrected' : 'final';
  return {
    watermark: atMs === undefined ? null : formatMoment(atMs),
    finality: isOver ? over : 'open',
    version: isOver && late.isExact ? 1 + late.count : null,
    late: late.isExact ? late.count : null,
    duplicates: duplicates.isExact ? duplicates.count : null,
  };
}
