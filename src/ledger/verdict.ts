/** Facts about one span of arrival, log's and store's, in; what the ledger says about it, out. */
import type { ForgettingTable } from '../catalog/index.ts';
import type { ArrivalSpan } from './port.ts';
import { isExactly, type OutcomeName, rowsOf, type Tally } from './tally.ts';

/** Which of the three tables still hold the rows of the span. */
export type Kept = Readonly<Record<ForgettingTable, boolean>>;

export const OUTCOMES: readonly (readonly [OutcomeName, ForgettingTable])[] = [
  ['stored', 'events'],
  ['duplicates', 'discarded'],
  ['quarantined', 'quarantine'],
  ['lateDropped', 'discarded'],
];

export const keepsAll = (kept: Kept): boolean => kept.events && kept.quarantine && kept.discarded;
export const keepsNone = (kept: Kept): boolean => !kept.events && !kept.quarantine && !kept.discarded;

export type OutcomeNumbers = Readonly<Record<OutcomeName, number>>;

export interface Verdict extends OutcomeNumbers {
  readonly balanced: boolean;
  /** By the counts alone; a doubled row can hide a missing one here, though never in `balanced`. */
  readonly missing: number;
  readonly extra: number;
}

/**
 * Rows that are all there are checked one by one, through their sums. What retention has dropped of a table counts
 * as it was sealed, and the rest must add up with it.
 */
export function verdictOf(
  span: Pick<ArrivalSpan, 'from' | 'to'>,
  found: Tally,
  kept: Kept,
  sealed: OutcomeNumbers | undefined,
  hash?: bigint,
): Verdict {
  const numbers = Object.fromEntries(
    OUTCOMES.map(([outcome, table]) => [outcome, kept[table] ? found[outcome] : (sealed?.[outcome] ?? 0)]),
  ) as Record<OutcomeName, number>;
  const expected = span.to - span.from;
  const rows = rowsOf(numbers);
  return {
    ...numbers,
    balanced: keepsAll(kept) ? isExactly(found, span.from, span.to, hash) : rows === expected,
    missing: Math.max(0, expected - rows),
    extra: Math.max(0, rows - expected),
  };
}

/** A mismatch that the counts do not show is at least one row missing and one too many. */
export const leastDifference = ({ missing, extra }: Pick<Verdict, 'missing' | 'extra'>) =>
  missing + extra > 0 ? { missing, extra } : { missing: 1, extra: 1 };
