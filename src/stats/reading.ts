/** Whose places in front of the engine a question waits for: what reads few rows must not queue behind what reads many. */
import type { TenantId } from '../base/brand.ts';
import type { QueryLimits } from '../store/index.ts';
import type { Plan } from './plan.ts';

/** Events at the ends of a range that no bucket covers are few; a question that reads more of them is a scan. */
const EVENTS_MS_MAX = 2 * 60_000;

export function readingOf({ pieces }: Pick<Plan, 'pieces'>): 'rollup' | 'scan' {
  const eventsMs = pieces
    .filter((piece) => piece.tierSeconds === undefined)
    .reduce((sum, piece) => sum + piece.toMs - piece.fromMs, 0);
  return eventsMs <= EVENTS_MS_MAX ? 'rollup' : 'scan';
}

export const listingOf = (
  tenant: TenantId,
  signal: AbortSignal | undefined,
): Pick<QueryLimits, 'reading' | 'tenant' | 'signal'> => ({
  reading: 'listing',
  tenant,
  ...(signal ? { signal } : {}),
});
