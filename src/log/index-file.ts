/**
 * Keeps the index file of the segment that is written. It is a hint that saves time at the next start, so nobody
 * waits for it and a failure only ends it; but an entry proves that its block was durable.
 */
import type { FileSystem, OpenFile } from '../base/files.ts';
import { encodeIndexEntry, INDEX_ENTRY_BYTES, type IndexEntry } from './codec.ts';
import { indexPath, type Segment } from './segment.ts';

/** Each write makes the next `datasync` of the segment a little slower, so entries are written several at once. */
const WRITE_EVERY_BYTES = 8 * 2 ** 20;

export class IndexFile {
  readonly #salt: number;
  #file: OpenFile | undefined;
  #written = 0;
  #waiting: IndexEntry[] = [];
  /** Where in the segment the last write was. */
  #position = 0;
  #writing: Promise<void> | undefined;

  private constructor(salt: number, file: OpenFile | undefined) {
    this.#salt = salt;
    this.#file = file;
  }

  /** Makes the file say what the segment's index says. */
  static async open(files: FileSystem, segment: Segment): Promise<IndexFile> {
    const file = await files.open(indexPath(segment.path), 'update').catch(() => undefined);
    const index = new IndexFile(segment.header.salt, file);
    for (let i = 0; i < segment.index!.length; i += 1) index.add(segment.index!.at(i)!);
    await index.#flush();
    await file?.truncate(index.#written).catch(() => undefined);
    return index;
  }

  add(entry: IndexEntry): void {
    if (!this.#file) return;
    this.#waiting.push(entry);
    if (entry.position - this.#position < WRITE_EVERY_BYTES) return;
    this.#position = entry.position;
    this.#writing ??= this.#write();
  }

  async #flush(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    await undefined;
    while (this.#file && this.#waiting.length > 0) {
      const some = this.#waiting;
      this.#waiting = [];
      try {
        await this.#file.writev(
          [Buffer.concat(some.map((one) => encodeIndexEntry(one, this.#salt)))],
          this.#written,
        );
        this.#written += some.length * INDEX_ENTRY_BYTES;
      } catch {
        await this.#file.close().catch(() => undefined);
        this.#file = undefined;
      }
    }
    this.#writing = undefined;
  }

  /** Writes what waits, durably if the disk lets it. */
  async close(): Promise<void> {
    await this.#flush();
    await this.#file?.datasync().catch(() => undefined);
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }
}
