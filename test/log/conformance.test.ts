/** What every log owes, held against each implementation. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import { createMemoryLog, findBlock, type Log, openFileLog } from '../../src/log/index.ts';
import { at, blocksFrom, KEY, linesFrom, linesOf, records, START_MS } from './support.ts';

let directory: string;
let clock: ManualClock;
let log: Log;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  clock = new ManualClock(START_MS);
});

afterEach(async () => {
  await log.close();
  await rm(directory, { recursive: true, force: true });
});

const implementations: Record<string, (segmentBytes?: number) => Promise<Log>> = {
  'the log in memory': async (segmentBytes = 2 ** 20) =>
    createMemoryLog({ clock, ids: countingIds(), segmentBytes }),
  'the file log': (segmentBytes = 2 ** 20) =>
    openFileLog({ directory, files: nodeFiles, clock, ids: countingIds(), lingerMs: 0, segmentBytes }),
  'the file log on files in memory': (segmentBytes = 2 ** 20) =>
    openFileLog({
      directory,
      files: new MemoryFiles(),
      clock,
      ids: countingIds(),
      lingerMs: 0,
      segmentBytes,
    }),
};

describe.each(Object.entries(implementations))('%s', (_, open) => {
  it('knows nothing of a partition that nobody wrote', async () => {
    log = await open();
    expect(log.state(KEY)).toEqual({ start: 0, end: 0, bytes: 0, newestAtMs: 0 });
    expect(await log.read(KEY, at(0), 1_000)).toEqual([]);
    expect(await log.offsetAt(KEY, 0)).toBe(0);
    expect(log.bytesAfter(KEY, at(0))).toBe(0);
    expect(log.partitions()).toEqual([]);
    expect(await log.retain(KEY, { bytesMax: 0, appliedTo: at(0) })).toEqual({ segmentsRemoved: 0 });
    await log.remove(KEY);
  });

  it('gives offsets without gaps, in the order of the calls, and reads from any of them', async () => {
    log = await open();
    const appended = await Promise.all([
      log.append(KEY, records('a', 'b')),
      log.append(KEY, records('c')),
      log.append(KEY, records('d', 'e')),
    ]);
    expect(appended.map(({ baseOffset, count }) => [baseOffset, count])).toEqual([
      [0, 2],
      [2, 1],
      [3, 2],
    ]);
    for (let from = 0; from <= 5; from += 1)
      expect(await linesFrom(log, from)).toEqual(['a', 'b', 'c', 'd', 'e'].slice(from));
    expect(log.state(KEY)).toMatchObject({ start: 0, end: 5, newestAtMs: START_MS });
    expect(await log.read(KEY, at(6), 1_000)).toEqual([]);
  });

  it('reads whole blocks, at least one, until the bytes asked for are passed', async () => {
    log = await open();
    for (const name of ['a', 'b', 'c', 'd']) await log.append(KEY, records(name.repeat(99)));
    const read = async (from: number, bytesMax: number) =>
      (await log.read(KEY, at(from), bytesMax)).map((block) => block.baseOffset);
    expect(await read(0, 1)).toEqual([0]);
    expect(await read(1, 100)).toEqual([1]);
    expect(await read(1, 101)).toEqual([1, 2]);
    expect(await read(0, 1e9)).toEqual([0, 1, 2, 3]);
    expect(await read(2, Number.MAX_SAFE_INTEGER)).toEqual([2, 3]);
  });

  it('keeps bytes as they are: large chunks, small ones, many and empty ones', async () => {
    log = await open(200_000);
    const chunks = [
      Buffer.from('{"a":"'),
      new Uint8Array(0),
      Buffer.alloc(100_000, 'x'),
      Buffer.from('"}\nü\0\xff', 'latin1'),
      ...Array.from({ length: 3_000 }, (_unused, i) => Buffer.from(`${i},`)),
      Buffer.from('\n'),
    ];
    const whole = Buffer.concat(chunks);
    await log.append(KEY, { chunks, count: 2, bytes: whole.byteLength });
    const blocks = await log.read(KEY, at(0), 1);
    expect(blocks.length).toBe(1);
    expect(Buffer.compare(Buffer.from(blocks[0]!.payload), whole)).toBe(0);
    expect(log.bytesAfter(KEY, at(0))).toBe(whole.byteLength);
  });

  it('finds the first record of a time, and never lets time go back', async () => {
    log = await open(300);
    await log.append(KEY, records('a'));
    clock.advance(1_000);
    await log.append(KEY, records('b', 'b'));
    await log.append(KEY, records('c'));
    clock.advance(-5_000);
    const { loggedAtMs } = await log.append(KEY, records('d'));
    expect(loggedAtMs).toBe(START_MS + 1_000);
    clock.advance(9_000);
    await log.append(KEY, records('e'));
    const offsets = [0, 1, 1_000, 1_001, 5_000, 5_001].map((ms) => log.offsetAt(KEY, START_MS + ms));
    expect(await Promise.all(offsets)).toEqual([0, 1, 1, 5, 5, 6]);
    const blocks = await blocksFrom(log, 0);
    expect(blocks.map((block) => block.receivedAtMs - START_MS)).toEqual([0, 1_000, 1_000, 1_000, 5_000]);
    expect(log.state(KEY).newestAtMs).toBe(START_MS + 5_000);
  });

  it('gives each block ids that no other block has', async () => {
    log = await open();
    for (let i = 0; i < 20; i += 1) await log.append(KEY, records('a', 'b'));
    const blocks = await blocksFrom(log, 0);
    expect(new Set(blocks.map((block) => Buffer.from(block.idBase).toString('hex'))).size).toBe(
      blocks.length,
    );
  });

  it('tells the backlog of a reader wherever it stands', async () => {
    log = await open(1_000);
    const lines = Array.from({ length: 60 }, () => 'x'.repeat(99));
    for (let i = 0; i < lines.length; i += 3) await log.append(KEY, records(...lines.slice(i, i + 3)));
    for (let from = 0; from <= 60; from += 1) expect(log.bytesAfter(KEY, at(from))).toBe((60 - from) * 100);
    expect(log.bytesAfter(KEY, at(99))).toBe(0);
  });

  it('tells listeners once the records can be read, until they stop', async () => {
    log = await open();
    const seen: number[] = [];
    const stop = log.onAppend(KEY, () => seen.push(log.state(KEY).end));
    log.onAppend({ ...KEY, partition: 1 }, () => seen.push(-1));
    await log.append(KEY, records('a'));
    expect(seen).toEqual([1]);
    stop();
    await log.append(KEY, records('b'));
    expect(seen).toEqual([1]);
  });

  it('keeps partitions apart, and lists those that have records', async () => {
    log = await open();
    const keys = [KEY, { ...KEY, partition: 1 }, { ...KEY, stream: 't' as StreamName }];
    for (const [i, key] of keys.entries()) await log.append(key, records(`of ${i}`));
    for (const [i, key] of keys.entries()) {
      expect(log.state(key).end).toBe(1);
      expect((await log.read(key, at(0), 1_000)).flatMap(linesOf)).toEqual([`of ${i}`]);
    }
    const listed = log
      .partitions()
      .map(({ tenant, stream, partition }) => `${tenant} ${stream} ${partition}`);
    expect(listed.sort()).toEqual(['default s 0', 'default s 1', 'default t 0']);
  });

  it('forgets old segments by age and by size, but nothing that is not applied', async () => {
    log = await open(900);
    for (let i = 0; i < 10; i += 1) {
      await log.append(KEY, records(`${i} ${'x'.repeat(800)}`));
      clock.advance(1_000);
    }
    const forget = async (policy: { beforeMs?: number; bytesMax?: number }, appliedTo: number) =>
      (await log.retain(KEY, { ...policy, appliedTo: at(appliedTo) })).segmentsRemoved;
    expect(await forget({ beforeMs: START_MS + 60_000 }, 0)).toBe(0);
    expect(await forget({ beforeMs: START_MS + 3_000 }, 10)).toBe(3);
    expect(log.state(KEY).start).toBe(3);
    expect(await forget({ beforeMs: START_MS + 60_000 }, 4)).toBe(1);
    expect(await forget({ bytesMax: 3 * 1_000 }, 10)).toBe(3);
    expect(log.state(KEY)).toMatchObject({ start: 7, end: 10 });
    expect((await linesFrom(log, 7)).map((line) => line[0])).toEqual(['7', '8', '9']);
    await expect(log.read(KEY, at(6), 10)).rejects.toThrow(/no longer kept; the first is 7/);
    expect(await log.offsetAt(KEY, 0)).toBe(7);
    expect(await forget({ bytesMax: 0 }, 10)).toBe(2);
    expect(await log.append(KEY, records('next'))).toMatchObject({ baseOffset: 10 });
    expect((await linesFrom(log, 9)).length).toBe(2);
  });

  it('begins anew after a partition was removed', async () => {
    log = await open();
    let told = 0;
    log.onAppend(KEY, () => {
      told += 1;
    });
    await log.append(KEY, records('old'));
    await log.remove(KEY);
    expect(log.partitions()).toEqual([]);
    expect(log.state(KEY)).toMatchObject({ start: 0, end: 0, bytes: 0 });
    expect(await log.append(KEY, records('new'))).toMatchObject({ baseOffset: 0 });
    expect(await linesFrom(log, 0)).toEqual(['new']);
    expect(told).toBe(2);
  });

  it('makes an append with options a block of its own, in its turn, with the id base and the mark it was given', async () => {
    log = await open();
    const idBase = Buffer.alloc(16, 7);
    const given = idBase.slice();
    const appended = await Promise.all([
      log.append(KEY, records('a')),
      log.append(KEY, records('b', 'c'), { idBase: given, replayed: true }),
      log.append(KEY, records('d'), { replayed: true }),
      log.append(KEY, records('e'), {}),
      log.append(KEY, records('f')),
      Promise.resolve(given.fill(0)),
    ]);
    expect(appended.slice(0, 5)).toMatchObject([0, 1, 3, 4, 5].map((baseOffset) => ({ baseOffset })));
    const blocks = await blocksFrom(log, 0);
    expect(blocks.map((block) => [block.baseOffset, linesOf(block).join(''), block.replayed])).toEqual([
      [0, 'a', false],
      [1, 'bc', true],
      [3, 'd', true],
      [4, 'e', false],
      [5, 'f', false],
    ]);
    expect(Buffer.compare(blocks[1]!.idBase, idBase)).toBe(0);
    expect(new Set(blocks.map((block) => Buffer.from(block.idBase).toString('hex'))).size).toBe(5);
    await expect(log.append(KEY, records('g'), { idBase: Buffer.alloc(15) })).rejects.toThrow(/16 bytes/);
    expect(log.state(KEY).end).toBe(6);
  });

  it('finds a block by its id base from an offset on, or that there is none', async () => {
    log = await open(9 * 2 ** 20);
    const idBase = Buffer.alloc(16, 7);
    expect(await findBlock(log, KEY, at(0), idBase)).toBeUndefined();
    const large = 'x'.repeat(3 * 2 ** 20);
    for (let i = 0; i < 4; i += 1) await log.append(KEY, records(large));
    const { baseOffset } = await log.append(KEY, records('mine', 'too'), { idBase });
    await log.append(KEY, records('after'));
    for (const from of [0, 2, baseOffset]) {
      const found = await findBlock(log, KEY, at(from), idBase);
      expect(found).toMatchObject({ baseOffset, count: 2 });
      expect(linesOf(found!)).toEqual(['mine', 'too']);
    }
    for (const from of [6, 7, 99]) expect(await findBlock(log, KEY, at(from), idBase)).toBeUndefined();
    expect(await findBlock(log, KEY, at(0), Buffer.alloc(16, 8))).toBeUndefined();
    await log.retain(KEY, { bytesMax: 0, appliedTo: at(7) });
    await expect(findBlock(log, KEY, at(0), idBase)).rejects.toThrow(/no longer kept/);
  });

  it('takes nothing once it is closed, and keeps what it took readable', async () => {
    log = await open();
    const last = log.append(KEY, records('a'));
    await log.close();
    await last;
    await expect(log.append(KEY, records('b'))).rejects.toMatchObject({ code: 'stopping', status: 503 });
    expect(await linesFrom(log, 0)).toEqual(['a']);
  });

  it('refuses records that are not what they say', async () => {
    log = await open();
    const chunk = Buffer.from('a\nb');
    const wrong = [
      { chunks: [chunk], count: 1, bytes: 3 },
      { chunks: [chunk.subarray(0, 2)], count: 1, bytes: 3 },
      { chunks: [], count: 0, bytes: 0 },
    ];
    for (const one of wrong) await expect(log.append(KEY, one)).rejects.toThrow(/invariant/);
    expect(log.state(KEY).end).toBe(0);
  });

  it('reads the same whatever the sizes of lines, appends, segments and reads', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'ü', '"', ' '), maxLength: 3_000 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(line, { minLength: 1, maxLength: 20 }), { maxLength: 12 }),
        fc.integer({ min: 100, max: 20_000 }),
        fc.integer({ min: 1, max: 50_000 }),
        async (groups, segmentBytes, bytesMax) => {
          log = await open(segmentBytes);
          const all = groups.flat();
          await Promise.all(groups.map((group) => log.append(KEY, records(...group))));
          for (const from of [0, Math.floor(all.length / 2), all.length])
            expect(await linesFrom(log, from, bytesMax)).toEqual(all.slice(from));
          await log.remove(KEY);
          await log.close();
        },
      ),
      { numRuns: 15 },
    );
  });
});
