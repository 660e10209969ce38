/** Whether more can come into an answer. */
import type { TenantId } from '../base/brand.ts';
import type { LateArrivals, Watermarks } from '../watermarks/index.ts';
import type { StatsMeta } from './port.ts';
import { formatMoment } from './time.ts';

export type Finality = Pick<StatsMeta, 'watermark' | 'finality' | 'late'>;

const UNKNOWN: Finality = { watermark: null, finality: 'open', late: null };

/** Both taken before the question is put: what the watermark says of the events is true of the answer. */
export interface Standing {
  readonly atMs: number | undefined;
  late(fromMs: number, toMs: number): { readonly count: number; readonly isExact: boolean };
}

export function standingAt(
  watermarks: Pick<Watermarks & LateArrivals, 'of' | 'late'> | undefined,
  tenant: TenantId,
  stream: string,
): Standing | undefined {
  if (!watermarks) return undefined;
  const { atMs } = watermarks.of(tenant, stream);
  return { atMs, late: (fromMs, toMs) => watermarks.late(tenant, stream, fromMs, toMs) };
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
  const isOver = atMs !== undefined && atMs >= toMs;
  if (isFiltered) return { watermark: null, finality: isOver ? 'final' : 'open', late: null };
  const { count, isExact } = standing.late(fromMs, toMs);
  const over = count > 0 || !isExact ? 'corrected' : 'final';
  return {
    watermark: atMs === undefined ? null : formatMoment(atMs),
    finality: isOver ? over : 'open',
    late: isExact ? count : null,
  };
}
