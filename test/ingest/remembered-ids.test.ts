import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type StreamName } from '../../src/base/brand.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { parseStream } from '../../src/define/index.ts';
import { DedupMemory } from '../../src/ingest/dedup-memory.ts';
import { RememberedIds } from '../../src/ingest/remembered-ids.ts';
import { idsInEngine, type StoredIds } from '../../src/ingest/stored-ids.ts';
import { eventsTable, openChdb, StoreTables } from '../../src/store/index.ts';
import { FaultyDisk, type Id, idOf, wordsOf } from './dedup-support.ts';

const streamOf = (within: string | undefined) =>
  parseStream('s', { fields: { id: 'uint64' }, dedupe: within === undefined ? false : { within } });
const HOUR = streamOf('1h');
const START_MS = Date.UTC(2024, 0, 1);
const MINUTE_MS = 60_000;

interface Stored {
  readonly id: Id;
  readonly atMs: number;
}

/** A store as a list; it counts how often it is read. */
class ListedIds implements StoredIds {
  readonly all: Stored[] = [];
  readings = 0;
  failures = 0;

  async counts(sinceMs: number, widthMs: number) {
    this.readings += 1;
    const counts = new Map<number, number>();
    for (const { atMs } of this.all) {
      if (atMs < sinceMs) continue;
      const span = Math.floor(atMs / widthMs);
      counts.set(span, (counts.get(span) ?? 0) + 1);
    }
    return [...counts].map(([span, ids]) => ({ span, ids })).sort((x, y) => x.span - y.span);
  }

  async *between(fromMs: number, toMs: number) {
    const ids = this.all.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).map(({ id }) => id);
    for (let i = 0; i < ids.length; i += 700) {
      if (this.failures > 0) {
        this.failures -= 1;
        throw new Error('the store is away');
      }
      yield wordsOf(ids.slice(i, i + 700));
    }
  }
}

function remembered(bytesMax = 2 ** 30) {
  const stored = new ListedIds();
  const disk = new FaultyDisk();
  const memory = new DedupMemory({ bytesMax });
  const ids = new RememberedIds({
    engine: stored,
    tenant: DEFAULT_TENANT,
    stream: 's' as StreamName,
    memory,
    files: disk.files,
    directory: '/scratch',
  });
  return { stored, disk, memory, ids };
}

async function seen(
  index: { prepare(words: Uint32Array): Promise<void>; has(...id: [...Id, number]): boolean },
  ids: readonly Id[],
  atMs: number,
): Promise<readonly boolean[]> {
  await index.prepare(wordsOf(ids));
  return ids.map((id) => index.has(...id, atMs));
}

describe('remembered ids', () => {
  it.each([
    ['in memory', 2 ** 30],
    ['on disk', 40_000],
  ])('are made from the store, %s: those of the horizon and no others', async (_, bytesMax) => {
    const { stored, disk, memory, ids } = remembered(bytesMax);
    for (let n = 0; n < 12_000; n += 1) stored.all.push({ id: idOf(n), atMs: START_MS + n * 1_000 });
    const newestMs = START_MS + 11_999_000;
    const index = (await ids.of(HOUR, newestMs))!;
    await index.settle();
    await index.idle();
    expect(memory.bytes).toBeLessThanOrEqual(bytesMax);
    expect(index.state.idsOnDisk > 0).toBe(bytesMax < 2 ** 20);
    const sinceMs = index.remembersSince(newestMs);
    expect(newestMs - sinceMs).toBeGreaterThanOrEqual(3_600_000);
    expect(newestMs - sinceMs).toBeLessThanOrEqual(3_600_000 * 1.125);
    for (let from = 0; from < 13_000; from += 1_000) {
      const some = Array.from({ length: 1_000 }, (_, i) => from + i);
      expect(await seen(index, some.map(idOf), newestMs)).toEqual(
        some.map((n) => n < 12_000 && START_MS + n * 1_000 >= sinceMs),
      );
    }
    await ids.close();
    expect(memory.bytes).toBe(0);
    expect(await disk.paths('/scratch/dedup/default')).toEqual([]);
  });

  it('are kept while the horizon stays, and read again when it changes or somebody asks for it', async () => {
    const { stored, ids } = remembered();
    stored.all.push({ id: idOf(1), atMs: START_MS });
    expect(ids.isStale(HOUR)).toBe(false);
    const index = await ids.of(HOUR, START_MS);
    expect(await ids.of(HOUR, START_MS)).toBe(index);
    expect(stored.readings).toBe(1);
    const minute = streamOf('1m');
    expect(ids.isStale(minute)).toBe(true);
    const other = (await ids.of(minute, START_MS + MINUTE_MS * 10))!;
    expect(other.state.ids).toBe(0);
    expect(await ids.of(streamOf(undefined), START_MS)).toBeUndefined();
    expect(ids.isStale(streamOf(undefined))).toBe(false);
    const again = (await ids.of(HOUR, START_MS))!;
    expect(await seen(again, [idOf(1)], START_MS)).toEqual([true]);
    await ids.close();
  });

  it('wait for the batch under way before they are read from the store', async () => {
    const { stored, ids } = remembered();
    let applied: () => void = () => undefined;
    const underWay = new Promise<void>((resolve) => {
      applied = resolve;
    }).then(() => stored.all.push({ id: idOf(7), atMs: START_MS }));
    const making = ids.of(HOUR, undefined, underWay);
    applied();
    expect(await seen((await making)!, [idOf(7), idOf(8)], START_MS)).toEqual([true, false]);
    await ids.close();
  });

  it('are made anew when a file of theirs is lost', async () => {
    const { stored, disk, ids } = remembered(20_000);
    for (let n = 0; n < 3_000; n += 1) stored.all.push({ id: idOf(n), atMs: START_MS + n });
    const index = (await ids.of(HOUR, START_MS + 3_000))!;
    await index.settle();
    await index.idle();
    for (const path of await disk.paths('/scratch/dedup/default/s')) await disk.memory.unlink(path);
    await expect(index.prepare(wordsOf([idOf(5)]))).rejects.toThrow('ENOENT');
    expect(ids.isStale(HOUR)).toBe(true);
    const fresh = (await ids.of(HOUR, START_MS + 3_000, Promise.resolve()))!;
    expect(fresh).not.toBe(index);
    expect(await seen(fresh, [idOf(5), idOf(5_000)], START_MS + 3_000)).toEqual([true, false]);
    await ids.close();
  });

  it('leave nothing behind when the store fails in the middle; the next call begins again', async () => {
    const { stored, disk, memory, ids } = remembered(20_000);
    for (let n = 0; n < 3_000; n += 1) stored.all.push({ id: idOf(n), atMs: START_MS + n * 1_000 });
    stored.failures = 1;
    await expect(ids.of(HOUR, START_MS + 3_000_000)).rejects.toThrow('away');
    expect(memory.bytes).toBe(0);
    const index = (await ids.of(HOUR, START_MS + 3_000_000))!;
    expect(await seen(index, [idOf(2_999)], START_MS + 3_000_000)).toEqual([true]);
    await ids.close();
    expect(disk.openFiles).toBe(0);
  });

  it('come out of the real engine as they went in', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-ids-'));
    const engine = openChdb({ directory: join(directory, 'store') });
    try {
      await new StoreTables(engine).createStream(DEFAULT_TENANT, HOUR);
      // 50 000 events in 50 minutes; every tenth has no id of its own.
      await engine.execute({
        text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, 's')} (id, _id, _id_hash, _time, _received, _partition, _offset)
SELECT number, toString(number), number % 10 = 0 ? 0 : reinterpretAsUInt128(sipHash128Reference(toString(number))), at, at, 0, number
FROM (SELECT number, fromUnixTimestamp64Milli(toInt64(${START_MS} + number * 60), 'UTC') AS at FROM numbers(50000))`,
      });
      const stored = idsInEngine(engine, DEFAULT_TENANT, 's' as StreamName);
      const counts = await stored.counts(START_MS, 10 * MINUTE_MS);
      expect(counts.map(({ ids }) => ids)).toEqual([9_000, 9_000, 9_000, 9_000, 9_000]);
      expect(counts[0]!.span).toBe(START_MS / (10 * MINUTE_MS));

      const memory = new DedupMemory({ bytesMax: 300_000 });
      const ids = new RememberedIds({
        ...{ engine, memory, files: nodeFiles, directory: join(directory, 'scratch') },
        ...{ tenant: DEFAULT_TENANT, stream: 's' as StreamName },
      });
      const index = (await ids.of(HOUR, START_MS + 50 * MINUTE_MS))!;
      await index.idle();
      expect(index.state.ids).toBe(45_000);
      expect(index.state.idsOnDisk).toBeGreaterThan(30_000);
      const bytes = await engine.query(
        {
          text: 'SELECT reinterpretAsUInt128(sipHash128Reference(toString(number))) FROM numbers(49990, 20) WHERE number % 10 != 0',
        },
        'RowBinary',
      );
      const words = new Uint32Array(bytes.slice().buffer);
      await index.prepare(words);
      const found = Array.from({ length: 18 }, (_, i) => {
        const [a, b, c, d] = words.subarray(i * 4, i * 4 + 4);
        return index.has(a!, b!, c!, d!, START_MS + 50 * MINUTE_MS);
      });
      expect(found).toEqual(Array.from({ length: 18 }, (_, i) => i < 9));
      await ids.close();
    } finally {
      await engine.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
