/**
 * The file system is handed in, so that a test can fill its disk, tear its writes and cut its power.
 */
import * as fs from 'node:fs';
import * as fsp from 'node:fs/promises';
import { dirname } from 'node:path';

export interface OpenFile {
  /** Writes all of the chunks from `position` on, or rejects; what was written before a rejection is unknown. */
  writev(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /** Fills `into` from `position` on; resolves with the bytes that were there. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Resolves when everything written is durable. */
  datasync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** `create` empties what is there; `update` opens or makes a file for reading and writing; `read` needs it to be there. */
  open(path: string, mode: 'create' | 'update' | 'read'): Promise<OpenFile>;
  /** Makes the directory and its parents. */
  mkdir(path: string): Promise<void>;
  /** Names in the directory; none when it is not there. */
  readdir(path: string): Promise<readonly string[]>;
  unlink(path: string): Promise<void>;
  /** Removes the directory and everything in it; fine when it is not there. */
  rmdir(path: string): Promise<void>;
  /** Makes names that were made or removed in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** The whole file, or undefined when it is not there. */
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** After it resolves the file has these bytes, durably; a crash leaves the old bytes or the new. */
  writeFileAtomic(path: string, bytes: Uint8Array): Promise<void>;
}

const FLAGS = { create: 'w+', update: fs.constants.O_RDWR | fs.constants.O_CREAT, read: 'r' } as const;

class NodeFile implements OpenFile {
  readonly #handle: fsp.FileHandle;

  constructor(handle: fsp.FileHandle) {
    this.#handle = handle;
  }

  async writev(chunks: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    // The system takes at most 1024 chunks at once, and may take fewer bytes than it is given.
    for (let first = 0; first < chunks.length; first += 1_000) {
      let some = chunks.slice(first, first + 1_000);
      while (some.length > 0) {
        const { bytesWritten } = await this.#handle.writev(some, at);
        at += bytesWritten;
        some = after(some, bytesWritten);
      }
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.byteLength) {
      const { bytesRead } = await this.#handle.read(
        into,
        filled,
        into.byteLength - filled,
        position + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What is left of the chunks after their first `bytes`. */
function after(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip >= chunk.byteLength) {
      skip -= chunk.byteLength;
      continue;
    }
    rest.push(skip === 0 ? chunk : chunk.subarray(skip));
    skip = 0;
  }
  return rest;
}

const absent = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export const nodeFiles: FileSystem = {
  open: async (path, mode) => new NodeFile(await fsp.open(path, FLAGS[mode])),
  mkdir: async (path) => {
    await fsp.mkdir(path, { recursive: true });
  },
  readdir: (path) =>
    fsp.readdir(path).catch((error: unknown) => {
      if (absent(error)) return [];
      throw error;
    }),
  unlink: (path) => fsp.unlink(path),
  rmdir: (path) => fsp.rm(path, { recursive: true, force: true }),
  syncDirectory: async (path) => {
    const handle = await fsp.open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  readFile: (path) =>
    fsp.readFile(path).catch((error: unknown) => {
      if (absent(error)) return undefined;
      throw error;
    }),
  writeFileAtomic: async (path, bytes) => {
    const temporary = `${path}.new`;
    const handle = await fsp.open(temporary, 'w');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fsp.rename(temporary, path);
    await nodeFiles.syncDirectory(dirname(path));
  },
};
