/** One file of the log, with its sparse index. It knows only what is durable. */
import type { FileSystem, OpenFile } from '../base/files.ts';
import {
  decodeBlock,
  decodeEntries,
  ENTRY_BYTES,
  encodeEntry,
  HEADER_BYTES,
  holdsBlock,
  type IndexEntry,
} from './codec.ts';
import type { LogBlock } from './port.ts';

/** A new entry of the index after so many bytes. */
const INDEX_EVERY_BYTES = 2 ** 20;
const SCAN_BYTES = 8 * 2 ** 20;

export class Segment {
  readonly baseOffset: number;
  readonly path: string;
  readonly #files: FileSystem;
  readonly entries: IndexEntry[] = [];
  /** Durable bytes; nothing beyond is ever read. */
  size = 0;
  /** Offset after the last durable record. */
  end: number;
  newestAtMs = 0;
  #writer: OpenFile | undefined;
  #index: OpenFile | undefined;

  constructor(files: FileSystem, directory: string, baseOffset: number) {
    this.#files = files;
    this.baseOffset = baseOffset;
    this.end = baseOffset;
    this.path = `${directory}/${String(baseOffset).padStart(20, '0')}.log`;
  }

  get #indexPath(): string {
    return this.path.replace(/\.log$/, '.idx');
  }

  /**
   * Finds the durable end by reading from the last index entry that fits. A tail that is no block is cut when
   * nothing valid follows it; otherwise it is damage in the middle, and that is an error, never a cut.
   */
  async recover(isLast: boolean): Promise<void> {
    const file = await this.#files.open(this.path, isLast ? 'update' : 'read');
    try {
      const bytes = await file.size();
      const hints = decodeEntries((await this.#files.readFile(this.#indexPath)) ?? new Uint8Array(0));
      const start = await this.#trusted(file, hints, bytes);
      let at = start;
      for await (const { block, position, next } of walk(file, start, bytes)) {
        this.#note({ offset: block.baseOffset, receivedAtMs: block.receivedAtMs, position });
        this.end = block.baseOffset + block.count;
        this.newestAtMs = block.receivedAtMs;
        at = next;
      }
      if (at < bytes) {
        const rest = Buffer.alloc(Math.min(bytes - at, 256 * 2 ** 20));
        await file.read(rest, at);
        if (!isLast || holdsBlock(rest.subarray(1))) {
          throw new Error(
            `the log file ${this.path} is damaged at byte ${at}: restore it from a copy; it was not changed`,
          );
        }
        await file.truncate(at);
        await file.datasync();
      }
      this.size = at;
    } finally {
      await file.close();
    }
  }

  /** Takes over the hints that lead to a real block, and gives the position from where to read on. */
  async #trusted(file: OpenFile, hints: readonly IndexEntry[], bytes: number): Promise<number> {
    for (let last = hints.length - 1; last >= 0; last -= 1) {
      const hint = hints[last]!;
      if (hint.position >= bytes) continue;
      const found = await blockAt(file, hint.position, bytes);
      if (found?.baseOffset !== hint.offset) continue;
      for (const entry of hints.slice(0, last)) this.#note(entry);
      return hint.position;
    }
    return 0;
  }

  #note(entry: IndexEntry): boolean {
    const last = this.entries.at(-1);
    if (last && entry.position - last.position < INDEX_EVERY_BYTES) return false;
    this.entries.push(entry);
    return true;
  }

  /** Opens the segment for writing. A new one is durable by name before it is used. */
  async openForWriting(directory: string, fresh: boolean): Promise<void> {
    this.#writer = await this.#files.open(this.path, 'update');
    this.#index = await this.#files.open(this.#indexPath, 'update');
    await this.#index.truncate(this.entries.length * ENTRY_BYTES);
    await this.#index.writev(this.entries.map(encodeEntry), 0);
    if (fresh) {
      await this.#writer.datasync();
      await this.#files.syncDirectory(directory);
    }
  }

  /** Writes and fsyncs one block. After a rejection call `cut` before anything else is written. */
  async append(
    chunks: readonly Uint8Array[],
    bytes: number,
    head: Omit<LogBlock, 'payload' | 'idBase'>,
  ): Promise<void> {
    const writer = this.#writer!;
    await writer.writev(chunks, this.size);
    await writer.datasync();
    const position = this.size;
    this.size += bytes;
    this.end = head.baseOffset + head.count;
    this.newestAtMs = head.receivedAtMs;
    if (this.#note({ offset: head.baseOffset, receivedAtMs: head.receivedAtMs, position })) {
      // Only a hint: if it is lost, the next start reads a little more.
      await this.#index
        ?.writev([encodeEntry(this.entries.at(-1)!)], (this.entries.length - 1) * ENTRY_BYTES)
        .catch(() => undefined);
    }
  }

  /** Takes back, durably, whatever a failed append has left after the durable end. */
  async cut(): Promise<void> {
    await this.#writer?.close().catch(() => undefined);
    this.#writer = undefined;
    const file = await this.#files.open(this.path, 'update');
    try {
      await file.truncate(this.size);
      await file.datasync();
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    this.#writer = file;
  }

  async closeWriter(): Promise<void> {
    const [writer, index] = [this.#writer, this.#index];
    this.#writer = undefined;
    this.#index = undefined;
    await writer?.close();
    await index?.close();
  }

  /** Durable blocks from the one that holds `from`, until more than `bytesMax` of them are read. */
  async read(from: number, bytesMax: number): Promise<LogBlock[]> {
    const until = this.size;
    let entry = 0;
    for (let low = 0, high = this.entries.length - 1; low <= high; ) {
      const middle = (low + high) >> 1;
      if (this.entries[middle]!.offset <= from) {
        entry = this.entries[middle]!.position;
        low = middle + 1;
      } else high = middle - 1;
    }
    const file = await this.#files.open(this.path, 'read');
    try {
      const blocks: LogBlock[] = [];
      let bytes = 0;
      for await (const { block, next } of walk(
        file,
        entry,
        until,
        Math.min(SCAN_BYTES * 8, bytesMax + INDEX_EVERY_BYTES * 2),
      )) {
        if (block.baseOffset + block.count <= from) continue;
        blocks.push(block);
        bytes += block.payload.byteLength;
        if (bytes >= bytesMax) return blocks;
        if (next >= until) return blocks;
      }
      if (this.end > from)
        throw new Error(
          `the log file ${this.path} is damaged: offset ${from} cannot be read; restore it from a copy`,
        );
      return blocks;
    } finally {
      await file.close();
    }
  }

  /** Bytes from the block that holds `from` on; at most one index step too many. */
  bytesFrom(from: number): number {
    if (from <= this.baseOffset) return this.size;
    if (from >= this.end) return 0;
    let position = 0;
    for (let low = 0, high = this.entries.length - 1; low <= high; ) {
      const middle = (low + high) >> 1;
      if (this.entries[middle]!.offset <= from) {
        position = this.entries[middle]!.position;
        low = middle + 1;
      } else high = middle - 1;
    }
    return this.size - position;
  }

  async remove(): Promise<void> {
    await this.closeWriter();
    await this.#files.unlink(this.path);
    await this.#files.unlink(this.#indexPath).catch(() => undefined);
  }
}

interface Step {
  readonly block: LogBlock;
  readonly position: number;
  readonly next: number;
}

/** The valid blocks of [start, until), one after the other; ends at the first that is not one. */
async function* walk(file: OpenFile, start: number, until: number, step = SCAN_BYTES): AsyncGenerator<Step> {
  let position = start;
  let want = step;
  while (position < until) {
    const buffer = Buffer.allocUnsafe(Math.min(want, until - position));
    const got = await file.read(buffer, position);
    let at = 0;
    for (;;) {
      const decoded = decodeBlock(buffer.subarray(at, got));
      if (decoded.kind === 'invalid') return;
      if (decoded.kind === 'short') {
        if (position + at + decoded.bytes > until || (at === 0 && got < buffer.byteLength)) return;
        want = at === 0 ? Math.max(step, decoded.bytes) : step;
        break;
      }
      yield { block: decoded.block, position: position + at, next: position + at + decoded.bytes };
      at += decoded.bytes;
      if (position + at >= until) return;
    }
    position += at;
  }
}

async function blockAt(file: OpenFile, position: number, until: number): Promise<LogBlock | undefined> {
  for await (const { block } of walk(file, position, until, HEADER_BYTES * 1_024)) return block;
  return undefined;
}
