/** What a start makes of the files that it finds: real files, harmed by hand. */
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
import { basename, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartitionKey } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import type { MillraceError } from '../../src/base/errors.ts';
import { type FileSystem, nodeFiles, replaceFile } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { at, KEY, linesFrom, linesOf, records, START_MS } from './support.ts';

const SEGMENT_HEADER_BYTES = 64;
const BLOCK_HEADER_BYTES = 56;

let directory: string;
let clock: ManualClock;
let damages: { error: MillraceError; key: PartitionKey }[];
const ids = countingIds();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  clock = new ManualClock(START_MS);
  damages = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const openLog = (files: FileSystem = nodeFiles, segmentBytes = 64 * 2 ** 20): Promise<Log> =>
  openFileLog({
    directory,
    files,
    clock,
    ids,
    lingerMs: 0,
    segmentBytes,
    onDamage: (error, key) => damages.push({ error, key }),
  });

const folder = (): string => join(directory, 'default', 's', '0');
const pathsOf = async (ending: string): Promise<string[]> =>
  (await readdir(folder()))
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder(), name));
const flip = async (path: string, position: number): Promise<void> => {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  await file.write(Buffer.from([byte[0]! ^ 0x41]), 0, 1, position);
  await file.close();
};

async function write(...groups: string[][]): Promise<void> {
  const log = await openLog();
  for (const group of groups) await log.append(KEY, records(...group));
  await log.close();
}

/** A process that was killed leaves no entry of the index for its last blocks. */
async function forgetIndex(): Promise<void> {
  for (const path of await pathsOf('.idx')) await rm(path);
}

/** A partition with one segment of these bytes and nothing else, as a process that was killed leaves it. */
async function leave(path: string, bytes: Uint8Array): Promise<void> {
  for (const name of await readdir(folder())) await rm(join(folder(), name));
  await writeFile(path, bytes);
}

/** What `write` has left in the first segment, and how much of it comes before the last block. */
async function segmentOf(...groups: string[][]): Promise<{ path: string; bytes: Buffer; whole: number }> {
  await write(...groups);
  const [path] = (await pathsOf('.log')) as [string];
  const bytes = await readFile(path);
  const last = groups.at(-1)!.join('\n').length + 1;
  return { path, bytes, whole: bytes.byteLength - last - BLOCK_HEADER_BYTES };
}

describe('a torn tail', () => {
  it('does not count wherever it is torn, and the next record takes its place', async () => {
    const { path, bytes, whole } = await segmentOf(['whole'], ['torn', 'record']);
    for (let size = whole; size < bytes.byteLength; size += 3) {
      await leave(path, bytes.subarray(0, size));
      const log = await openLog();
      expect(await linesFrom(log, 0)).toEqual(['whole']);
      expect(await log.append(KEY, records('next'))).toMatchObject({ baseOffset: 1 });
      await log.close();
      const again = await openLog();
      expect(await linesFrom(again, 0)).toEqual(['whole', 'next']);
      await again.close();
    }
    expect(damages).toEqual([]);
  });

  it('does not count when any byte of it is not what was written', async () => {
    const { path, bytes, whole } = await segmentOf(['whole'], ['torn']);
    for (let position = whole; position < bytes.byteLength; position += 3) {
      await leave(path, bytes);
      await flip(path, position);
      const log = await openLog();
      expect(await linesFrom(log, 0)).toEqual(['whole']);
      await log.close();
    }
    expect(damages).toEqual([]);
  });

  it('does not count when it is rubbish or zeros, or looks like a block that a sender made up', async () => {
    const { path, bytes } = await segmentOf(['first'], ['whole']);
    const made = Buffer.concat([
      Buffer.alloc(100, 'x'),
      bytes.subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 4),
      Buffer.alloc(100, 1),
    ]);
    for (const rubbish of [Buffer.alloc(10_000), Buffer.alloc(300_000, 'MLB1'), made]) {
      await leave(path, Buffer.concat([bytes, rubbish]));
      for (const more of [[], ['more'], ['more', 'more']]) {
        const log = await openLog();
        expect(await linesFrom(log, 0)).toEqual(['first', 'whole', ...more]);
        await log.append(KEY, records('more'));
        await log.close();
      }
    }
    expect(damages).toEqual([]);
  });

  it('that is whole after all is written again, durably, where nobody else writes, and the rest is left alone', async () => {
    const { path, bytes, whole } = await segmentOf(['first'], ['second']);
    await leave(path, bytes);
    const calls: string[] = [];
    const log = await openLog({
      ...nodeFiles,
      open: async (path, mode) => {
        const file = await nodeFiles.open(path, mode);
        return {
          writev: async (chunks, position) => {
            const size = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
            calls.push(`${mode} ${basename(path)}: ${size} at ${position}`);
            await file.writev(chunks, position);
          },
          datasync: async () => {
            await file.datasync();
            calls.push('datasync');
          },
          read: (into, position) => file.read(into, position),
          truncate: (size) => file.truncate(size),
          size: () => file.size(),
          close: () => file.close(),
        };
      },
      writeFileAtomic(to, content) {
        return replaceFile(this, to, content);
      },
    });
    const size = SEGMENT_HEADER_BYTES + bytes.byteLength - whole;
    expect(calls).toEqual([`create 00000000000000000001.log.new: ${size} at 0`, 'datasync']);
    expect(await linesFrom(log, 0)).toEqual(['first', 'second']);
    expect(await readFile(path)).toEqual(bytes);
    await log.close();
  });

  it('leaves no trace of files that were being made or removed', async () => {
    await write(['whole']);
    await writeFile(join(folder(), '00000000000000000001.log.new'), 'half a header');
    const log = await openLog();
    await log.append({ ...KEY, partition: 1 }, records('a'));
    await log.close();
    await rm(join(directory, 'default', 's', '1.removed'), { recursive: true, force: true });
    await nodeFiles.rename(
      join(directory, 'default', 's', '1'),
      join(directory, 'default', 's', '1.removed'),
    );
    const again = await openLog();
    expect(again.partitions()).toEqual([KEY]);
    expect(await readdir(join(directory, 'default', 's'))).toEqual(['0']);
    expect((await readdir(folder())).filter((name) => name.endsWith('.new'))).toEqual([]);
    await again.close();
  });
});

describe('damage', () => {
  it('in the middle is told with file and position, changes nothing, and stops only its partition', async () => {
    const other = { ...KEY, partition: 1 };
    const first = await openLog();
    for (const line of ['first', 'second', 'third']) await first.append(KEY, records(line));
    await first.append(other, records('other'));
    await first.close();
    await forgetIndex();
    const [path] = (await pathsOf('.log')) as [string];
    const second = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + 'first\n'.length;
    await flip(path, second + BLOCK_HEADER_BYTES + 2);
    const before = await readFile(path);

    const log = await openLog();
    const { error, key } = damages[0]!;
    expect(key).toEqual(KEY);
    expect(error).toMatchObject({ code: 'log-damaged', status: 500 });
    expect(error.message).toContain(`${path} is damaged at byte ${second}`);
    await expect(log.append(KEY, records('x'))).rejects.toBe(error);
    expect(log.state(KEY)).toMatchObject({ start: 0, end: 1 });
    expect((await log.read(KEY, at(0), 1_000)).length).toBe(1);
    await expect(log.read(KEY, at(1), 1_000)).rejects.toBe(error);
    await expect(log.read(KEY, at(2), 1_000)).rejects.toBe(error);
    expect(await log.append(other, records('more'))).toMatchObject({ baseOffset: 1 });
    expect(log.partitions().length).toBe(2);
    await log.close();
    expect(await readFile(path)).toEqual(before);
  });

  it('is what it is when a block is gone that the index knows was durable', async () => {
    await write(['first'], ['second']);
    const [path] = (await pathsOf('.log')) as [string];
    const size = (await stat(path)).size;
    for (const harm of [
      () => flip(path, size - 1),
      () => truncate(path, size - 1),
      () => truncate(path, 70),
    ]) {
      damages = [];
      await harm();
      const log = await openLog();
      expect(damages.map(({ error }) => error.code)).toEqual(['log-damaged']);
      await expect(log.append(KEY, records('x'))).rejects.toMatchObject({ code: 'log-damaged' });
      await log.close();
    }
  });

  it('is a block with flags of a later version: told so, not cut, and nothing after it is read', async () => {
    await write(['first'], ['second'], ['third']);
    await forgetIndex();
    const [path] = (await pathsOf('.log')) as [string];
    const bytes = await readFile(path);
    const second = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + 'first\n'.length;
    const header = bytes.subarray(second, second + BLOCK_HEADER_BYTES);
    header.writeUInt32LE(0x8000_0003, 20);
    header.writeUInt32LE(crc32(header.subarray(8), bytes.readUInt32LE(12)), 4);
    const last = second + BLOCK_HEADER_BYTES + 'second\n'.length;
    for (const whole of [bytes, bytes.subarray(0, last)]) {
      damages = [];
      await writeFile(path, whole);
      const log = await openLog();
      const told = {
        code: 'log-damaged',
        message: expect.stringMatching(`byte ${second} of the log file .*0x80000002`),
      };
      expect(damages).toMatchObject([{ error: told }]);
      await expect(log.append(KEY, records('x'))).rejects.toMatchObject(told);
      expect((await log.read(KEY, at(0), 1_000)).flatMap(linesOf)).toEqual(['first']);
      await expect(log.read(KEY, at(1), 1_000)).rejects.toMatchObject(told);
      await log.close();
      expect(await readFile(path)).toEqual(whole);
    }
  });

  it('is a closed segment that is missing, cut, or without its header; a longer one is read as far as it counts', async () => {
    const log = await openLog(nodeFiles, 200);
    for (let i = 0; i < 5; i += 1) await log.append(KEY, records(`${i} ${'x'.repeat(100)}`));
    await log.close();
    const paths = await pathsOf('.log');
    expect(paths.length).toBe(5);
    const third = await readFile(paths[2]!);
    const harms: [() => Promise<unknown>, number, RegExp][] = [
      [() => rm(paths[2]!), 1, /00003\.log is damaged at byte 0: the segment with offset 2/],
      [() => truncate(paths[2]!, 100), 2, /00002\.log is damaged at byte 100: it should have/],
      [() => flip(paths[2]!, 20), 1, /00002\.log is damaged at byte 0: it does not begin/],
    ];
    for (const [harm, kept, message] of harms) {
      damages = [];
      await harm();
      const harmed = await openLog();
      expect(damages.map(({ error }) => error.message)).toEqual([expect.stringMatching(message)]);
      expect(harmed.state(KEY).end).toBeGreaterThanOrEqual(kept);
      expect((await harmed.read(KEY, at(0), 100)).length).toBe(1);
      await harmed.close();
      await writeFile(paths[2]!, third);
    }
    damages = [];
    await appendFile(paths[2]!, third.subarray(SEGMENT_HEADER_BYTES));
    const healed = await openLog();
    expect(damages).toEqual([]);
    expect((await linesFrom(healed, 0)).length).toBe(5);
    await healed.close();
  });

  it('that comes while the log is open is told to the reader, never read', async () => {
    const log = await openLog(nodeFiles, 400);
    for (let i = 0; i < 6; i += 1) await log.append(KEY, records(`${i} ${'x'.repeat(100)}`));
    const [path] = (await pathsOf('.log')) as [string];
    const intact = await readFile(path);
    const second = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + 103;
    for (let position = second; position < second + BLOCK_HEADER_BYTES + 103; position += 7) {
      await writeFile(path, intact);
      await flip(path, position);
      expect((await log.read(KEY, at(0), 10_000)).map((block) => block.baseOffset)).toEqual([0]);
      await expect(log.read(KEY, at(1), 10_000)).rejects.toMatchObject({
        code: 'log-damaged',
        message: expect.stringContaining(`${path} is damaged at byte ${second}`),
      });
    }
    expect((await log.read(KEY, at(4), 10_000)).length).toBeGreaterThan(0);
    await log.close();
  });
});

describe('the index', () => {
  const big = 'x'.repeat(100_000);
  const fill = async (segmentBytes: number): Promise<void> => {
    const log = await openLog(nodeFiles, segmentBytes);
    for (let i = 0; i < 60; i += 1) {
      await log.append(KEY, records(`${i} ${big}`));
      clock.advance(10);
    }
    await log.close();
  };
  /** Bytes read from `.log` files. */
  const counting = (): { files: FileSystem; read: () => number } => {
    let total = 0;
    const files: FileSystem = {
      ...nodeFiles,
      open: async (path, mode) => {
        const file = await nodeFiles.open(path, mode);
        return {
          writev: (chunks, position) => file.writev(chunks, position),
          read: async (into, position) => {
            const got = await file.read(into, position);
            if (path.endsWith('.log')) total += got;
            return got;
          },
          datasync: () => file.datasync(),
          truncate: (size) => file.truncate(size),
          size: () => file.size(),
          close: () => file.close(),
        };
      },
    };
    return { files, read: () => total };
  };

  it('lets a start read only the end of the last segment', async () => {
    await fill(2 * 2 ** 20);
    expect((await pathsOf('.log')).length).toBe(3);
    const { files, read } = counting();
    const log = await openLog(files);
    expect(read()).toBeLessThan(2 * 100_200);
    expect(log.state(KEY)).toMatchObject({ start: 0, end: 60 });
    expect(log.bytesAfter(KEY, at(0))).toBe((await linesFrom(log, 0)).join('\n').length + 1);
    const before = read();
    expect(await linesFrom(log, 30, 1)).toHaveLength(30);
    // From one block to the next the place is known: nothing is read twice but what a piece has too much.
    expect(read() - before).toBeLessThan(3 * 30 * 100_200);
    await log.close();
  });

  it('is only a hint: without it, with a cut or a wrong one, everything is found', async () => {
    for (const segmentBytes of [2 * 2 ** 20, 64 * 2 ** 20]) {
      await fill(segmentBytes);
      const harms = [
        (path: string) => rm(path),
        (path: string) => truncate(path, 45),
        (path: string) => writeFile(path, Buffer.alloc(320, 7)),
        (path: string) => rm(path),
      ];
      for (const harm of harms) {
        for (const path of await pathsOf('.idx')) await harm(path);
        const log = await openLog();
        expect((await linesFrom(log, 37)).map((line) => line.split(' ')[0])).toEqual(
          Array.from({ length: 23 }, (_, i) => `${37 + i}`),
        );
        const { newestAtMs } = log.state(KEY);
        expect(await log.offsetAt(KEY, newestAtMs - 300)).toBe(30 - 1);
        expect(damages).toEqual([]);
        await log.close();
      }
      await rm(folder(), { recursive: true });
      clock = new ManualClock(START_MS);
    }
  });
});
