/** The real file system with faults: a full disk, failing fsync, torn writes. */
import type { FileSystem, OpenFile } from '../../src/base/files.ts';
import { nodeFiles } from '../../src/base/files.ts';

export interface Faults {
  /** Bytes that may still be written; the write that passes it stops there with ENOSPC. */
  spaceLeft: number;
  /** The next so many datasyncs fail with EIO. */
  syncFailures: number;
  truncateFailures: number;
}

const failure = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

export function faultyFiles(): { readonly files: FileSystem; readonly faults: Faults } {
  const faults: Faults = { spaceLeft: Number.POSITIVE_INFINITY, syncFailures: 0, truncateFailures: 0 };
  const wrap = (file: OpenFile): OpenFile => ({
    writev: async (chunks, position) => {
      const bytes = Buffer.concat(chunks);
      const fits = bytes.subarray(0, Math.min(bytes.byteLength, faults.spaceLeft));
      await file.writev([fits], position);
      faults.spaceLeft -= fits.byteLength;
      if (fits.byteLength < bytes.byteLength) throw failure('ENOSPC');
    },
    read: (into, position) => file.read(into, position),
    datasync: async () => {
      if (faults.syncFailures > 0) {
        faults.syncFailures -= 1;
        throw failure('EIO');
      }
      await file.datasync();
    },
    truncate: async (size) => {
      if (faults.truncateFailures > 0) {
        faults.truncateFailures -= 1;
        throw failure('EIO');
      }
      await file.truncate(size);
    },
    size: () => file.size(),
    close: () => file.close(),
  });
  return {
    files: { ...nodeFiles, open: async (path, mode) => wrap(await nodeFiles.open(path, mode)) },
    faults,
  };
}
