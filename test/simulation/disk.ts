/**
 * The disk as one process sees it: every operation waits for its turn, may fail without effect, fail after its effect,
 * tear a write or find the disk full, and is followed by nothing when the process has died.
 */
import { type FileSystem, type OpenFile, replaceFile } from '../../src/base/files.ts';
import type { MemoryFiles } from '../../src/base/memory-files.ts';
import type { Life, Scheduler } from './scheduler.ts';

export interface DiskFaults {
  /** Probability that an operation fails. */
  rate: number;
  /** Nothing that takes room succeeds. */
  full: boolean;
  /** Faults so far. */
  count: number;
}

export function diskOf(scheduler: Scheduler, life: Life, files: MemoryFiles, faults: DiskFaults): FileSystem {
  const failure = (code: string, what: string): Error => {
    faults.count += 1;
    return Object.assign(new Error(`${code}: injected, ${what}`), { code });
  };
  const name = (path: string): string => path.slice(path.indexOf('/', 1) + 1);
  const changing = async <T>(what: string, effect: () => Promise<T>): Promise<T> => {
    const told = `${life.name} ${what}`;
    await scheduler.park(life, told);
    const fails = scheduler.chance(faults.rate);
    if (fails && scheduler.chance(0.5)) {
      scheduler.note(`${told}: EIO`);
      throw failure('EIO', what);
    }
    const result = await effect();
    if (scheduler.chance(0.5)) await scheduler.park(life, `${told}, done`);
    if (fails) {
      scheduler.note(`${told}: EIO afterwards`);
      throw failure('EIO', `${what}, afterwards`);
    }
    return result;
  };
  const reading = async <T>(what: string, effect: () => Promise<T>): Promise<T> => {
    await scheduler.park(life, `${life.name} ${what}`);
    if (scheduler.chance(faults.rate / 2)) {
      scheduler.note(`${life.name} ${what}: EIO`);
      throw failure('EIO', what);
    }
    return effect();
  };
  const wrap = (path: string, file: OpenFile): OpenFile => ({
    writev: (chunks, position) =>
      changing(`writes ${name(path)} at ${position}`, async () => {
        const torn = scheduler.chance(faults.rate / 2);
        if (!torn && !faults.full) return file.writev(chunks, position);
        const bytes = Buffer.concat(chunks);
        await file.writev([bytes.subarray(0, scheduler.below(bytes.byteLength + 1))], position);
        scheduler.note(`${life.name} writes ${name(path)}: ${torn ? 'torn' : 'full'}`);
        throw failure(torn ? 'EIO' : 'ENOSPC', `a write to ${path}`);
      }),
    read: (into, position) => reading(`reads ${name(path)} at ${position}`, () => file.read(into, position)),
    datasync: () =>
      changing(`syncs ${name(path)}`, () => {
        if (scheduler.chance(faults.rate)) {
          // Its bytes are lost for good although they can still be read.
          scheduler.note(`${life.name} syncs ${name(path)}: lost`);
          files.faults.datasyncFailures = 1;
          faults.count += 1;
        }
        return file.datasync();
      }),
    truncate: (size) => changing(`cuts ${name(path)} to ${size}`, () => file.truncate(size)),
    size: () => reading(`measures ${name(path)}`, () => file.size()),
    close: () => (life.alive ? file.close() : new Promise(() => {})),
  });
  return {
    open: async (path, mode) => {
      const open = async () => wrap(path, await files.open(path, mode));
      if (mode === 'read') return reading(`opens ${name(path)}`, open);
      return changing(`opens ${name(path)} to ${mode}`, open);
    },
    mkdir: (path) => changing(`makes ${name(path)}`, () => files.mkdir(path)),
    readdir: (path) => reading(`lists ${name(path)}`, () => files.readdir(path)),
    rename: (from, to) => changing(`renames ${name(from)}`, () => files.rename(from, to)),
    unlink: (path) => changing(`unlinks ${name(path)}`, () => files.unlink(path)),
    rmdir: (path) => changing(`removes ${name(path)}`, () => files.rmdir(path)),
    syncDirectory: (path) => changing(`syncs ${name(path)}/`, () => files.syncDirectory(path)),
    readFile: (path) => reading(`reads ${name(path)}`, () => files.readFile(path)),
    writeFileAtomic(path, bytes) {
      return replaceFile(this, path, bytes);
    },
  };
}
