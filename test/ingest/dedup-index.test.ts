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
    const seen = { files: 0, withoutFilter: 0, unreadable: 0, refused: 0, duplicates: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(3_000, 12_000, 40_000, 150_000),
        fc.array(aStep, { minLength: 10, maxLength: 40 }),
        async (bytesMax, steps) => {
          const { disk, memory, index, place } = indexWith(bytesMax);
          const indexes = [index, new DedupIndex(HORIZON_MS, { ...place, directory: '/d/two' })];
          const models = indexes.map((one) => new Model(HORIZON_MS, one.bucketMs));
          const times = [START_MS, START_MS];
          let wasFull = false;
          let last: Extract<Step, { kind: 'batch' }> | undefined;
          for (const step of steps) {
            if (step.kind === 'wait') for (const one of indexes) await one.idle();
            if (step.kind === 'unreadable') disk.readFailures = step.times;
            if (step.kind === 'full') {
              disk.memory.faults.spaceLeft = step.spaceLeft;
              wasFull = true;
            }
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
              (wasFull ? memory.bytesHardMax : bytesMax) + tableBytesFor(batch.ids.length) + 8_192,
            );
            await one.settle();
            for (const { state } of indexes) {
              seen.files = Math.max(seen.files, state.idFiles);
              seen.withoutFilter = Math.max(seen.withoutFilter, state.filesWithoutFilter);
            }
          }
          for (const one of indexes) await one.close();
          expect(disk.openFiles).toBe(0);
          expect(disk.openFilesMost).toBeLessThanOrEqual(24);
          expect(memory.bytes).toBe(0);
          expect(await disk.paths('/d')).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
    // The steps above must have met what they are about.
    expect(seen.files).toBeGreaterThan(5);
    expect(seen.withoutFilter).toBeGreaterThan(0);
    expect(seen.unreadable).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(0);
    expect(seen.duplicates).toBeGreaterThan(1_000);
  });

  it('keeps its budget over hundreds of thousands of ids, in few files', async () => {
    const { disk, memory, index } = indexWith(2 * 2 ** 20);
    const model = new Model(HORIZON_MS, index.bucketMs);
    let most = 0;
    for (let batch = 0; batch < 60; batch += 1) {
      // One in ten was sent before.
      const ids = range(batch * 4_500, batch * 4_500 + 5_000);
      const atMs = START_MS + batch * 260;
      expect(await apply(index, ids, atMs)).toEqual(applyToModel(model, ids, atMs));
      most = Math.max(most, memory.bytes);
      await index.settle();
    }
    await index.idle();
    expect(most).toBeLessThanOrEqual(memory.bytesMax);
    expect(index.state).toMatchObject({ ids: 59 * 4_500 + 5_000, filesWithoutFilter: 0 });
    expect(index.state.idsOnDisk).toBeGreaterThan(200_000);
    expect(index.state.idFiles).toBeLessThan(20);
    expect((await disk.paths('/d/one')).length, 'merged files are gone').toBe(index.state.idFiles);
    expect(disk.openFilesMost).toBeLessThanOrEqual(12);
    index.forget(START_MS + 1_000_000);
    await index.settle();
    await index.idle();
    expect(memory.bytes).toBe(0);
    expect(await disk.paths('/d/one')).toEqual([]);
    await index.close();
  });

  it('finds ids that are alike in all but one word, on disk too', async () => {
    const { index } = indexWith(1_000);
    const ids = Array.from({ length: 2_000 }, (_, n) => alike(n * 2));
    await apply(index, ids, START_MS);
    await index.settle();
    await index.idle();
    expect(index.state.idsOnDisk).toBe(2_000);
    const others = Array.from({ length: 4_000 }, (_, n) => alike(n));
    expect(await apply(index, others, START_MS)).toEqual(others.map((_, n) => n % 2 === 0));
    await index.close();
  });

  it('lets the busy stream spill, not the quiet one', async () => {
    const { index: busy, place } = indexWith(200_000);
    const quiet = new DedupIndex(HORIZON_MS, { ...place, directory: '/d/quiet' });
    await apply(quiet, range(0, 100), START_MS);
    await quiet.settle();
    for (let batch = 0; batch < 30; batch += 1) {
      await apply(busy, range(batch * 1_000, batch * 1_000 + 1_000), START_MS + batch * 100);
      await busy.settle();
    }
    await busy.idle();
    expect(busy.state.idsOnDisk).toBeGreaterThan(20_000);
    expect(quiet.state).toMatchObject({ ids: 100, idsOnDisk: 0 });
    await busy.close();
    await quiet.close();
  });

  it('refuses a batch when the disk is full and memory at its hard bound, and goes on when there is room', async () => {
    const { disk, memory, index } = indexWith(100_000);
    const model = new Model(HORIZON_MS, index.bucketMs);
    disk.memory.faults.spaceLeft = 0;
    let refused: unknown;
    let batch = 0;
    for (; batch < 100 && !refused; batch += 1) {
      const ids = range(batch * 100, batch * 100 + 150);
      const found = await apply(index, ids, START_MS).catch((error: unknown) => {
        refused = error;
      });
      if (found) expect(found).toEqual(applyToModel(model, ids, START_MS));
      await index.settle();
    }
    expect(refused).toMatchObject({ code: 'store-unavailable' });
    expect(String(refused)).toContain('MILLRACE_DEDUP_MEMORY');
    expect(memory.bytes).toBeGreaterThan(memory.bytesMax * 0.7);
    // A small table doubles at once.
    expect(memory.bytes).toBeLessThanOrEqual(memory.bytesHardMax + 65_536);
    expect(memory.lastFailure).toMatchObject({ code: 'ENOSPC' });
    await expect(index.prepare(wordsOf(range(0, 150)))).rejects.toThrow('ENOSPC');
    disk.memory.faults.spaceLeft = Number.POSITIVE_INFINITY;
    const ids = range(batch * 100 - 100, batch * 100 + 2_000);
    expect(await apply(index, ids, START_MS)).toEqual(applyToModel(model, ids, START_MS));
    expect(memory.lastFailure).toBeUndefined();
    await index.close();
  });

  /** An index with all its ids in one file. */
  async function spilled() {
    const one = indexWith(1_000);
    await apply(one.index, range(0, 1_000), START_MS);
    await one.index.settle();
    await one.index.idle();
    expect(one.index.state).toMatchObject({ ids: 1_000, idsOnDisk: 1_000, idFiles: 1 });
    return one;
  }

  it('fails a batch whose ids cannot be looked up; it can be tried again', async () => {
    const { disk, index } = await spilled();
    disk.readFailures = 1;
    await expect(index.prepare(wordsOf(range(0, 10)))).rejects.toThrow('EIO');
    expect(() => index.has(...idOf(0), START_MS)).toThrow('not prepared');
    expect(index.broken).toBe(false);
    expect(await apply(index, range(999, 1_001), START_MS)).toEqual([true, false]);
    await index.close();
  });

  it('is broken when a file stays unreadable, is gone, or is not what was written', async () => {
    const stays = await spilled();
    stays.disk.readFailures = 100;
    for (let tries = 0; tries < 3; tries += 1) {
      expect(stays.index.broken).toBe(false);
      await expect(stays.index.prepare(wordsOf(range(0, 1)))).rejects.toThrow('EIO');
    }
    expect(stays.index.broken).toBe(true);

    const gone = await spilled();
    for (const path of await gone.disk.paths('/d/one')) await gone.disk.memory.unlink(path);
    await expect(gone.index.prepare(wordsOf(range(0, 1)))).rejects.toThrow('ENOENT');
    expect(gone.index.broken).toBe(true);
    await expect(gone.index.prepare(wordsOf(range(5_000, 5_001)))).rejects.toThrow('rebuilt');

    const flipped = await spilled();
    const [path] = await flipped.disk.paths('/d/one');
    const file = await flipped.disk.memory.open(path!, 'update');
    await file.writev([Uint8Array.of(1, 2, 3)], 5_000);
    await expect(flipped.index.prepare(wordsOf(range(0, 1_000)))).rejects.toThrow('not what was written');
    expect(flipped.index.broken).toBe(true);

    const cut = await spilled();
    const [shorter] = await cut.disk.paths('/d/one');
    await (await cut.disk.memory.open(shorter!, 'update')).truncate(10_000);
    await expect(cut.index.prepare(wordsOf(range(0, 1_000)))).rejects.toThrow('early');
    expect(cut.index.broken).toBe(true);
    for (const { index } of [stays, gone, flipped, cut]) await index.close();
  });

  it('will not answer for an id that was not prepared once ids are on disk', async () => {
    const { index } = await spilled();
    expect(() => index.has(...idOf(1), START_MS)).toThrow('not prepared');
    await index.prepare(wordsOf(range(0, 2)));
    expect(index.has(...idOf(1), START_MS)).toBe(true);
    expect(() => index.has(...idOf(2), START_MS)).toThrow('not prepared');
    await index.settle();
    expect(() => index.has(...idOf(1), START_MS)).toThrow('not prepared');
    await index.close();
  });

  it('lets go of everything when it is closed in the middle of its work', async () => {
    const { disk, memory, index } = indexWith(60_000);
    for (let batch = 0; batch < 8; batch += 1) {
      await apply(index, range(batch * 1_000, batch * 1_000 + 1_000), START_MS + batch * 2_500);
      await index.settle();
    }
    await index.close();
    expect(memory.bytes).toBe(0);
    expect(disk.openFiles).toBe(0);
    expect(await disk.paths('/d')).toEqual([]);
    await memory.idle();
    expect(memory.lastFailure).toBeUndefined();
  });
});
