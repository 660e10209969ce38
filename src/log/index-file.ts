/**
 * Keeps the index file of the segment that is written. It is a hint that saves time at the next start, so nobody
 * waits for it and a failure only delays it; but an entry proves that its block was durable.
 */
import type { FileSystem } from '../base/files.ts';
import { encodeIndexEntry, INDEX_ENTRY_BYTES } from './codec.ts';
import { indexPath, type Segment } from './segment.ts';

/** Each write makes the next `datasync` of the segment a little slower, so entries are written several at once. */
const WRITE_EVERY_BYTES = 8 * 2 ** 20;

export class IndexFile {
  readonly #files: FileSystem;
  readonly #segment: Segment;
  /** Entries that are in the file. */
  #written = 0;
  #writtenPosition: number;
  #writing: Promise<void> | undefined;

  constructor(files: FileSystem, segment: Segment) {
    this.#files = files;
    this.#segment = segment;
    this.#writtenPosition = segment.bytes;
  }

  /** The segment's index has grown. */
  grown(): void {
    const position = this.#segment.index?.last?.position ?? 0;
    if (this.#writing || position - this.#writtenPosition < WRITE_EVERY_BYTES) return;
    this.#writtenPosition = position;
    this.#writing = this.#write(false)
      .catch(() => undefined)
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async #write(durably: boolean): Promise<void> {
    const index = this.#segment.index!;
    const { salt } = this.#segment.header;
    const entries: Uint8Array[] = [];
    for (let i = this.#written; i < index.length; i += 1) entries.push(encodeIndexEntry(index.at(i)!, salt));
    const all = this.#written + entries.length;
    if (entries.length === 0) return;
    // Opened for each write: a log of many quiet partitions holds one handle for each of them, not two.
    const file = await this.#files.open(indexPath(this.#segment.path), 'update');
    try {
      await file.writev([Buffer.concat(entries)], this.#written * INDEX_ENTRY_BYTES);
      await file.truncate(all * INDEX_ENTRY_BYTES);
      if (durably) await file.datasync();
      this.#written = all;
    } finally {
      await file.close();
    }
  }

  /** Writes what is missing, durably if the disk lets it. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#write(true).catch(() => undefined);
  }
}
