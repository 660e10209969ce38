/**
 * Two owners of one log: one that was paused, or only thought that it still owned the files, and the one that took over.
 * What was acknowledged stays, at its offset; what a new owner has read stays; nothing comes twice.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { MillraceError } from '../../src/base/errors.ts';
import { type FileSystem, nodeFiles, type OpenFile, replaceFile } from '../../src/base/files.ts';
import { countingIds } from '../../src/base/ids.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';
import type { Ownership } from '../../src/base/ownership.ts';
import { takeOwnership } from '../../src/catalog/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { at, KEY, linesFrom, records, START_MS } from './support.ts';

/** The files of one process: `before` is called, and waited for, before each call to the system. */
function through(files: FileSystem, before: (call: string, path: string) => Promise<void>): FileSystem {
  const wrap = (file: OpenFile, path: string): OpenFile => {
    const call = async <T>(name: string, use: () => Promise<T>): Promise<T> => {
      await before(name, path);
      return use();
    };
    return {
      writev: (chunks, position) => call('write', () => file.writev(chunks, position)),
      read: (into, position) => call('read', () => file.read(into, position)),
      datasync: () => call('datasync', () => file.datasync()),
      truncate: (size) => call('truncate', () => file.truncate(size)),
      size: () => call('size', () => file.size()),
      close: () => file.close(),
    };
  };
  const call = async <T>(name: string, path: string, use: () => Promise<T>): Promise<T> => {
    await before(name, path);
    return use();
  };
  return {
    open: (path, mode) => call(`open ${mode}`, path, async () => wrap(await files.open(path, mode), path)),
    mkdir: (path) => call('mkdir', path, () => files.mkdir(path)),
    readdir: (path) => call('readdir', path, () => files.readdir(path)),
    rename: (from, to) => call('rename', to, () => files.rename(from, to)),
    unlink: (path) => call('unlink', path, () => files.unlink(path)),
    rmdir: (path) => call('rmdir', path, () => files.rmdir(path)),
    syncDirectory: (path) => call('sync', path, () => files.syncDirectory(path)),
    readFile: (path) => call('readFile', path, () => files.readFile(path)),
    writeFileAtomic(path, bytes) {
      return replaceFile(this, path, bytes);
    },
  };
}

describe('on real files, when the lock was lost', () => {
  let directory: string;
  let logs: Log[];
  let owners: Ownership[];
  const clock = new ManualClock(START_MS);
  const ids = countingIds();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'millrace-owners-'));
    logs = [];
    owners = [];
  });
  afterEach(async () => {
    for (const log of logs) await log.close();
    for (const owner of owners) await owner.release();
    await rm(directory, { recursive: true, force: true });
  });

  async function takeOver(options: { files?: FileSystem; segmentBytes?: number } = {}): Promise<Log> {
    await rm(join(directory, 'lock.sqlite'), { force: true });
    const owner = await takeOwnership({ directory, clock });
    const log = await openFileLog({
      directory: join(directory, 'log'),
      files: nodeFiles,
      clock,
      ids,
      owner,
      lingerMs: 0,
      onDamage: (error) => {
        throw error;
      },
      ...options,
    });
    owners.push(owner);
    logs.push(log);
    return log;
  }

  it('the first rejects with fenced, and the second has what was acknowledged and nothing else', async () => {
    const first = await takeOver();
    await first.append(KEY, records('a', 'b'));
    await first.append(KEY, records('c'));
    const second = await takeOver();
    for (let i = 0; i < 3; i += 1)
      await expect(first.append(KEY, records('never'))).rejects.toMatchObject({
        code: 'fenced',
        status: 503,
      });
    expect(await linesFrom(second, 0)).toEqual(['a', 'b', 'c']);
    expect(await second.append(KEY, records('d'))).toMatchObject({ baseOffset: 3 });
    await expect(first.append(KEY, records('never'))).rejects.toMatchObject({ code: 'fenced' });
    await first.close();
    const third = await takeOver();
    expect(await linesFrom(third, 0)).toEqual(['a', 'b', 'c', 'd']);
    expect(await linesFrom(second, 0)).toEqual(['a', 'b', 'c', 'd']);
    expect(await linesFrom(first, 0)).toEqual(['a', 'b', 'c']);
  });

  it('the first harms nothing of the second where it begins a segment, forgets, removes or writes its last words', async () => {
    const first = await takeOver({ segmentBytes: 300 });
    const expected: string[] = [];
    for (let i = 0; i < 6; i += 1) {
      expected.push(`${i} ${'x'.repeat(90)}`);
      await first.append(KEY, records(expected.at(-1)!));
    }
    const second = await takeOver({ segmentBytes: 300 });
    const fenced = { code: 'fenced' };
    await expect(first.retain(KEY, { bytesMax: 0, appliedTo: at(6) })).rejects.toMatchObject(fenced);
    await expect(first.remove(KEY)).rejects.toMatchObject(fenced);
    await expect(first.append(KEY, records('y'.repeat(200)))).rejects.toMatchObject(fenced);
    for (let i = 6; i < 12; i += 1) {
      expected.push(`${i} ${'x'.repeat(90)}`);
      await second.append(KEY, records(expected.at(-1)!));
    }
    await first.close();
    const third = await takeOver();
    expect(await linesFrom(third, 0)).toEqual(expected);
    expect(third.partitions()).toEqual([KEY]);
  });

  it('a start that adds nothing adds no file, and one after appends adds one', async () => {
    let log = await takeOver();
    const { readdir } = await import('node:fs/promises');
    const segments = async () =>
      (await readdir(join(directory, 'log/default/s/0'))).filter((name) => name.endsWith('.log')).length;
    for (const line of ['a', 'b', 'c']) await log.append(KEY, records(line));
    await log.close();
    const counts: number[] = [await segments()];
    for (let i = 0; i < 4; i += 1) {
      log = await takeOver();
      await log.close();
      counts.push(await segments());
    }
    log = await takeOver();
    await log.append(KEY, records('d'));
    await log.close();
    log = await takeOver();
    counts.push(await segments());
    expect(counts).toEqual([1, 2, 2, 2, 2, 3]);
    expect(await linesFrom(log, 0)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('a block that was under way stays for the one who read it, even when the first takes it back afterwards', async () => {
    let arrived = (): void => undefined;
    let goOn = (): void => undefined;
    const written = new Promise<void>((done) => {
      arrived = done;
    });
    const woken = new Promise<void>((done) => {
      goOn = done;
    });
    let paused = false;
    let taken = 0;
    const files = through(nodeFiles, async (call, path) => {
      if (call === 'truncate' && path.endsWith('.log')) taken += 1;
      if (call !== 'datasync' || !paused || !path.endsWith('.log')) return;
      arrived();
      await woken;
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    const first = await takeOver({ files });
    await first.append(KEY, records('a'));
    paused = true;
    const under = first.append(KEY, records('b', 'c'));
    await written;
    const second = await takeOver();
    expect(await linesFrom(second, 0)).toEqual(['a', 'b', 'c']);
    goOn();
    await expect(under).rejects.toMatchObject({ code: 'log-unavailable' });
    expect(taken).toBeGreaterThan(0);
    expect(await linesFrom(second, 0)).toEqual(['a', 'b', 'c']);
    await second.append(KEY, records('d'));
    const third = await takeOver();
    expect(await linesFrom(third, 0)).toEqual(['a', 'b', 'c', 'd']);
  });
});

/** A generator that gives the same numbers for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Who owns the files is one number; each owner may be paused at any call, and wakes up whenever the seed says so. */
class Story {
  readonly #random: () => number;
  readonly #files = new MemoryFiles();
  readonly #clock = new ManualClock(START_MS);
  readonly #ids = countingIds();
  #epoch = 0;
  #next = 0;
  /** Acknowledged lines by offset. */
  readonly acknowledged = new Map<number, string>();
  /** What each owner found when it began. */
  readonly found: string[][] = [];
  readonly sent = new Set<string>();
  readonly counts = { fenced: 0, unavailable: 0, acknowledged: 0, late: 0 };
  #calm = false;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  async #takeTurns(): Promise<void> {
    if (this.#calm) return;
    // Now and then a process sleeps through much of what the others do.
    const turns = this.#chance(0.06) ? this.#random() * 150 : this.#random() * 4;
    for (let i = 1; i < turns; i += 1) await turn();
  }

  async open(segmentBytes: number): Promise<{ log: Log; epoch: number }> {
    this.#epoch += 1;
    const epoch = this.#epoch;
    let opened = false;
    const log = await openFileLog({
      directory: '/log',
      files: through(this.#files, async (call, path) => {
        await this.#takeTurns();
        // A disk that fails while the log is opened is another story.
        if (opened && call === 'datasync' && path.endsWith('.log') && !this.#calm && this.#chance(0.05))
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
      }),
      clock: this.#clock,
      ids: this.#ids,
      lingerMs: 0,
      segmentBytes,
      owner: {
        epoch,
        check: async () => {
          await this.#takeTurns();
          const owns = this.#epoch === epoch;
          await this.#takeTurns();
          if (!owns) throw new MillraceError('fenced', 'another one has taken over');
        },
        release: async () => undefined,
      },
      onDamage: (error) => {
        throw error;
      },
    });
    opened = true;
    this.found.push(await linesFrom(log, 0));
    return { log, epoch };
  }

  async send(log: Log, epoch: number): Promise<void> {
    const lines = Array.from({ length: 1 + Math.floor(this.#random() * 3) }, () => {
      this.#next += 1;
      return `${this.#next} of ${epoch} ${'x'.repeat(Math.floor(this.#random() * 120))}`;
    });
    for (const line of lines) this.sent.add(line);
    const own = this.#chance(0.3) ? { replayed: true } : undefined;
    try {
      const { baseOffset } = await log.append(KEY, records(...lines), own);
      if (this.#epoch !== epoch) this.counts.late += 1;
      this.counts.acknowledged += 1;
      for (const [i, line] of lines.entries()) {
        expect(this.acknowledged.get(baseOffset + i)).toBeUndefined();
        this.acknowledged.set(baseOffset + i, line);
      }
    } catch (error) {
      const { code } = error as MillraceError;
      expect(['fenced', 'log-unavailable', 'stopping']).toContain(code);
      if (code === 'fenced') this.counts.fenced += 1;
      if (code === 'log-unavailable') this.counts.unavailable += 1;
    }
  }

  async tell(): Promise<void> {
    const working: Promise<void>[] = [];
    for (let i = 0; i < 4; i += 1) {
      const { log, epoch } = await this.open(200 + Math.floor(this.#random() * 900));
      // Senders go on with an owner while, and after, the next one takes over.
      for (let sender = 0; sender < 2; sender += 1)
        working.push(
          (async () => {
            for (let n = 4 + this.#random() * 12; n > 0; n -= 1) {
              await this.send(log, epoch);
              if (this.#chance(0.3)) await this.#takeTurns();
            }
            if (this.#chance(0.5)) await log.close();
          })(),
        );
      for (let turns = this.#random() * 250; turns > 0; turns -= 1) await turn();
    }
    await Promise.all(working);
    this.#calm = true;
  }
}

describe('whatever the turns in which owners and senders come', () => {
  const seeds = Number(process.env.MILLRACE_TEST_SEEDS ?? 150);

  it('nothing that was acknowledged is lost or moved, nothing that was read changes, nothing comes twice', async () => {
    const counts = { fenced: 0, unavailable: 0, acknowledged: 0, late: 0 };
    for (let seed = 1; seed <= seeds; seed += 1) {
      const story = new Story(seed);
      await story.tell();
      const { log } = await story.open(2 ** 20);
      const last = await linesFrom(log, 0);
      const told = `seed ${seed}`;
      expect(new Set(last).size, told).toBe(last.length);
      for (const [offset, line] of story.acknowledged) expect(last[offset], told).toBe(line);
      for (const line of last) expect(story.sent.has(line), told).toBe(true);
      for (const found of story.found) expect(last.slice(0, found.length), told).toEqual(found);
      await log.append(KEY, records('works'));
      await log.close();
      for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] += story.counts[name];
    }
    // The turns were such that there was something to get wrong.
    expect(counts.fenced).toBeGreaterThan(seeds);
    expect(counts.unavailable).toBeGreaterThan(seeds / 10);
    expect(counts.acknowledged).toBeGreaterThan(seeds * 10);
  });
});
