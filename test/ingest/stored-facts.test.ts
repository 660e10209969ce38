import { describe, expect, it } from 'vitest';
import { factsOf } from '../../src/ingest/stored-facts.ts';
import { type RowFacts, stagedRows } from '../support/staged-rows.ts';

const NONE = { duplicates: [], dropped: [], quarantinedLate: [] };
const rows: readonly RowFacts[] = [
  { offset: 5, timeMs: -7, hasUnknownFields: true },
  { offset: 6, timeMs: 2 ** 42 },
  { offset: 7, code: 3, timeMs: 2 ** 43, hasUnknownFields: true },
  { offset: 8, timeMs: 20, hasUnknownFields: true },
  { offset: 9, timeMs: -(2 ** 41) },
];

describe('the facts of a batch', () => {
  it('are those of the records that are stored', () => {
    const all = { latestMs: 2 ** 42, earliestMs: -(2 ** 41), withUnknownFields: 2 };
    expect(factsOf(stagedRows(rows), NONE)).toEqual(all);
    const decision = { duplicates: [6], dropped: [9], quarantinedLate: [8] };
    expect(factsOf(stagedRows(rows), decision)).toEqual({
      ...{ latestMs: -7, earliestMs: -7, withUnknownFields: 1 },
    });
  });

  it('tell no time when none is stored', () => {
    const none = { latestMs: undefined, earliestMs: undefined, withUnknownFields: 0 };
    expect(factsOf(stagedRows(rows), { ...NONE, duplicates: [5, 6, 8, 9] })).toEqual(none);
    expect(factsOf(stagedRows([]), NONE)).toEqual(none);
  });
});
