import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DedupIndex } from '../../src/ingest/dedup-index.ts';
import { DedupMemory } from '../../src/ingest/dedup-memory.ts';
import { tableBytesFor } from '../../src/ingest/dedup-table.ts';
import { alike, FaultyDisk, type Id, idOf, Model, wordsOf } from './dedup-support.ts';

const HORIZON_MS = 16_000;
const START_MS = 1_700_000_000_000;

/** Goes through a batch as ingest does: which of the ids were seen? */
async function apply(index: DedupIndex, ids: readonly Id[], atMs: number): Promise<readonly boolean[]> {
  await index.prepare(wordsOf(ids));
  return ids.map((id) => {
    if (index.has(...id, atMs)) return true;
    index.add(...id, atMs);
    return false;
  });
}

function applyToModel(model: Model, ids: readonly Id[], atMs: number): readonly boolean[] {
  return ids.map((id) => {
    if (model.has(id, atMs)) return true;
    model.add(id, atMs);
    return false;
  });
}

const range = (from: number, to: number): readonly Id[] =>
  Array.from({ length: to - from }, (_, i) => idOf(from + i));

function indexWith(bytesMax: number, disk = new FaultyDisk(), directory = '/d/one') {
  const memory = new DedupMemory({ bytesMax });
  const place = { memory, files: disk.files, directory };
  return { disk, memory, place, index: new DedupIndex(HORIZON_MS, place) };
}

type Step =
  | { readonly kind: 'batch'; readonly ids: readonly Id[]; readonly afterMs: number; readonly stream: number }
  | { readonly kind: 'twice' | 'wait' }
  | { readonly kind: 'forget'; readonly stream: number }
  | { readonly kind: 'unreadable'; readonly times: number }
  | { readonly kind: 'full'; readonly spaceLeft: number };

const anId = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3_000).map(idOf) },
  { weight: 1, arbitrary: fc.nat(300).map(alike) },
);
const aBatch = fc.record({
  kind: fc.constant('batch' as const),
  ids: fc.oneof(
    fc.array(anId, { maxLength: 60 }),
    fc.tuple(fc.nat(3_000), fc.integer({ min: 50, max: 400 })).map(([from, n]) => range(from, from + n)),
  ),
  // Partitions arrive out of step: time can go back a little.
  afterMs: fc.oneof(fc.nat(700), fc.integer({ min: -3_000, max: 5_000 })),
  stream: fc.nat(1),
});
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: aBatch },
  { weight: 1, arbitrary: fc.constant({ kind: 'twice' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'wait' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), stream: fc.nat(1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('unreadable' as const), times: fc.integer({ min: 1, max: 2 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('full' as const),
      spaceLeft: fc.constantFrom(0, 3_000, Number.POSITIVE_INFINITY),
    }),
  },
);

describe('the dedup index', () => {
  it('answers as a plain map does, whatever was spilled, merged, dropped, unreadable or full meanwhile', async () => {
    const seen = { runs: 0, merged: 0, withoutFilter: 0, unreadable: 0, refused: 0, duplicates: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(3_000, 12_000, 40_000, 150_000),
        fc.array(aStep, { minLength: 10, maxLength: 40 }),
        async (bytesMax, steps) => {
          const { disk, memory, index, place } = indexWith(bytesMax);
          const indexes = [index, new DedupIndex(HORIZON_MS, { ...place, directory: '/d/two' })];
          const models = indexes.map((one) => new Model(HORIZON_MS, one.bucketMs));
          const times = [START_MS, START_MS];
          let last: Extract<Step, { kind: 'batch' }> | undefined;
          for (const step of steps) {
            if (step.kind === 'wait') for (const one of indexes) await one.idle();
            if (step.kind === 'unreadable') disk.readFailures = step.times;
            if (step.kind === 'full') disk.memory.faults.spaceLeft = step.spaceLeft;
            if (step.kind === 'forget') {
              indexes[step.stream]!.forget(times[step.stream]!);
              models[step.stream]!.forget(times[step.stream]!);
            }
            const batch = step.kind === 'batch' ? step : step.kind === 'twice' ? last : undefined;
            if (!batch) continue;
            last = batch;
            const one = indexes[batch.stream]!;
            times[batch.stream]! += step.kind === 'batch' ? batch.afterMs : 0;
            const atMs = times[batch.stream]!;
            let found: readonly boolean[] | undefined;
            for (let tries = 0; found === undefined && !one.broken; tries += 1) {
              try {
                found = await apply(one, batch.ids, atMs);
              } catch (error) {
                if (String(error).includes('EIO')) seen.unreadable += 1;
                else if (String(error).includes('ENOSPC')) {
                  seen.refused += 1;
                  disk.memory.faults.spaceLeft = Number.POSITIVE_INFINITY;
                } else throw error;
                expect(tries).toBeLessThan(5);
              }
            }
            // Given up: it would be made anew from the store.
            if (found === undefined) break;
            expect(found).toEqual(applyToModel(models[batch.stream]!, batch.ids, atMs));
            seen.duplicates += found.filter(Boolean).length;
            expect(memory.bytes).toBeLessThanOrEqual(
              (disk.memory.faults.spaceLeft === Number.POSITIVE_INFINITY ? bytesMax : memory.bytesHardMax) +
                tableBytesFor(batch.ids.length) +
                8_192,
            );
            await one.settle();
            for (const { state } of indexes) {
              seen.runs = Math.max(seen.runs, state.runs);
              seen.withoutFilter = Math.max(seen.withoutFilter, state.runsWithoutFilter);
            }
          }
          for (const one of indexes) await one.close();
          expect(disk.openFiles).toBe(0);
          expect(disk.openFilesMost).toBeLessThanOrEqual(24);
          expect(memory.bytes).toBe(0);
          expect(await disk.paths('/d')).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
    // The steps above must have met what they are about.
    expect(seen.runs).toBeGreaterThan(5);
    expect(seen.withoutFilter).toBeGreaterThan(0);
    expect(seen.unreadable).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.duplicates).toBeGreaterThan(1_000);
  });
});
