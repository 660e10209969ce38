import {
  appendFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { createMemoryLog, type Log, openFileLog, type Records } from '../../src/log/index.ts';
import { faultyFiles } from '../support/faulty-files.ts';

const KEY: PartitionKey = { tenant: DEFAULT_TENANT, stream: 's' as StreamName, partition: 0 };
const at = (offset: number): Offset => offset as Offset;

let directory: string;
let clock: ManualClock;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  clock = new ManualClock();
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const openLog = (files: FileSystem = nodeFiles, segmentBytes = 2 ** 20): Promise<Log> =>
  openFileLog({ directory, files, clock, ids: countingIds(), lingerMs: 0, segmentBytes });

function records(...lines: string[]): Records {
  const chunk = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  return { chunks: [chunk], count: lines.length, bytes: chunk.byteLength };
}

async function linesFrom(log: Log, from: number): Promise<string[]> {
  const lines: string[] = [];
  for (let next = from; ; ) {
    const blocks = await log.read(KEY, at(next), 4_096);
    for (const block of blocks) {
      const own = Buffer.from(block.payload).toString().split('\n').slice(0, -1);
      expect(own.length).toBe(block.count);
      lines.push(...own.slice(Math.max(0, next - block.baseOffset)));
      next = block.baseOffset + block.count;
    }
    if (blocks.length === 0) return lines;
  }
}

const segmentPath = async (which = 0): Promise<string> => {
  const folder = join(directory, 'default', 's', '0');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort();
  return join(folder, names.at(which)!);
};

for (const kind of ['file', 'memory'] as const) {
  describe(`the log in ${kind}`, () => {
    const make = () =>
      kind === 'file' ? openLog() : Promise.resolve(createMemoryLog({ clock, ids: countingIds() }));

    it('gives offsets without gaps, in the order of the calls, and reads from any of them', async () => {
      const log = await make();
      const appended = await Promise.all([
        log.append(KEY, records('a', 'b')),
        log.append(KEY, records('c')),
        log.append(KEY, records('d', 'e')),
      ]);
      expect(appended.map((one) => one.baseOffset)).toEqual([0, 2, 3]);
      for (let from = 0; from <= 5; from += 1)
        expect(await linesFrom(log, from)).toEqual(['a', 'b', 'c', 'd', 'e'].slice(from));
      expect(log.state(KEY)).toMatchObject({ start: 0, end: 5 });
      expect(log.bytesAfter(KEY, at(5))).toBe(0);
      expect(log.bytesAfter(KEY, at(0))).toBeGreaterThanOrEqual(10);
      await log.close();
    });

    it('finds the first record of a time, and never lets time go back', async () => {
      const log = await make();
      await log.append(KEY, records('a'));
      clock.advance(1_000);
      await log.append(KEY, records('b'));
      clock.advance(-5_000);
      await log.append(KEY, records('c'));
      const start = Date.UTC(2024, 0, 1);
      expect(await log.offsetAt(KEY, start)).toBe(0);
      expect(await log.offsetAt(KEY, start + 1)).toBe(1);
      expect(await log.offsetAt(KEY, start + 1_001)).toBe(3);
      const blocks = await log.read(KEY, at(0), 1_000);
      expect(blocks.map((block) => block.receivedAtMs - start)).toEqual([0, 1_000, 1_000]);
      await log.close();
    });

    it('tells listeners after each append, and knows nothing of what was removed', async () => {
      const log = await make();
      let told = 0;
      const stop = log.onAppend(KEY, () => {
        told += 1;
      });
      await log.append(KEY, records('a'));
      expect(told).toBe(1);
      stop();
      await log.append(KEY, records('b'));
      expect(told).toBe(1);
      await log.remove(KEY);
      expect(log.partitions()).toEqual([]);
      expect(log.state(KEY)).toMatchObject({ start: 0, end: 0 });
      await log.append(KEY, records('new'));
      expect(await linesFrom(log, 0)).toEqual(['new']);
      await log.close();
    });
  });
}

describe('the log on disk', () => {
  it('reads back everything after a restart, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '"', ' '), maxLength: 3_000 }), {
            minLength: 1,
            maxLength: 20,
          }),
          { maxLength: 12 },
        ),
        fc.integer({ min: 100, max: 20_000 }),
        async (groups, segmentBytes) => {
          let log = await openLog(nodeFiles, segmentBytes);
          const all: string[] = [];
          for (const [i, group] of groups.entries()) {
            await log.append(KEY, records(...group));
            all.push(...group);
            if (i % 4 === 3) {
              await log.close();
              log = await openLog(nodeFiles, segmentBytes);
            }
          }
          expect(await linesFrom(log, 0)).toEqual(all);
          const middle = Math.floor(all.length / 2);
          expect(await linesFrom(log, middle)).toEqual(all.slice(middle));
          await log.remove(KEY);
          await log.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('cuts a torn tail at start, at every possible place of the tear', async () => {
    let log = await openLog();
    await log.append(KEY, records('whole'));
    await log.close();
    const path = await segmentPath();
    const whole = (await stat(path)).size;
    log = await openLog();
    await log.append(KEY, records('torn record'));
    await log.close();
    const bytes = await readFile(path);
    for (let size = whole; size < bytes.byteLength; size += 1) {
      await writeFile(path, bytes.subarray(0, size));
      log = await openLog();
      expect(await linesFrom(log, 0)).toEqual(['whole']);
      const { baseOffset } = await log.append(KEY, records('next'));
      expect(baseOffset).toBe(1);
      await log.close();
      log = await openLog();
      expect(await linesFrom(log, 0)).toEqual(['whole', 'next']);
      await log.close();
    }
  });

  it('cuts a tail of rubbish, as a power cut can leave it', async () => {
    let log = await openLog();
    await log.append(KEY, records('whole'));
    await log.close();
    await appendFile(await segmentPath(), Buffer.alloc(10_000));
    log = await openLog();
    expect(await linesFrom(log, 0)).toEqual(['whole']);
    await log.close();
  });

  it('refuses to start on damage in the middle, and changes nothing', async () => {
    const log = await openLog();
    await log.append(KEY, records('first'));
    await log.append(KEY, records('second'));
    await log.close();
    const path = await segmentPath();
    const file = await open(path, 'r+');
    await file.write(Buffer.from('X'), 0, 1, 66);
    await file.close();
    const before = await readFile(path);
    await expect(openLog()).rejects.toThrow(/damaged/);
    expect(await readFile(path)).toEqual(before);
  });

  it('finds its way without an index, and with a wrong one', async () => {
    let log = await openLog(nodeFiles, 64 * 2 ** 20);
    const line = 'x'.repeat(100_000);
    for (let i = 0; i < 40; i += 1) await log.append(KEY, records(`${i} ${line}`));
    await log.close();
    const index = (await segmentPath()).replace(/\.log$/, '.idx');
    expect((await stat(index)).size).toBeGreaterThan(32);
    for (const harm of [
      () => rm(index),
      () => truncate(index, 40),
      () => writeFile(index, Buffer.alloc(320, 7)),
    ]) {
      await harm();
      log = await openLog(nodeFiles, 64 * 2 ** 20);
      expect((await linesFrom(log, 37)).map((one) => one.split(' ')[0])).toEqual(['37', '38', '39']);
      await log.close();
    }
  });

  it('acknowledges only after fsync', async () => {
    const order: string[] = [];
    const log = await openLog({
      ...nodeFiles,
      open: async (path, mode) => {
        const file = await nodeFiles.open(path, mode);
        return {
          writev: (...args) => file.writev(...args),
          read: (...args) => file.read(...args),
          datasync: async () => {
            await file.datasync();
            if (path.endsWith('.log')) order.push('fsync');
          },
          truncate: (size) => file.truncate(size),
          size: () => file.size(),
          close: () => file.close(),
        };
      },
    });
    await log.append(KEY, records('a'));
    order.length = 0;
    await Promise.all(
      [log.append(KEY, records('b')), log.append(KEY, records('c'))].map((one) =>
        one.then(() => order.push('acknowledged')),
      ),
    );
    expect(order).toEqual(['fsync', 'acknowledged', 'acknowledged']);
    await log.close();
  });

  it('refuses when the disk is full, takes nothing of what it refused, and works again by itself', async () => {
    const { files, faults } = faultyFiles();
    const log = await openLog(files);
    await log.append(KEY, records('before'));
    faults.spaceLeft = 70;
    await expect(log.append(KEY, records('refused '.repeat(10)))).rejects.toMatchObject({
      code: 'log-unavailable',
      status: 503,
      retryAfterSeconds: 2,
    });
    expect(await linesFrom(log, 0)).toEqual(['before']);
    faults.spaceLeft = Number.POSITIVE_INFINITY;
    await log.append(KEY, records('after'));
    expect(await linesFrom(log, 0)).toEqual(['before', 'after']);
    await log.close();
    const again = await openLog();
    expect(await linesFrom(again, 0)).toEqual(['before', 'after']);
    await again.close();
  });

  it('does not trust a file whose fsync failed: the records are taken back before anything else is written', async () => {
    const { files, faults } = faultyFiles();
    const log = await openLog(files);
    await log.append(KEY, records('before'));
    faults.syncFailures = 1;
    await expect(log.append(KEY, records('refused'))).rejects.toMatchObject({ code: 'log-unavailable' });
    faults.syncFailures = 1;
    faults.truncateFailures = 2;
    await expect(log.append(KEY, records('refused too'))).rejects.toMatchObject({ code: 'log-unavailable' });
    await expect(log.append(KEY, records('and this, for it cannot be cut'))).rejects.toMatchObject({
      code: 'log-unavailable',
    });
    await log.append(KEY, records('after'));
    expect(await linesFrom(log, 0)).toEqual(['before', 'after']);
    await log.close();
    const again = await openLog();
    expect(await linesFrom(again, 0)).toEqual(['before', 'after']);
    await again.close();
  });

  it('bounds what waits in memory', async () => {
    const log = await openFileLog({
      directory,
      files: nodeFiles,
      clock,
      ids: countingIds(),
      lingerMs: 0,
      waitingBytesMax: 1_000,
    });
    await log.append(KEY, records('a'));
    const big = records('x'.repeat(900));
    const first = log.append(KEY, big);
    await expect(log.append(KEY, big)).rejects.toMatchObject({ code: 'too-busy', status: 429 });
    await first;
    await log.append(KEY, big);
    await log.close();
  });

  it('forgets old segments by age and by size, but nothing that is not applied', async () => {
    const log = await openLog(nodeFiles, 900);
    for (let i = 0; i < 10; i += 1) {
      await log.append(KEY, records(`${i} ${'x'.repeat(900)}`));
      clock.advance(1_000);
    }
    const start = Date.UTC(2024, 0, 1);
    expect(await log.retain(KEY, { beforeMs: start + 60_000, appliedTo: at(0) })).toEqual({
      segmentsRemoved: 0,
    });
    expect(await log.retain(KEY, { beforeMs: start + 3_500, appliedTo: at(3) })).toEqual({
      segmentsRemoved: 3,
    });
    expect(log.state(KEY).start).toBe(3);
    expect(await log.retain(KEY, { bytesMax: 3_000, appliedTo: at(10) })).toEqual({ segmentsRemoved: 4 });
    expect((await linesFrom(log, 7)).length).toBe(3);
    await expect(log.read(KEY, at(2), 10)).rejects.toThrow(/no longer kept/);
    await log.close();
    const again = await openLog();
    expect(again.state(KEY)).toMatchObject({ start: 7, end: 10 });
    await again.close();
  });

  it('flushes what waits when it is closed, and takes nothing more', async () => {
    const log = await openLog();
    const waiting = Promise.all([log.append(KEY, records('a')), log.append(KEY, records('b'))]);
    await new Promise((done) => setImmediate(done));
    await log.close();
    await waiting;
    const again = await openLog();
    expect(await linesFrom(again, 0)).toEqual(['a', 'b']);
    await again.close();
  });
});
