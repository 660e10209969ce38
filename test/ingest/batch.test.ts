import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { cutBatch } from '../../src/ingest/batch.ts';
import { gatherMs, type PaceFacts } from '../../src/ingest/pace.ts';
import type { LogBlock } from '../../src/log/index.ts';

const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition: 0 };
const NOON = Date.UTC(2024, 0, 1, 12);
const block = (baseOffset: number, count: number, receivedAtMs = NOON): LogBlock => ({
  baseOffset: baseOffset as Offset,
  count,
  receivedAtMs,
  idBase: new Uint8Array(16),
  replayed: false,
  payload: new Uint8Array(0),
});
const from = (offset: number): Offset => offset as Offset;

describe('a batch', () => {
  it('holds whole blocks of one day of arrival, so that an insert touches one partition of a table', () => {
    const midnight = Date.UTC(2024, 0, 2);
    const blocks = [block(0, 2), block(2, 3, midnight - 1), block(5, 1, midnight), block(6, 1, midnight)];
    expect(cutBatch(KEY, from(0), blocks)).toMatchObject({ from: 0, to: 5, receivedAtMs: midnight - 1 });
    expect(cutBatch(KEY, from(5), blocks.slice(2))).toMatchObject({ from: 5, to: 7 });
  });

  it('is bounded in records, but takes a block whatever its size', () => {
    expect(cutBatch(KEY, from(0), [block(0, 200_000), block(200_000, 200_000)])).toMatchObject({
      to: 200_000,
    });
    expect(cutBatch(KEY, from(0), [block(0, 900_000), block(900_000, 1)])).toMatchObject({ to: 900_000 });
  });

  it('that was decided before ends where its manifest says', () => {
    const blocks = [block(0, 2), block(2, 3), block(5, 9)];
    expect(cutBatch(KEY, from(0), blocks, from(5))).toMatchObject({ from: 0, to: 5 });
  });

  it('never skips a record', () => {
    expect(cutBatch(KEY, from(0), [])).toBeUndefined();
    expect(() => cutBatch(KEY, from(3), [block(4, 1)])).toThrow(/gap/);
  });
});

describe('gathering', () => {
  const gathers = (facts: Omit<PaceFacts, 'isPressing'>, isPressing = false) =>
    gatherMs({ ...facts, isPressing });

  it('shows a stream that wakes up at once, and leaves time to others while batches are small', () => {
    expect(gathers({ eventsPerSecond: 0, batchMs: 80, sinceLastCutMs: 5_000 })).toBeLessThan(20);
    expect(gathers({ eventsPerSecond: 100, batchMs: 80, sinceLastCutMs: 90 })).toBe(70);
    expect(gathers({ eventsPerSecond: 100, batchMs: 10, sinceLastCutMs: 30 })).toBe(70);
    expect(gathers({ eventsPerSecond: 100, batchMs: 60_000, sinceLastCutMs: 0 })).toBe(500);
  });

  it('makes large parts of a busy stream, and does not wait when it is behind', () => {
    expect(gathers({ eventsPerSecond: 100_000, batchMs: 80, sinceLastCutMs: 100 })).toBe(300);
    expect(gathers({ eventsPerSecond: 100_000, batchMs: 800, sinceLastCutMs: 900 })).toBe(0);
  });

  it('leaves more to others when its tenant sends more than his share, and none of it once he is behind', () => {
    expect(gathers({ eventsPerSecond: 10_000, batchMs: 80, sinceLastCutMs: 90 }, true)).toBe(310);
    expect(gathers({ eventsPerSecond: 40_000, batchMs: 80, sinceLastCutMs: 90 }, true)).toBe(310);
    expect(gathers({ eventsPerSecond: 10_000, batchMs: 80, sinceLastCutMs: 500 }, true)).toBe(0);
    expect(gathers({ eventsPerSecond: 0, batchMs: 80, sinceLastCutMs: 5_000 }, true)).toBeLessThan(20);
  });
});
