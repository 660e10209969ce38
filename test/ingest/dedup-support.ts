/** What the tests of the dedup index share: a disk with faults, and a plain model. */
import type { FileSystem, OpenFile } from '../../src/base/files.ts';
import { MemoryFiles } from '../../src/base/memory-files.ts';

export type Id = readonly [number, number, number, number];

/** Numbers that differ in all words; the same number gives the same id. */
export const idOf = (n: number): Id => [
  Math.imul(n + 1, 0x9e37_79b1) >>> 0,
  Math.imul(n + 1, 0x85eb_ca77) >>> 0,
  Math.imul(n + 1, 0xc2b2_ae3d) >>> 0,
  (n + 1) >>> 0,
];
/** Ids of which only the last word differs. */
export const alike = (n: number): Id => [7, 0, 0, n];

export const wordsOf = (ids: readonly Id[]): Uint32Array => Uint32Array.from(ids.flat());

/** A disk in memory that can refuse to read. */
export class FaultyDisk {
  readonly memory = new MemoryFiles();
  /** So many of the next reads fail with EIO. */
  readFailures = 0;
  openFiles = 0;
  openFilesMost = 0;

  readonly files: FileSystem = {
    ...this.memory.process(),
    open: async (path: string, mode: 'create' | 'update' | 'read'): Promise<OpenFile> => {
      const file = await this.memory.open(path, mode);
      this.openFiles += 1;
      this.openFilesMost = Math.max(this.openFilesMost, this.openFiles);
      return {
        ...file,
        read: async (into, position) => {
          if (this.readFailures > 0) {
            this.readFailures -= 1;
            throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
          }
          return file.read(into, position);
        },
        close: async () => {
          this.openFiles -= 1;
          await file.close();
        },
      };
    },
  };

  async paths(directory: string): Promise<readonly string[]> {
    return (await this.memory.readdir(directory)).map((name) => `${directory}/${name}`);
  }
}

/** What an index owes, the simple way. */
export class Model {
  readonly #buckets = new Map<string, number>();
  readonly #horizonMs: number;
  readonly #bucketMs: number;

  constructor(horizonMs: number, bucketMs: number) {
    this.#horizonMs = horizonMs;
    this.#bucketMs = bucketMs;
  }

  has(id: Id, atMs: number): boolean {
    const bucket = this.#buckets.get(id.join());
    return bucket !== undefined && bucket >= this.#oldestFor(atMs);
  }

  add(id: Id, atMs: number): void {
    const bucket = Math.floor(atMs / this.#bucketMs);
    this.#buckets.set(id.join(), Math.max(bucket, this.#buckets.get(id.join()) ?? bucket));
  }

  forget(atMs: number): void {
    for (const [id, bucket] of this.#buckets) if (bucket < this.#oldestFor(atMs)) this.#buckets.delete(id);
  }

  #oldestFor(atMs: number): number {
    return Math.floor((atMs - this.#horizonMs) / this.#bucketMs);
  }
}
