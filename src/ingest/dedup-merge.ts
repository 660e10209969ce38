/** Makes one file out of several of the same bucket, so that an id is looked up in few files. */
import type { FileSystem, OpenFile } from '../base/files.ts';
import { type IdFile, PAGE_BYTES, PAGE_IDS, readPages, withIdFile } from './dedup-file.ts';
import { writeIdFile } from './dedup-file-writer.ts';
import type { IdFilter } from './dedup-filter.ts';
import { compareIds } from './dedup-words.ts';

const READ_PAGES = 128;
const CHUNK_IDS = 16_384;

/** More than this many files of one bucket make a batch wait until they are merged. */
export const FILES_MAX = 12;
/** As many are merged at once: each has a buffer and an open file. */
const MERGED_AT_ONCE = 8;

/**
 * Which files of a bucket to merge, by their sizes from the oldest to the newest; fewer than two: none. A bucket that is
 * still written to keeps sizes that at least halve, so an id is written again only a logarithmic number of times; one
 * that is complete becomes a single file.
 */
export function filesToMerge(counts: readonly number[], complete: boolean): readonly number[] {
  const last = counts.length - 1;
  if (complete) return counts.map((_, i) => i).slice(-MERGED_AT_ONCE);
  let from = last;
  let sum = counts[last] ?? 0;
  while (from > 0 && last - from < MERGED_AT_ONCE - 1 && counts[from - 1]! < 2 * sum) {
    from -= 1;
    sum += counts[from]!;
  }
  return from === last ? [] : counts.map((_, i) => i).slice(from);
}

/** Rejects with `IdFileUnreadable`, or with what the disk says to writing; nothing has changed then. */
export async function mergeIdFiles(
  files: FileSystem,
  idFiles: readonly IdFile[],
  path: string,
  filter: IdFilter | undefined,
  isStopped: () => boolean,
): Promise<IdFile> {
  const idsMax = idFiles.reduce((sum, idFile) => sum + idFile.count, 0);
  const plan = { path, idsMax, filter: filter && { filter, fill: true } };
  return writeIdFile(files, plan, (writer) =>
    withAll(files, idFiles, async (opened) => {
      const cursors: Cursor[] = [];
      for (const [i, file] of opened.entries()) {
        const cursor = new Cursor(file, idFiles[i]!);
        if (await cursor.load()) cursors.push(cursor);
      }
      const chunk = new Int32Array(CHUNK_IDS * 4);
      let count = 0;
      while (cursors.length > 0) {
        const least = leastOf(cursors);
        const isNew = count === 0 || compareIds(chunk, count - 1, least.words, least.at) !== 0;
        if (isNew) {
          for (let i = 0; i < 4; i += 1) chunk[count * 4 + i] = least.words[least.at * 4 + i]!;
          count += 1;
        }
        least.at += 1;
        if (count === CHUNK_IDS) {
          if (isStopped()) throw new Error('the merge was stopped');
          // The last one stays, to be compared with the next.
          await writer.add(chunk.subarray(0, (count - 1) * 4));
          chunk.copyWithin(0, (count - 1) * 4, count * 4);
          count = 1;
        }
        if (least.at === least.count && !(await least.load())) cursors.splice(cursors.indexOf(least), 1);
      }
      await writer.add(chunk.subarray(0, count * 4));
    }),
  );
}

function withAll(
  files: FileSystem,
  idFiles: readonly IdFile[],
  work: (opened: readonly OpenFile[]) => Promise<void>,
  opened: readonly OpenFile[] = [],
): Promise<void> {
  const idFile = idFiles[opened.length];
  if (!idFile) return work(opened);
  return withIdFile(files, idFile, (file) => withAll(files, idFiles, work, [...opened, file]));
}

function leastOf(cursors: readonly Cursor[]): Cursor {
  let least = cursors[0]!;
  for (let i = 1; i < cursors.length; i += 1) {
    const one = cursors[i]!;
    if (compareIds(one.words, one.at, least.words, least.at) < 0) least = one;
  }
  return least;
}

/** Reads a file from front to end. */
class Cursor {
  readonly words = new Int32Array((READ_PAGES * PAGE_BYTES) / 4);
  at = 0;
  count = 0;
  readonly #file: OpenFile;
  readonly #idFile: IdFile;
  #page = 0;

  constructor(file: OpenFile, idFile: IdFile) {
    this.#file = file;
    this.#idFile = idFile;
  }

  /** The next pages; false at the end. */
  async load(): Promise<boolean> {
    const from = this.#page;
    const to = Math.min(from + READ_PAGES, this.#idFile.pages);
    if (from === to) return false;
    await readPages(this.#file, this.#idFile, from, to, new Uint8Array(this.words.buffer));
    this.#page = to;
    this.at = 0;
    this.count = Math.min(to * PAGE_IDS, this.#idFile.count) - from * PAGE_IDS;
    return true;
  }
}
