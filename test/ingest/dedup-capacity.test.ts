import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatBytes, parseBytes } from '../../src/base/bytes.ts';
import { parseStream } from '../../src/define/index.ts';
import { checkDedupFits, dedupCapacity } from '../../src/ingest/dedup-capacity.ts';

const GIB = 2 ** 30;
const DAY_MS = 86_400_000;
const streamOf = (name: string, dedupe: unknown) => parseStream(name, { fields: { id: 'uint64' }, dedupe });

describe('the capacity for ids', () => {
  it.each([
    [1_000, DAY_MS, 'memory'],
    [10_000, DAY_MS, 'spill'],
    [30_000, DAY_MS, 'no'],
    [100_000, 600_000, 'memory'],
    [500, 30 * DAY_MS, 'spill'],
    [10_000, 30 * DAY_MS, 'no'],
    [1_000_000, 1_000, 'memory'],
  ])('of 4 GiB at %s ids per second for %s ms is: %s', (ratePerSecond, withinMs, fits) => {
    expect(dedupCapacity({ ratePerSecond, withinMs, budgetBytes: 4 * GIB }).fits).toBe(fits);
  });

  it('is told in numbers', () => {
    expect(dedupCapacity({ ratePerSecond: 10_000, withinMs: DAY_MS, budgetBytes: 4 * GIB })).toEqual({
      ids: 972_000_000,
      bytesInMemory: 27_702_000_000,
      bytesFilters: 2_004_750_000,
      bytesOnDisk: 15_552_000_000,
      fits: 'spill',
      says: '972,000,000 ids are remembered at most; that is 25.8 GiB of memory, or 1.87 GiB of memory and 14.5 GiB on disk',
    });
  });

  it('refuses a declared rate that does not fit even on disk, and the advice holds', () => {
    const stream = streamOf('clicks', { within: '30d', rate: 10_000 });
    expect(() => checkDedupFits(stream, [], 4 * GIB)).toThrow(
      /dedupe: 10000 ids per second for 30d do not fit: 29,160,000,000 ids .* Raise MILLRACE_DEDUP_MEMORY from 4 GiB to at least 73GiB, or dedupe\.within to at most 39h, or declare a lower rate/,
    );
    expect(checkDedupFits(stream, [], 73 * GIB)).toContain('looked up on disk');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e7 }),
        fc.integer({ min: 1, max: 720 }),
        fc.integer({ min: 1, max: 1_000 }),
        (rate, hours, budgetMib) => {
          const one = streamOf('s', { within: `${hours}h`, rate });
          try {
            checkDedupFits(one, [], budgetMib * 2 ** 20);
          } catch (error) {
            const [, memory, shorter] = /at least (\d+GiB)(?:, or dedupe\.within to at most (\w+))?/.exec(
              String(error),
            )!;
            expect(() => checkDedupFits(one, [], parseBytes(memory!)!)).not.toThrow();
            if (!shorter) return;
            const kept = streamOf('s', { within: shorter, rate });
            expect(() => checkDedupFits(kept, [], budgetMib * 2 ** 20)).not.toThrow();
          }
        },
      ),
    );
  });

  it('is shared by the streams that declare a rate; one that declares none is never refused', () => {
    const one = streamOf('one', { within: '24h', rate: 15_000 });
    const other = streamOf('other', { within: '24h', rate: 9_000 });
    const silent = streamOf('silent', { within: '30d' });
    expect(checkDedupFits(one, [silent], 4 * GIB)).toContain('older ids are looked up on disk');
    expect(() => checkDedupFits(one, [silent, other], 4 * GIB)).toThrow('with the 1 other streams');
    expect(checkDedupFits(silent, [one, other], 4 * GIB)).toBeUndefined();
    expect(checkDedupFits(streamOf('s', { within: '1h', rate: 100 }), [], 4 * GIB)).toBeUndefined();
  });
});

describe('sizes', () => {
  it('are read and written', () => {
    expect(['4GiB', '4 GiB', '1.5KiB', '1000', '2MB', '7B'].map(parseBytes)).toEqual([
      4 * GIB,
      4 * GIB,
      1_536,
      1_000,
      2_000_000,
      7,
    ]);
    for (const nonsense of ['', 'GiB', '4 G', '-1', '1e9', '4gib', '99999999999999TiB'])
      expect(parseBytes(nonsense)).toBeUndefined();
    expect([0, 999, 1_536, 4 * GIB, 1e15].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.5 KiB',
      '4 GiB',
      '909 TiB',
    ]);
  });
});
