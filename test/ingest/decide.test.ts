import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Offset } from '../../src/base/brand.ts';
import { inTurns } from '../../src/base/turns.ts';
import type { LatePolicy } from '../../src/define/model.ts';
import { type Decision, decideRows, decidingRows, storedCount } from '../../src/ingest/decide.ts';
import type { LogBlock } from '../../src/log/index.ts';
import { type RowFacts, stagedRows } from '../support/staged-rows.ts';

const block = (baseOffset: number, count: number, replayed = false): LogBlock => ({
  baseOffset: baseOffset as Offset,
  count,
  receivedAtMs: 1_000,
  idBase: new Uint8Array(16),
  payload: new Uint8Array(0),
  replayed,
});

interface Past {
  readonly ids: Set<number>;
  watermarkMs: number | undefined;
}

function decide(
  rows: readonly RowFacts[],
  past: Past,
  then: LatePolicy | undefined,
  replayed = false,
): Decision {
  const from = rows[0]!.offset;
  const to = from + rows.length;
  const decision = decideRows({
    from,
    to,
    blocks: [block(from, rows.length, replayed)],
    rows: stagedRows(rows),
    lateness: then === undefined ? undefined : { allowedMs: 10, then },
    watermarkMs: past.watermarkMs,
    seen: (a) => {
      if (past.ids.has(a)) return true;
      past.ids.add(a);
      return false;
    },
  });
  past.watermarkMs = decision.watermarkMs;
  return decision;
}

describe('the decision about a batch', () => {
  it('stores an id once, and only the first of two', () => {
    const past: Past = { ids: new Set([7]), watermarkMs: undefined };
    const rows = [{ offset: 5, id: 7 }, { offset: 6, id: 8 }, { offset: 7, id: 8 }, { offset: 8 }];
    const decision = decide(rows, past, undefined);
    expect(decision.duplicates).toEqual([5, 7]);
    expect(storedCount(decision)).toBe(2);
  });

  it('judges lateness by what was stored before, record by record', () => {
    const rows: RowFacts[] = [
      { offset: 0, id: 1, timeMs: 100 },
      { offset: 1, id: 2, timeMs: 89 },
      { offset: 2, id: 3, timeMs: 90 },
      { offset: 3, id: 4, code: 2, timeMs: 900 },
      { offset: 4, id: 5, timeMs: 90 },
    ];
    const expected = { count: [[], []], quarantine: [[1, 3], []], drop: [[3], [1]] } as const;
    for (const then of ['count', 'quarantine', 'drop'] as const) {
      const decision = decide(rows, { ids: new Set(), watermarkMs: undefined }, then);
      expect(decision.late).toEqual([1]);
      expect(decision.watermarkMs).toBe(100);
      const quarantined = then === 'count' ? [3] : expected[then][0];
      expect([decision.quarantined, decision.dropped]).toEqual([quarantined, expected[then][1]]);
      expect(decision.quarantinedLate).toEqual(then === 'quarantine' ? [1] : []);
    }
  });

  it('a late record that is turned away leaves its id free; one that is replayed is stored', () => {
    const past: Past = { ids: new Set(), watermarkMs: 1_000 };
    expect(decide([{ offset: 0, id: 9, timeMs: 1 }], past, 'drop').dropped).toEqual([0]);
    const replayed = decide([{ offset: 1, id: 9, timeMs: 1 }], past, 'drop', true);
    expect([storedCount(replayed), replayed.late]).toEqual([1, [1]]);
    const again = decide([{ offset: 2, id: 9, timeMs: 1 }], past, 'count');
    expect([again.duplicates, again.late]).toEqual([[2], []]);
  });

  it('does not depend on how the log was cut into batches', () => {
    const record = fc.record({
      id: fc.nat({ max: 12 }),
      code: fc.constantFrom(0, 0, 0, 3),
      timeMs: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(
        fc.array(record, { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat({ max: 40 })),
        fc.constantFrom<LatePolicy>('count', 'quarantine', 'drop'),
        (records, cuts, then) => {
          const rows = records.map((one, offset) => ({ ...one, offset }));
          const whole = decide(rows, { ids: new Set(), watermarkMs: undefined }, then);
          const past: Past = { ids: new Set(), watermarkMs: undefined };
          const borders = [...new Set([0, ...cuts.filter((cut) => cut < rows.length), rows.length])].sort(
            (a, b) => a - b,
          );
          const parts = borders.slice(1).map((end, i) => decide(rows.slice(borders[i]!, end), past, then));
          for (const of of ['duplicates', 'quarantined', 'quarantinedLate', 'dropped', 'late'] as const) {
            expect(parts.flatMap((part) => part[of])).toEqual(whole[of]);
          }
          expect(past.watermarkMs).toBe(whole.watermarkMs);
        },
      ),
    );
  });

  it('lets others have their turn in the middle of a large batch, and is the same', async () => {
    const rows = Array.from({ length: 10_000 }, (_, offset) => ({ offset, id: 1 + (offset % 9_000) }));
    const input = (seenBefore: Set<number>, onSeen: () => void) => ({
      ...{ from: 0, to: rows.length, blocks: [block(0, rows.length)], rows: stagedRows(rows) },
      ...{ lateness: undefined, watermarkMs: undefined },
      seen: (a: number) => {
        onSeen();
        const isThere = seenBefore.has(a);
        seenBefore.add(a);
        return isThere;
      },
    });
    let asked = 0;
    const askedAtOthers: number[] = [];
    let isOver = false;
    const other = (): void => {
      askedAtOthers.push(asked);
      if (!isOver) setImmediate(other);
    };
    setImmediate(other);
    const inSteps = await inTurns(
      decidingRows(
        input(new Set(), () => {
          asked += 1;
        }),
      ),
    );
    isOver = true;
    expect(inSteps).toEqual(decideRows(input(new Set(), () => undefined)));
    expect(inSteps.duplicates).toHaveLength(1_000);
    expect(new Set(askedAtOthers.filter((at) => at > 0 && at < rows.length)).size).toBeGreaterThan(2);
  });
});
