/**
 * Which rows of a rollup the pieces of a plan are. The engine takes a tenth of a millisecond and more for each comparison, so tiers
 * are told apart by few: first the part of the key that prunes, then the moments, looked up by tier.
 *
 *   (_tier, _period) IN ((60, 20779), (3600, 346)) AND _bucket >= transform(_tier, [60, 3600], [from, …], 0) AND _bucket < …
 *
 * The numbers are the plan's own, and stand there as they are: a bound parameter costs a cast each.
 */
import { inPeriodsSql, periodOf } from '../store/index.ts';
import type { Piece } from './plan.ts';

/** The rows of one tier: what lies in `[from, gapFrom)` and `[gapTo, to)`, in seconds. */
interface TierRows {
  readonly tier: number;
  readonly from: number;
  readonly gapFrom: number;
  readonly gapTo: number;
  readonly to: number;
}

/** Beyond, a range of them is told by its ends. */
const PERIODS_MAX = 256;

/** Of pieces that a rollup's tiers answer, at least one: a tier has one, or one at each side of a wider tier's. */
export function bucketsSql(pieces: readonly Piece[]): string {
  const tiers = rowsOfTiers(pieces);
  const [only] = tiers;
  if (tiers.length === 1) return `${rangeSql(only!)} AND _bucket >= ${only!.from} AND _bucket < ${only!.to}`;
  const names = tiers.map(({ tier }) => tier).join(', ');
  const byTier = (moment: (rows: TierRows) => number): string =>
    `transform(_tier, [${names}], [${tiers.map(moment).join(', ')}], 0)`;
  const range = `${periodsSql(tiers)} AND _bucket >= ${byTier(({ from }) => from)} AND _bucket < ${byTier(({ to }) => to)}`;
  if (tiers.every(({ gapFrom, gapTo }) => gapFrom === gapTo)) return range;
  return `${range} AND NOT (_bucket >= ${byTier(({ gapFrom }) => gapFrom)} AND _bucket < ${byTier(({ gapTo }) => gapTo)})`;
}

function rowsOfTiers(pieces: readonly Piece[]): readonly TierRows[] {
  const byTier = new Map<number, TierRows>();
  for (const { tierSeconds, fromMs, toMs } of pieces) {
    const tier = tierSeconds!;
    const from = fromMs / 1_000;
    const to = toMs / 1_000;
    const before = byTier.get(tier);
    byTier.set(
      tier,
      before
        ? { ...before, gapFrom: before.to, gapTo: from, to }
        : { tier, from, gapFrom: to, gapTo: to, to },
    );
  }
  return [...byTier.values()];
}

/** `_period` stands before the dimensions in the key, and prunes. */
function periodsSql(tiers: readonly TierRows[]): string {
  const pairs: string[] = [];
  for (const rows of tiers) {
    const first = periodOf(rows.tier, rows.from);
    const last = periodOf(rows.tier, rows.to - 1);
    if (pairs.length + last - first >= PERIODS_MAX) return `(${tiers.map(rangeSql).join(' OR ')})`;
    for (let period = first; period <= last; period += 1) pairs.push(`(${rows.tier}, ${period})`);
  }
  return `(_tier, _period) IN (${pairs.join(', ')})`;
}

const rangeSql = ({ tier, from, to }: TierRows): string => inPeriodsSql(tier, from, to);
