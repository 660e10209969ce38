/** When and how appends become durable, and what happens when they cannot. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles, type OpenFile } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import { type FileLogOptions, type Log, openFileLog } from '../../src/log/index.ts';
import { faultyFiles } from '../support/faulty-files.ts';
import { at, blocksFrom, KEY, linesFrom, records, START_MS } from './support.ts';

const clock = new ManualClock(START_MS);
const FOLDER = '/log/default/s/0';

const openLog = (files: FileSystem, options: Partial<FileLogOptions> = {}): Promise<Log> =>
  openFileLog({ directory: '/log', files, clock, ids: countingIds(), lingerMs: 0, ...options });

const settle = async (turns = 50): Promise<void> => {
  for (let i = 0; i < turns; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Writes down the calls on `.log` files; `before` may hold one up. */
function recording(files: FileSystem, before: (call: string) => Promise<void> | void = () => undefined) {
  const calls: string[] = [];
  const wrap = (file: OpenFile): OpenFile => ({
    writev: async (chunks, position) => {
      await before('write');
      await file.writev(chunks, position);
      calls.push('write');
    },
    datasync: async () => {
      await before('datasync');
      await file.datasync();
      calls.push('datasync');
    },
    read: (into, position) => file.read(into, position),
    truncate: async (size) => {
      calls.push(`truncate ${size}`);
      await file.truncate(size);
    },
    size: () => file.size(),
    close: () => file.close(),
  });
  const recorded: FileSystem = {
    open: async (path, mode) => {
      const file = await files.open(path, mode);
      return path.endsWith('.log') && mode !== 'read' ? wrap(file) : file;
    },
    mkdir: (path) => files.mkdir(path),
    readdir: (path) => files.readdir(path),
    rename: (from, to) => files.rename(from, to),
    unlink: (path) => files.unlink(path),
    rmdir: (path) => files.rmdir(path),
    syncDirectory: (path) => files.syncDirectory(path),
    readFile: (path) => files.readFile(path),
    writeFileAtomic: (path, bytes) => files.writeFileAtomic(path, bytes),
  };
  return { files: recorded, calls };
}

describe('group commit', () => {
  it('acknowledges only after fsync, and nobody reads a record before', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { files, calls } = recording(new MemoryFiles(), (call) => (call === 'datasync' ? gate : undefined));
    const log = await openLog(files);
    let heard = 0;
    log.onAppend(KEY, () => {
      heard += 1;
    });
    let acknowledged = false;
    const append = log.append(KEY, records('a')).then(() => {
      acknowledged = true;
    });
    await settle();
    expect(calls).toEqual(['write']);
    expect({ acknowledged, heard, end: log.state(KEY).end }).toEqual({
      acknowledged: false,
      heard: 0,
      end: 0,
    });
    expect(await log.read(KEY, at(0), 1_000)).toEqual([]);
    expect(log.bytesAfter(KEY, at(0))).toBe(0);
    release();
    await append;
    expect(calls).toEqual(['write', 'datasync']);
    expect(heard).toBe(1);
    expect(await linesFrom(log, 0)).toEqual(['a']);
    await log.close();
  });

  it('makes one write and one fsync for all that came while another commit was under way', async () => {
    const { files, calls } = recording(new MemoryFiles());
    const log = await openLog(files);
    const first = log.append(KEY, records('first'));
    await settle(1);
    const others = Array.from({ length: 300 }, (_, i) => log.append(KEY, records(`${i}`)));
    await Promise.all([first, ...others]);
    expect(calls.filter((call) => call === 'datasync').length).toBeLessThanOrEqual(2);
    expect((await blocksFrom(log, 0)).length).toBeLessThanOrEqual(2);
    expect(await linesFrom(log, 1)).toEqual(others.map((_, i) => `${i}`));
    await log.close();
  });

  it('waits for company as long as it is told, but not when there is enough', async () => {
    const { files, calls } = recording(new MemoryFiles());
    const log = await openLog(files, { lingerMs: 2.5 });
    const alone = log.append(KEY, records('a'));
    await settle();
    clock.advance(2);
    const company = log.append(KEY, records('b'));
    await settle();
    expect(calls).toEqual([]);
    clock.advance(1);
    await Promise.all([alone, company]);
    expect((await blocksFrom(log, 0)).length).toBe(1);

    const waiting = log.append(KEY, records('c'));
    await settle();
    await Promise.all([log.append(KEY, records('x'.repeat(4 * 2 ** 20))), waiting]);
    expect((await blocksFrom(log, 0)).length).toBe(2);

    const last = log.append(KEY, records('d'));
    await settle();
    await log.close();
    await last;
    expect(log.state(KEY).end).toBe(5);
  });

  it('cuts groups, so that no block grows with what waits', async () => {
    const log = await openLog(new MemoryFiles());
    const big = records('x'.repeat(5 * 2 ** 20));
    await Promise.all(Array.from({ length: 8 }, () => log.append(KEY, big)));
    const blocks = await log.read(KEY, at(0), Number.MAX_SAFE_INTEGER);
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    for (const block of blocks) expect(block.payload.byteLength).toBeLessThanOrEqual(16 * 2 ** 20);
    await log.close();
  });

  it('bounds what waits in memory, over all partitions', async () => {
    const log = await openLog(new MemoryFiles(), { pendingBytesMax: 1_000 });
    const big = records('x'.repeat(899));
    const first = log.append(KEY, big);
    const small = log.append({ ...KEY, partition: 1 }, records('x'.repeat(99)));
    await expect(log.append(KEY, records(''))).rejects.toMatchObject({
      code: 'too-busy',
      status: 429,
      retryAfterSeconds: 1,
    });
    await Promise.all([first, small]);
    const larger = records('x'.repeat(5_000));
    await log.append(KEY, larger);
    await log.append(KEY, big);
    expect(log.state(KEY).end).toBe(3);
    await log.close();
  });

  it('is not hindered by a listener that throws', async () => {
    const log = await openLog(new MemoryFiles());
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => thrown.push(error));
    try {
      const stop = log.onAppend(KEY, () => {
        throw new Error('of the listener');
      });
      await log.append(KEY, records('a'));
      await settle(2);
      stop();
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    expect(thrown).toMatchObject([{ message: 'of the listener' }]);
    expect(await log.append(KEY, records('b'))).toMatchObject({ baseOffset: 1 });
    await log.close();
  });

  it('begins a new segment when the old one is full, durable by name before it is used', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files, { segmentBytes: 300 });
    for (let i = 0; i < 4; i += 1) await log.append(KEY, records(`${i}${'x'.repeat(150)}`));
    files.cutPower();
    const again = await openLog(files);
    expect((await files.readdir(FOLDER)).filter((name) => name.endsWith('.log')).length).toBe(4);
    expect((await linesFrom(again, 0)).map((line) => line[0])).toEqual(['0', '1', '2', '3']);
    await again.close();
  });
});

describe('a disk that fails', () => {
  const reopened = async (files: MemoryFiles): Promise<string[]> => {
    const log = await openLog(files);
    const lines = await linesFrom(log, 0);
    await log.close();
    return lines;
  };
  const refused = { code: 'log-unavailable', status: 503, retryAfterSeconds: 2 };

  it('that is full refuses, keeps nothing of what it refused, and works again by itself', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    await log.append(KEY, records('before'));
    files.faults.spaceLeft = 70;
    await expect(log.append(KEY, records('refused '.repeat(10)))).rejects.toMatchObject(refused);
    files.faults.spaceLeft = 0;
    await expect(log.append(KEY, records('refused too'))).rejects.toMatchObject(refused);
    expect(await linesFrom(log, 0)).toEqual(['before']);
    files.faults.spaceLeft = Number.POSITIVE_INFINITY;
    expect(await log.append(KEY, records('after'))).toMatchObject({ baseOffset: 1 });
    files.cutPower();
    expect(await reopened(files)).toEqual(['before', 'after']);
  });

  it('refuses the whole group when its block is torn', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    await log.append(KEY, records('before'));
    files.faults.paths = /\.log$/;
    for (const torn of [0, 30, 60, 62]) {
      files.faults.tornWriteBytes = torn;
      const group = [log.append(KEY, records('a')), log.append(KEY, records('b', 'c'))];
      for (const one of group) await expect(one).rejects.toMatchObject(refused);
    }
    files.kill();
    expect(await reopened(files)).toEqual(['before']);
  });

  it('whose fsync failed gets a new segment, and a crash right after brings nothing back', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    await log.append(KEY, records('before'));
    files.faults.datasyncFailures = 1;
    await expect(log.append(KEY, records('refused'))).rejects.toMatchObject(refused);
    const names = async () => (await files.readdir(FOLDER)).filter((name) => name.endsWith('.log'));
    expect(await names()).toHaveLength(1);
    await log.append(KEY, records('after'));
    expect((await names()).sort()).toEqual(['00000000000000000000.log', '00000000000000000001.log']);
    files.faults.datasyncFailures = 1;
    await expect(log.append(KEY, records('refused too'))).rejects.toMatchObject(refused);
    files.kill();
    expect(await reopened(files)).toEqual(['before', 'after']);
  });

  it('replaces a segment that has no record yet when its first fsync fails', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process(), { segmentBytes: 100 });
    await log.append(KEY, records('before'));
    await log.append(KEY, records('a second segment'));
    // The third segment becomes durable under its temporary name; then its first block fails, and again.
    files.faults.paths = /00002\.log$/;
    for (let i = 0; i < 2; i += 1) {
      files.faults.datasyncFailures = 1;
      await expect(log.append(KEY, records('refused'))).rejects.toMatchObject(refused);
    }
    files.faults.datasyncFailures = 0;
    expect(await log.append(KEY, records('third'))).toMatchObject({ baseOffset: 2 });
    files.cutPower();
    expect(await reopened(files)).toEqual(['before', 'a second segment', 'third']);
  });

  it('that lets nothing be taken back refuses until it does, and shows nothing of it meanwhile', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    await log.append(KEY, records('before'));
    files.faults.paths = /\.log$/;
    files.faults.datasyncFailures = 1;
    files.faults.truncateFailures = 3;
    for (let i = 0; i < 3; i += 1) {
      await expect(log.append(KEY, records(`refused ${i}`))).rejects.toMatchObject(refused);
      expect(await linesFrom(log, 0)).toEqual(['before']);
    }
    await log.append(KEY, records('after'));
    expect(await linesFrom(log, 0)).toEqual(['before', 'after']);
    files.cutPower();
    expect(await reopened(files)).toEqual(['before', 'after']);
  });

  it('does not lose what a killed process had written but not made durable once it was read', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    await log.append(KEY, records('before'));
    files.faults.datasyncFailures = 1;
    files.faults.truncateFailures = 9;
    await expect(log.append(KEY, records('unknown'))).rejects.toMatchObject(refused);
    files.kill();
    files.faults.truncateFailures = 0;
    // The disk let nothing be taken back before the process died: the record is there, whole, and then it stays.
    expect(await reopened(files)).toEqual(['before', 'unknown']);
    files.cutPower();
    expect(await reopened(files)).toEqual(['before', 'unknown']);
  });

  it('makes the first segment once it can', async () => {
    const files = new MemoryFiles();
    const log = await openLog(files.process());
    files.faults.spaceLeft = 10;
    await expect(log.append(KEY, records('refused'))).rejects.toMatchObject(refused);
    expect(log.partitions()).toEqual([]);
    files.faults.spaceLeft = Number.POSITIVE_INFINITY;
    await log.append(KEY, records('first'));
    files.cutPower();
    expect(await reopened(files)).toEqual(['first']);
  });

  it('loses at most the hint when the index cannot be written', async () => {
    const files = new MemoryFiles();
    const noIndex: FileSystem = {
      ...files.process(),
      open: (path, mode) =>
        path.endsWith('.idx') ? Promise.reject(new Error('no index')) : files.open(path, mode),
    };
    const log = await openLog(noIndex, { segmentBytes: 200 });
    for (let i = 0; i < 5; i += 1) await log.append(KEY, records(`${i} ${'x'.repeat(100)}`));
    expect((await linesFrom(log, 0)).length).toBe(5);
    await log.close();
    expect((await reopened(files)).length).toBe(5);
  });
});

describe('on real files', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-log-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('a full disk and a failing fsync are survived just so', async () => {
    const { files, faults } = faultyFiles();
    const log = await openLog(files, { directory });
    await log.append(KEY, records('before'));
    faults.spaceLeft = 70;
    await expect(log.append(KEY, records('refused '.repeat(10)))).rejects.toMatchObject({
      code: 'log-unavailable',
    });
    faults.spaceLeft = Number.POSITIVE_INFINITY;
    await log.append(KEY, records('after'));
    faults.syncFailures = 1;
    faults.truncateFailures = 1;
    await expect(log.append(KEY, records('refused too'))).rejects.toMatchObject({ code: 'log-unavailable' });
    await log.append(KEY, records('last'));
    expect(await linesFrom(log, 0)).toEqual(['before', 'after', 'last']);
    await log.close();
    const again = await openLog(nodeFiles, { directory });
    expect(await linesFrom(again, 0)).toEqual(['before', 'after', 'last']);
    await again.close();
  });

  it('large appends are hashed while they are written, and read back the same', async () => {
    const log = await openLog(nodeFiles, { directory, segmentBytes: 3 * 2 ** 20 });
    const lines = Array.from({ length: 7 }, (_, i) => `${i}`.repeat(1_000_000 + i));
    await Promise.all(lines.slice(0, 3).map((line) => log.append(KEY, records(line))));
    for (const line of lines.slice(3)) await log.append(KEY, records(line));
    await log.close();
    const again = await openLog(nodeFiles, { directory });
    expect(await linesFrom(again, 0)).toEqual(lines);
    await again.close();
  });
});
