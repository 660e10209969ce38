/**
 * Ids of one bucket that left memory: a file of ids in order, four native 32-bit words each, nothing else.
 *
 *   file  = id*        ascending, every id once
 *   page  = 128 ids    2048 bytes, the last one shorter
 *
 * What is known about it stays in memory: the first word of each page, so that an id is found by one read; a checksum
 * of each page, so that damage is noticed; and a filter while there is room for it. The file is a cache of the store:
 * it is not synced, and not used by a later process.
 */
import { crc32 } from 'node:zlib';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { FILTER_BITS_PER_ID, type IdFilter } from './dedup-filter.ts';
import { ID_BYTES } from './dedup-words.ts';

export const PAGE_IDS = 128;
export const PAGE_BYTES = PAGE_IDS * ID_BYTES;
/** Bytes that stay in memory for each id on disk, with and without the filter. */
export const PAGE_INDEX_BYTES_PER_ID = 8 / PAGE_IDS;
export const MEMORY_BYTES_PER_ID_ON_DISK = FILTER_BITS_PER_ID / 8 + PAGE_INDEX_BYTES_PER_ID;

export class IdFile {
  readonly path: string;
  readonly count: number;
  /** First word of each page. */
  readonly firsts: Int32Array;
  readonly checksums: Uint32Array;
  #filter: IdFilter | undefined;
  /** Attempts to read that failed since the last one that succeeded as a whole. */
  failures = 0;

  constructor(
    path: string,
    count: number,
    firsts: Int32Array,
    checksums: Uint32Array,
    filter: IdFilter | undefined,
  ) {
    this.path = path;
    this.count = count;
    this.firsts = firsts;
    this.checksums = checksums;
    this.#filter = filter;
  }

  get filter(): IdFilter | undefined {
    return this.#filter;
  }

  dropFilter(): void {
    this.#filter = undefined;
  }

  get pages(): number {
    return this.firsts.length;
  }

  get bytes(): number {
    return this.firsts.byteLength + this.checksums.byteLength + (this.#filter?.bytes ?? 0);
  }

  get bytesOnDisk(): number {
    return this.count * ID_BYTES;
  }
}

/** A file could not be read. `gone`: nor will it be, so the index has to be made anew from the store. */
export class IdFileUnreadable extends Error {
  readonly gone: boolean;

  constructor(idFile: IdFile, why: string, gone: boolean, cause?: unknown) {
    super(
      `remembered ids cannot be read from ${idFile.path}: ${why}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'IdFileUnreadable';
    this.gone = gone;
  }
}

/** After so many failures in a row a file is given up. */
const FAILURES_MAX = 3;

/** What a failure of the disk means for the file. */
function unreadable(idFile: IdFile, error: unknown): IdFileUnreadable {
  const { code, message } = error as NodeJS.ErrnoException;
  // Too many open files say nothing about this one.
  if (code !== 'EMFILE' && code !== 'ENFILE') idFile.failures += 1;
  return new IdFileUnreadable(idFile, message, code === 'ENOENT' || idFile.failures >= FAILURES_MAX, error);
}

/** Opens the file for `work`. Rejects with `IdFileUnreadable` when it cannot be opened, else as `work` does. */
export async function withIdFile<T>(
  files: FileSystem,
  idFile: IdFile,
  work: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const file = await files.open(idFile.path, 'read').catch((error: unknown) => {
    throw unreadable(idFile, error);
  });
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Reads the pages [from, to) to the start of `into` and proves them. Rejects with `IdFileUnreadable`. */
export async function readPages(
  file: OpenFile,
  idFile: IdFile,
  from: number,
  to: number,
  into: Uint8Array,
): Promise<void> {
  const bytes = Math.min(to * PAGE_BYTES, idFile.bytesOnDisk) - from * PAGE_BYTES;
  const got = await file.read(into.subarray(0, bytes), from * PAGE_BYTES).catch((error: unknown) => {
    throw unreadable(idFile, error);
  });
  if (got < bytes) throw new IdFileUnreadable(idFile, `it ends ${bytes - got} bytes early`, true);
  for (let page = from; page < to; page += 1) {
    const start = (page - from) * PAGE_BYTES;
    if (crc32(into.subarray(start, Math.min(start + PAGE_BYTES, bytes))) !== idFile.checksums[page]) {
      throw new IdFileUnreadable(idFile, `page ${page} is not what was written`, true);
    }
  }
}
