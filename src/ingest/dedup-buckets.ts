/**
 * The buckets of one index and what moves their ids: from memory to disk when the budget says so, from several files
 * to one, and away when they are past the horizon. All but the first is done in the background.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { FileSystem } from '../base/files.ts';
import { Bucket } from './dedup-bucket.ts';
import type { HeldBytes, Relief } from './dedup-budget.ts';
import { type IdFile, IdFileUnreadable } from './dedup-file.ts';
import { writeIdFile } from './dedup-file-writer.ts';
import { filterBytesFor, IdFilter } from './dedup-filter.ts';
import { type Marks, markFound } from './dedup-lookup.ts';
import type { DedupMemory, MemoryHolder } from './dedup-memory.ts';
import { FILES_MAX, filesToMerge, mergeIdFiles } from './dedup-merge.ts';
import type { IdTable } from './dedup-table.ts';

/** Where ids go that do not fit into memory. */
export interface DedupPlace {
  readonly memory: DedupMemory;
  readonly files: FileSystem;
  /** Absolute path of a directory of the index's own; it is emptied before it is used and removed at the end. */
  readonly directory: string;
}

/** Ids that are read out of a table in one go. */
const CHUNK_IDS = 16_384;
/** Ids that are looked up in a table in one go, before others get their turn. */
const SLICE_IDS = 32_768;
const PATIENCE_MAX = 64;

export class DedupBuckets implements MemoryHolder {
  readonly #place: DedupPlace | undefined;
  readonly #buckets = new Map<number, Bucket>();
  /** Files to remove when nobody looks into them. */
  #doomed: string[] = [];
  #lookups = 0;
  #files = 0;
  #directoryIsReady = false;
  #tending: Promise<void> | undefined;
  #spilling: Promise<void> | undefined;
  #mergeFailures = 0;
  #mergePatience = 0;
  #broken = false;
  #closed = false;

  constructor(place: DedupPlace | undefined) {
    this.#place = place;
    place?.memory.join(this);
  }

  get broken(): boolean {
    return this.#broken;
  }

  get all(): Iterable<Bucket> {
    return this.#buckets.values();
  }

  get bytes(): number {
    let bytes = 0;
    for (const bucket of this.#buckets.values()) bytes += bucket.tableBytes + bucket.idFileBytes;
    return bytes;
  }

  get held(): HeldBytes {
    const newest = this.#newest;
    const held = { oldTables: 0, newestTable: 0, filters: 0 };
    if (this.#closed) return held;
    for (const bucket of this.#buckets.values()) {
      held[bucket.number === newest ? 'newestTable' : 'oldTables'] += bucket.spillableBytes;
      held.filters += bucket.filterBytes;
    }
    return held;
  }

  get #newest(): number {
    let newest = Number.NEGATIVE_INFINITY;
    for (const number of this.#buckets.keys()) newest = Math.max(newest, number);
    return newest;
  }

  get #fromOldest(): readonly Bucket[] {
    return [...this.#buckets.values()].sort((x, y) => x.number - y.number);
  }

  async clearDirectory(): Promise<void> {
    await this.#place?.files.rmdir(this.#place.directory);
  }

  /** The bucket of that number, made when it is not there. */
  at(number: number): Bucket {
    let bucket = this.#buckets.get(number);
    if (!bucket) {
      bucket = new Bucket(number);
      this.#buckets.set(number, bucket);
    }
    return bucket;
  }

  forgetBefore(oldest: number): void {
    for (const bucket of this.#buckets.values()) {
      if (bucket.number >= oldest) continue;
      this.#buckets.delete(bucket.number);
      this.#doomed.push(...bucket.idFiles.map((idFile) => idFile.path));
    }
  }

  /** Marks each id with the newest bucket in which it is. Rejects with `IdFileUnreadable`. */
  async mark(ids: Marks): Promise<void> {
    const buckets = this.#fromOldest.toReversed();
    // All tables and files of one moment: what moves from a table to a file meanwhile is still seen in the table.
    const tables = buckets.flatMap(({ number, tables: all }) => all.map((table) => ({ number, table })));
    const idFiles = buckets.flatMap(({ number, idFiles: all }) => all.map((idFile) => ({ number, idFile })));
    this.#lookups += 1;
    try {
      let asked = 0;
      for (const { number, table } of tables) {
        for (let from = 0; from < ids.marks.length; from += SLICE_IDS) {
          const to = Math.min(from + SLICE_IDS, ids.marks.length);
          table.markAll(ids.words.subarray(from * 4, to * 4), ids.marks.subarray(from, to), number);
          asked += to - from;
          if (asked < SLICE_IDS) continue;
          asked = 0;
          await turn();
        }
      }
      for (const { number, idFile } of idFiles) await markFound(this.#place!.files, idFile, ids, number);
    } catch (error) {
      if (error instanceof IdFileUnreadable && error.gone) this.#broken = true;
      throw error;
    } finally {
      this.#lookups -= 1;
    }
    await this.#sweep();
  }

  /** When a bucket has so many files that every lookup suffers: waits until some are merged, if they can be. */
  async catchUp(): Promise<void> {
    const isPressing = () => [...this.#buckets.values()].some((one) => one.idFiles.length > FILES_MAX);
    if (!isPressing()) return;
    await this.#tending;
    if (!isPressing()) return;
    this.tend();
    await this.#tending;
  }

  async relieve(relief: Relief): Promise<boolean> {
    if (this.#closed) return false;
    const newest = this.#newest;
    const buckets = this.#fromOldest;
    if (relief === 'drop-filter') {
      const idFile = buckets.flatMap((one) => one.idFiles).find((one) => one.filter);
      idFile?.dropFilter();
      return idFile !== undefined;
    }
    const bucket = buckets.find(
      (one) => one.spillableBytes > 0 && (relief === 'spill-newest') === (one.number === newest),
    );
    const table = bucket?.freeze();
    if (!bucket || !table) return false;
    const spilling = this.#spill(bucket, table);
    this.#spilling = spilling.catch(() => undefined);
    try {
      await spilling;
    } catch (error) {
      if (!this.#closed) throw error;
    }
    return true;
  }

  /** Begins what can be done in the background: filters for tables at rest, one file instead of several, old files. */
  tend(): void {
    if (this.#closed || this.#tending) return;
    this.#tending = this.#tendAll()
      .catch(() => undefined)
      .finally(() => {
        this.#tending = undefined;
      });
  }

  /** Resolves when nothing is under way in the background. */
  async idle(): Promise<void> {
    while (this.#tending || this.#spilling) {
      await this.#tending;
      const spilling = this.#spilling;
      await spilling;
      if (this.#spilling === spilling) this.#spilling = undefined;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.idle();
    this.#place?.memory.leave(this);
    this.#buckets.clear();
    if (this.#directoryIsReady) await this.#place!.files.rmdir(this.#place!.directory).catch(() => undefined);
  }

  async #tendAll(): Promise<void> {
    if (!this.#place) return;
    await this.#sweep();
    for (const bucket of this.#fromOldest) {
      if (bucket.number === this.#newest) continue;
      for (const table of bucket.tables) {
        const bytes = table.filterBytesWanted;
        if (bytes === 0 || !this.#place.memory.tryReserve(table, bytes)) continue;
        for (const _ of table.filtered()) {
          this.#place.memory.release(table);
          await turn();
          if (this.#closed) return;
        }
      }
    }
    if (this.#mergePatience > 0) this.#mergePatience -= 1;
    else await this.#mergeAll();
  }

  async #mergeAll(): Promise<void> {
    for (const bucket of this.#fromOldest) {
      for (;;) {
        const counts = bucket.idFiles.map((idFile) => idFile.count);
        const parts = filesToMerge(counts, bucket.number < this.#newest).map((i) => bucket.idFiles[i]!);
        if (parts.length < 2 || this.#closed || !this.#isHere(bucket)) break;
        try {
          const isPressing = counts.length > FILES_MAX;
          if (!(await this.#place!.memory.alone(() => this.#merge(bucket, parts), isPressing))) return;
          this.#mergeFailures = 0;
        } catch (error) {
          // The bucket was forgotten meanwhile, and its files with it.
          if (!this.#isHere(bucket)) break;
          if (error instanceof IdFileUnreadable && error.gone) this.#broken = true;
          this.#mergeFailures += 1;
          this.#mergePatience = Math.min(PATIENCE_MAX, 2 ** this.#mergeFailures);
          return;
        }
      }
    }
  }

  async #merge(bucket: Bucket, parts: readonly IdFile[]): Promise<void> {
    const { memory, files } = this.#place!;
    const ids = parts.reduce((sum, idFile) => sum + idFile.count, 0);
    const bytes = filterBytesFor(ids);
    let filter: IdFilter | undefined;
    try {
      if (parts.every((idFile) => idFile.filter)) {
        await memory.reserve(parts, bytes);
        filter = new IdFilter(ids);
      } else if (memory.tryReserve(parts, bytes)) {
        // There is room again for a filter that had to go.
        filter = new IdFilter(ids);
      }
      const path = this.#nextPath();
      const idFile = await mergeIdFiles(
        files,
        parts,
        path,
        filter,
        () => this.#closed || !this.#isHere(bucket),
      );
      if (this.#isHere(bucket)) {
        bucket.merged(parts, idFile);
        this.#doomed.push(...parts.map((part) => part.path));
      } else {
        this.#doomed.push(path);
      }
    } finally {
      memory.release(parts);
    }
    await this.#sweep();
  }

  async #spill(bucket: Bucket, table: IdTable): Promise<void> {
    const { files } = this.#place!;
    await this.#makeDirectory();
    const path = this.#nextPath();
    const ready = table.filter;
    const filter = { filter: ready ?? new IdFilter(table.count), fill: ready === undefined };
    const idFile = await writeIdFile(files, { path, idsMax: table.count, filter }, async (writer) => {
      for (const chunk of table.sorted(CHUNK_IDS)) {
        if (this.#closed) throw new Error('the index was closed');
        await writer.add(chunk);
      }
    });
    if (this.#isHere(bucket)) bucket.moved(table, idFile);
    else this.#doomed.push(path);
  }

  #isHere(bucket: Bucket): boolean {
    return !this.#closed && this.#buckets.get(bucket.number) === bucket;
  }

  #nextPath(): string {
    this.#files += 1;
    return `${this.#place!.directory}/${this.#files}.ids`;
  }

  async #makeDirectory(): Promise<void> {
    // Each time: what lies in scratch may be removed, by hand or by a process that this one took over from.
    const { files, directory } = this.#place!;
    await files.mkdir(directory);
    this.#directoryIsReady = true;
  }

  async #sweep(): Promise<void> {
    if (this.#lookups > 0) return;
    for (const path of this.#doomed.splice(0)) {
      await this.#place!.files.unlink(path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') this.#doomed.push(path);
      });
    }
  }
}
