import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeldBytes, nextRelief } from '../../src/ingest/dedup-budget.ts';
import { FILES_MAX, filesToMerge } from '../../src/ingest/dedup-merge.ts';

const held = (oldTables: number, newestTable: number, filters: number): HeldBytes => ({
  oldTables,
  newestTable,
  filters,
});

describe('what leaves memory next', () => {
  it('is an old bucket of the stream that holds most of them, before any newest bucket or filter', () => {
    expect(nextRelief([held(10, 900, 0), held(20, 0, 5), held(0, 0, 0)], 1_000)).toEqual({
      index: 1,
      relief: 'spill-old',
    });
    expect(nextRelief([held(0, 5, 90), held(0, 6, 0)], 1_000)).toEqual({ index: 1, relief: 'spill-newest' });
    expect(nextRelief([held(0, 0, 90), held(0, 0, 91)], 1_000)).toEqual({ index: 1, relief: 'drop-filter' });
  });

  it('is a filter when filters leave no room for the ids that come', () => {
    expect(nextRelief([held(10, 10, 400), held(500, 0, 380)], 1_000)).toEqual({
      index: 0,
      relief: 'drop-filter',
    });
  });

  it('is nothing only when nothing is held', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)), { maxLength: 5 }),
        fc.nat(30),
        (all, bytesMax) => {
          const some = all.map((one) => held(...one));
          const next = nextRelief(some, bytesMax);
          expect(next === undefined).toBe(all.flat().every((bytes) => bytes === 0));
          if (!next) return;
          const what = {
            'spill-old': 'oldTables',
            'spill-newest': 'newestTable',
            'drop-filter': 'filters',
          } as const;
          expect(some[next.index]![what[next.relief]]).toBeGreaterThan(0);
        },
      ),
    );
  });
});

describe('which files are merged', () => {
  it('are all of a complete bucket, and of the newest those that have become alike in size', () => {
    expect(filesToMerge([5, 9, 1], true)).toEqual([0, 1, 2]);
    expect(filesToMerge([100, 40, 10], false)).toEqual([]);
    expect(filesToMerge([100, 10, 10], false)).toEqual([1, 2]);
    expect(filesToMerge([30, 10, 10], false)).toEqual([0, 1, 2]);
    expect(filesToMerge([], false)).toEqual([]);
    expect(filesToMerge([7], true)).toHaveLength(1);
  });

  it('leave few files, and write each id again few times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 90, max: 110 }), { minLength: 1, maxLength: 400 }), (spills) => {
        let files: number[] = [];
        let written = 0;
        for (const spill of spills) {
          files.push(spill);
          for (;;) {
            const parts = filesToMerge(files, false);
            if (parts.length < 2) break;
            const sum = parts.reduce((total, i) => total + files[i]!, 0);
            written += sum;
            files = [...files.slice(0, parts[0]), sum, ...files.slice(parts.at(-1)! + 1)];
          }
          expect(files.length).toBeLessThan(FILES_MAX);
        }
        const ids = spills.reduce((total, one) => total + one, 0);
        expect(written / ids).toBeLessThanOrEqual(1 + Math.log2(spills.length));
      }),
    );
  });
});
