/**
 * The file system is handed in, so that a test can fill its disk, tear its writes and cut its power.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';

export interface OpenFile {
  /** Writes all of the chunks from `position` on, or rejects; what was written before a rejection is unknown. */
  writev(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** Fills `into` from `position` on; resolves with the bytes that were there, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /**
   * Resolves when everything written, and the length of the file, is durable. After a rejection it is unknown what
   * is, and a later call cannot tell either: write the bytes again, elsewhere.
   */
  datasync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Names (files made, renamed or removed) are durable after `syncDirectory` of the directory that holds them. */
export interface FileSystem {
  /**
   * `create` empties what is there; `update` opens or makes a file for reading and writing; `existing` is for reading
   * and writing too, and `read` for reading: both need it to be there.
   */
  open(path: string, mode: 'create' | 'update' | 'existing' | 'read'): Promise<OpenFile>;
  /** Makes the directory and its parents, durably. */
  mkdir(path: string): Promise<void>;
  /** Names in the directory; none when it is not there or is none. */
  readdir(path: string): Promise<readonly string[]>;
  /** Takes the place of a file that is there. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes the directory and everything in it; fine when it is not there. */
  rmdir(path: string): Promise<void>;
  /** Makes names that were made, renamed or removed in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** The whole file, or undefined when it is not there. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** After it resolves the file has these bytes, durably; a crash leaves the old bytes or the new. */
  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void>;
}

const FLAGS = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_TRUNC,
  update: fs.constants.O_RDWR | fs.constants.O_CREAT,
  existing: fs.constants.O_RDWR,
  read: fs.constants.O_RDONLY,
} as const;

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** The callback interface costs half of what file handles with promises do, and the log makes two calls a commit. */
const call = <T>(start: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value)));
  });
const run = (start: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });

class NodeFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async writev(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let left = chunks;
    let at = position;
    for (;;) {
      const written = await call<number>((done) => fs.writev(this.#fd, left, at, done));
      // The system may take fewer bytes than it is given.
      left = after(left, written);
      if (left.length === 0) return;
      at += written;
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.byteLength) {
      const got = await call<number>((done) =>
        fs.read(this.#fd, into, filled, into.byteLength - filled, position + filled, done),
      );
      if (got === 0) break;
      filled += got;
    }
    return filled;
  }

  datasync(): Promise<void> {
    return run((done) => fs.fdatasync(this.#fd, done));
  }

  truncate(size: number): Promise<void> {
    return run((done) => fs.ftruncate(this.#fd, size, done));
  }

  async size(): Promise<number> {
    return (await call<fs.Stats>((done) => fs.fstat(this.#fd, done))).size;
  }

  close(): Promise<void> {
    return run((done) => fs.close(this.#fd, done));
  }
}

/** What is left of the chunks after their first `bytes`. */
function after(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let skip = bytes;
  let first = 0;
  while (first < chunks.length && skip >= chunks[first]!.byteLength) {
    skip -= chunks[first]!.byteLength;
    first += 1;
  }
  const rest = chunks.slice(first);
  if (skip > 0) rest[0] = rest[0]!.subarray(skip);
  return rest;
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

export const nodeFiles: FileSystem = {
  open: async (path, mode) => new NodeFile(await call<number>((done) => fs.open(path, FLAGS[mode], done))),
  mkdir: async (path) => {
    const topmost = await call<string | undefined>((done) => fs.mkdir(path, { recursive: true }, done));
    if (topmost === undefined) return;
    for (let made = path; ; made = dirname(made)) {
      await nodeFiles.syncDirectory(dirname(made));
      if (made.length <= topmost.length) return;
    }
  },
  readdir: (path) =>
    call<string[]>((done) => fs.readdir(path, done)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
      throw error;
    }),
  rename: (from, to) => run((done) => fs.rename(from, to, done)),
  unlink: (path) => run((done) => fs.unlink(path, done)),
  rmdir: (path) => run((done) => fs.rm(path, { recursive: true, force: true }, done)),
  syncDirectory: async (path) => {
    const fd = await call<number>((done) => fs.open(path, fs.constants.O_RDONLY, done));
    try {
      await run((done) => fs.fsync(fd, done));
    } finally {
      await run((done) => fs.close(fd, done));
    }
  },
  readFile: (path) =>
    call<Buffer>((done) => fs.readFile(path, done)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }),
  writeFileAtomic: (path, bytes) => replaceFile(nodeFiles, path, bytes),
};

/** Writes `PATH.new`, makes it durable, and lets it take the place of `path`. */
export async function replaceFile(
  files: Omit<FileSystem, 'writeFileAtomic'>,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${path}.new`;
  const file = await files.open(temporary, 'create');
  try {
    await file.writev([bytes], 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, path);
  await files.syncDirectory(dirname(path));
}
