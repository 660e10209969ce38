/** Reads the durable blocks of a partition. Every payload is verified before anybody sees it. */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { type IndexEntry, SEGMENT_HEADER_BYTES } from './codec.ts';
import { blockTooNew, logDamaged } from './errors.ts';
import type { LogBlock } from './port.ts';
import { type Found, walkBlocks } from './scan.ts';
import { readIndexFile, type Segment } from './segment.ts';
import type { Segments } from './segments.ts';
import { INDEX_EVERY_BYTES, SparseIndex } from './sparse-index.ts';

/** However much is asked for, one read gives about so much at most. */
const READ_BYTES_MAX = 256 * 2 ** 20;
const CURSORS_MAX = 32;

/** Where the block begins that a reader wants next. */
interface Cursor {
  readonly segment: Segment;
  readonly position: number;
}

export class Reader {
  readonly #files: FileSystem;
  readonly #segments: Segments;
  /** A reader goes on where it stopped, so that place is known exactly. By offset, the oldest first. */
  readonly #cursors = new Map<number, Cursor>();

  constructor(files: FileSystem, segments: Segments) {
    this.#files = files;
    this.#segments = segments;
  }

  /** Blocks from the one that holds `from` on. `from` is at least the start. */
  async read(from: Offset, bytesMax: number): Promise<readonly LogBlock[]> {
    const blocks: LogBlock[] = [];
    let bytes = 0;
    let next: number = from;
    const most = Math.min(bytesMax, READ_BYTES_MAX);
    for (const segment of this.#segments.from(from)) {
      if (next >= segment.end) continue;
      try {
        for (const block of await this.#readSegment(segment, next, most - bytes)) {
          blocks.push(block);
          bytes += block.payload.byteLength;
          next = block.baseOffset + block.count;
        }
      } catch (error) {
        // What comes before the damage is good; whoever goes on from there is told.
        if (blocks.length === 0) throw error;
        break;
      }
      if (bytes >= most || next < segment.end) break;
    }
    return blocks;
  }

  async #readSegment(segment: Segment, from: number, bytesMax: number): Promise<readonly LogBlock[]> {
    const until = segment.bytes;
    const { end } = segment;
    const start = await this.#placeOf(segment, from);
    const blocks: LogBlock[] = [];
    let bytes = 0;
    let position = start.position;
    await withFile(this.#files, segment, async (file) => {
      const wanted = bytesMax + (start.exact ? 0 : INDEX_EVERY_BYTES);
      let expected: number | undefined;
      for await (const piece of walkBlocks(file, segment.header.salt, position, until, wanted)) {
        for (const found of piece) {
          const { header } = found;
          if (header.baseOffset !== (expected ?? header.baseOffset)) return;
          expected = header.baseOffset + header.count;
          if (expected > from) {
            if (blocks.length === 0 && header.baseOffset > from) return;
            if (header.unknownFlags !== 0) {
              if (blocks.length > 0) return;
              throw blockTooNew(segment.path, found.position, header.unknownFlags);
            }
            if (crc32(found.payload) !== header.payloadCrc) return;
            blocks.push(toBlock(found));
            bytes += header.payloadBytes;
          }
          position = found.next;
          if (bytes >= bytesMax || expected >= end) return;
        }
      }
    });
    const last = blocks.at(-1);
    if (!last) throw logDamaged(segment.path, position, `offset ${from} cannot be read`);
    this.#remember(last.baseOffset + last.count, { segment, position });
    return blocks;
  }

  /** The offset of the first record that arrived at or after `atMs`; undefined when there is none. */
  async offsetAt(atMs: number): Promise<Offset | undefined> {
    const segment = this.#segments.atTime(atMs);
    if (!segment) return undefined;
    const until = segment.bytes;
    const { end } = segment;
    let position = (await this.#indexOf(segment)).beforeTime(atMs)?.position ?? SEGMENT_HEADER_BYTES;
    return withFile(this.#files, segment, async (file) => {
      const { salt } = segment.header;
      for await (const piece of walkBlocks(file, salt, position, until, INDEX_EVERY_BYTES)) {
        for (const { header, next } of piece) {
          if (header.receivedAtMs >= atMs) return header.baseOffset;
          position = next;
          if (header.baseOffset + header.count >= end) return end;
        }
      }
      throw logDamaged(segment.path, position, 'no block begins there');
    });
  }

  async #placeOf(segment: Segment, from: number): Promise<{ position: number; exact: boolean }> {
    const cursor = this.#cursors.get(from);
    if (cursor?.segment === segment) return { position: cursor.position, exact: true };
    const entry = (await this.#indexOf(segment)).atOffset(from);
    return { position: entry?.position ?? SEGMENT_HEADER_BYTES, exact: false };
  }

  #remember(offset: number, cursor: Cursor): void {
    this.#cursors.delete(offset);
    this.#cursors.set(offset, cursor);
    const oldest = this.#cursors.keys().next();
    if (this.#cursors.size > CURSORS_MAX && !oldest.done) this.#cursors.delete(oldest.value);
  }

  async #indexOf(segment: Segment): Promise<SparseIndex> {
    segment.index ??= await this.#loadIndex(segment);
    return segment.index;
  }

  /** The index of a segment that was closed: its file if it is there and true, else made again from the segment. */
  async #loadIndex(segment: Segment): Promise<SparseIndex> {
    const all = await readIndexFile(this.#files, segment.path, segment.header);
    const entries = all.filter((entry) => entry.position < segment.bytes);
    return withFile(this.#files, segment, async (file) => {
      const index = new SparseIndex();
      const last = entries.at(-1);
      if (last && (await isTrue(file, segment, last))) {
        for (const entry of entries) index.add(entry);
        return index;
      }
      let payloadBefore = 0;
      const { salt } = segment.header;
      for await (const piece of walkBlocks(file, salt, SEGMENT_HEADER_BYTES, segment.bytes)) {
        for (const { header, position } of piece) {
          const { baseOffset, receivedAtMs } = header;
          if (index.wants(position)) index.add({ offset: baseOffset, receivedAtMs, position, payloadBefore });
          payloadBefore += header.payloadBytes;
        }
      }
      return index;
    });
  }
}

/** Does the entry lead to its block? */
async function isTrue(file: OpenFile, segment: Segment, entry: IndexEntry): Promise<boolean> {
  for await (const [first] of walkBlocks(file, segment.header.salt, entry.position, segment.bytes, 0))
    return first?.header.baseOffset === entry.offset;
  return false;
}

function toBlock({ header, payload }: Found): LogBlock {
  const { baseOffset, count, receivedAtMs, idBase, replayed } = header;
  return { baseOffset, count, receivedAtMs, idBase, replayed, payload };
}

async function withFile<T>(
  files: FileSystem,
  segment: Segment,
  use: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const file = await files.open(segment.path, 'read');
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
