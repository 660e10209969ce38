/** What is known of a batch's stored records as a whole, from what was read back of each. */
import { atOnce } from '../base/turns.ts';
import { type Decision, ROWS_A_STEP } from './decide.ts';
import type { StagedRows } from './staged-rows.ts';

export interface StoredFacts {
  /** Greatest event time; undefined when nothing is stored. */
  readonly latestMs: number | undefined;
  readonly earliestMs: number | undefined;
  readonly withUnknownFields: number;
}

type Left = Pick<Decision, 'duplicates' | 'dropped' | 'quarantinedLate'>;

export const factsOf = (rows: StagedRows, decision: Left): StoredFacts =>
  atOnce(countingFacts(rows, decision));

export function* countingFacts(
  rows: StagedRows,
  { duplicates, dropped, quarantinedLate }: Left,
): Generator<void, StoredFacts, void> {
  const left = [duplicates, dropped, quarantinedLate].map((offsets) => ({ offsets, next: 0 }));
  let latestMs = Number.NEGATIVE_INFINITY;
  let earliestMs = Number.POSITIVE_INFINITY;
  let withUnknownFields = 0;
  for (let row = 0; row < rows.count; row += 1) {
    if (row > 0 && row % ROWS_A_STEP === 0) yield;
    if (rows.code(row) !== 0) continue;
    const offset = rows.offset(row);
    let isLeft = false;
    for (const one of left) {
      if (one.offsets[one.next] !== offset) continue;
      one.next += 1;
      isLeft = true;
    }
    if (isLeft) continue;
    const timeMs = rows.timeMs(row);
    if (timeMs > latestMs) latestMs = timeMs;
    if (timeMs < earliestMs) earliestMs = timeMs;
    if (rows.hasUnknownFields(row)) withUnknownFields += 1;
  }
  const isNone = latestMs === Number.NEGATIVE_INFINITY;
  return {
    latestMs: isNone ? undefined : latestMs,
    earliestMs: isNone ? undefined : earliestMs,
    withUnknownFields,
  };
}
