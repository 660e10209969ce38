/**
 * Writes a partition, one group at a time.
 *
 *   idle ─▶ write ─▶ datasync ─▶ still the owner? ─▶ durable: the books are advanced ─▶ idle
 *             │          └─ failed ─▶ distrusted ─┐
 *             └─ failed ──▶ dirty ────────────────┤
 *                                                 ▼
 *   dirty       cut back to the durable end ─▶ idle; if that fails: distrusted
 *   distrusted  close the handle, cut back through a fresh one ─▶ go on in a new segment; if that fails: stay
 *
 * The repair is tried before the group is rejected, so that a crash right after the rejection does not bring its
 * records back, and again before each later write: nothing is acknowledged behind bytes that were refused. After a
 * `datasync` that failed the kernel may call pages clean that never reached the disk, so that segment is not
 * written again.
 *
 * Whether this process is still the owner is asked after the `datasync` and before anybody is told: whoever takes over
 * says so before reading, so either it reads the group, or the answer is no. Then nothing is written any more; as after
 * a crash it is not known whether the group that was under way counts.
 */
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import type { Ids } from '../base/ids.ts';
import type { Ownership } from '../base/ownership.ts';
import { BLOCK_HEADER_BYTES, encodeBlockHeader, type IndexEntry, SEGMENT_HEADER_BYTES } from './codec.ts';
import type { Committed, Group } from './group.ts';
import { IndexFile } from './index-file.ts';
import { saltFrom } from './salt.ts';
import { addBlock, createSegment, headerAfter, type Segment } from './segment.ts';
import type { Segments } from './segments.ts';

export interface WriterOptions {
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly owner: Ownership;
  readonly directory: string;
  readonly segmentBytes: number;
}

/** From so many bytes on, hashing on this thread while another one writes is faster than one call after it. */
const OVERLAP_BYTES = 256 * 2 ** 10;

export class Writer {
  readonly #options: WriterOptions;
  readonly #segments: Segments;
  /** In the names of new segments. */
  readonly #epoch: number;
  #state: 'idle' | 'dirty' | 'distrusted' = 'idle';
  /** Why nothing is written any more: another process owns the files. */
  #fenced: MillraceError | undefined;
  /** Open while the last segment may be written. */
  #file: OpenFile | undefined;
  #index: IndexFile | undefined;
  /** The last segment is whole, but nothing is to be added to it. */
  #closed = false;
  #lastBlock: IndexEntry | undefined;

  constructor(options: WriterOptions, segments: Segments, epoch: number) {
    this.#options = options;
    this.#segments = segments;
    this.#epoch = epoch;
  }

  /** Resolves when the group is durable. After a rejection other than `fenced` nothing of it will be read. */
  async commit(group: Group): Promise<Committed> {
    if (this.#fenced) throw this.#fenced;
    await this.#repair();
    const segment = await this.#segmentFor(group.bytes + BLOCK_HEADER_BYTES);
    const file = this.#file!;
    const receivedAtMs = Math.max(this.#options.clock.now(), segment.newestAtMs);
    const block = {
      baseOffset: segment.end,
      count: group.count,
      receivedAtMs,
      payloadBytes: group.bytes,
      idBase: group.own?.idBase ?? this.#options.ids.uuidV7(receivedAtMs),
      replayed: group.own?.replayed ?? false,
    };
    const headerOf = (payloadCrc: number) => encodeBlockHeader({ ...block, payloadCrc }, segment.header.salt);
    this.#state = 'dirty';
    try {
      if (group.unhashedBytes < OVERLAP_BYTES) {
        await file.writev([headerOf(group.payloadCrc()), ...group.parts], segment.bytes);
      } else {
        const written = file.writev(group.parts, segment.bytes + BLOCK_HEADER_BYTES);
        const header = headerOf(group.payloadCrc());
        await written;
        await file.writev([header], segment.bytes);
      }
      this.#state = 'distrusted';
      await file.datasync();
      this.#state = 'dirty';
      await this.checkOwner();
      this.#state = 'idle';
    } catch (error) {
      await this.#repair().catch(() => undefined);
      throw error;
    }
    this.#advance(segment, block);
    return block;
  }

  #advance(segment: Segment, block: Parameters<typeof addBlock>[1]): void {
    const position = segment.bytes;
    this.#lastBlock = {
      offset: block.baseOffset,
      receivedAtMs: block.receivedAtMs,
      position,
      payloadBefore: segment.payloadBytes,
    };
    if (addBlock(segment, block, position, position + BLOCK_HEADER_BYTES + block.payloadBytes))
      this.#index?.grown();
  }

  get fenced(): MillraceError | undefined {
    return this.#fenced;
  }

  /** Rejects when another process owns the files, and remembers it. */
  async checkOwner(): Promise<void> {
    try {
      await this.#options.owner.check();
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'fenced') this.#fenced = error;
      throw error;
    }
  }

  async #repair(): Promise<void> {
    const segment = this.#segments.last;
    if (this.#state === 'idle' || this.#fenced || !segment) return;
    if (this.#state === 'dirty') {
      try {
        await cut(this.#file!, segment.bytes);
        this.#state = 'idle';
        return;
      } catch {
        this.#state = 'distrusted';
      }
    }
    await this.#closeFiles();
    this.#closed = true;
    const fresh = await this.#options.files.open(segment.path, 'existing');
    try {
      await cut(fresh, segment.bytes);
    } finally {
      await fresh.close();
    }
    this.#state = 'idle';
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    const last = this.#segments.last;
    const full =
      last !== undefined &&
      last.bytes > SEGMENT_HEADER_BYTES &&
      last.bytes + bytes > this.#options.segmentBytes;
    if (!last || full || this.#closed) return this.#startSegment();
    if (!this.#file) await this.#open(last);
    return last;
  }

  async #startSegment(): Promise<Segment> {
    const { files, directory, ids, clock } = this.#options;
    await this.checkOwner();
    await this.#closeFiles();
    this.#closed = true;
    if (!this.#segments.last) await files.mkdir(directory);
    const header = headerAfter(this.#segments.last, saltFrom(ids, clock));
    const segment = await createSegment(files, directory, this.#epoch, header);
    this.#segments.add(segment);
    await this.#open(segment);
    return segment;
  }

  async #open(segment: Segment): Promise<void> {
    this.#file = await this.#options.files.open(segment.path, 'existing');
    this.#index = new IndexFile(this.#options.files, segment);
    this.#lastBlock = undefined;
    this.#closed = false;
  }

  /** The last block gets its entry too: it proves at the next start that everything up to here was durable. */
  async #closeFiles(): Promise<void> {
    const [file, index, last] = [this.#file, this.#index, this.#lastBlock];
    this.#file = undefined;
    this.#index = undefined;
    this.#lastBlock = undefined;
    const segment = this.#segments.last;
    if (last && segment && (segment.index?.last?.position ?? -1) < last.position) segment.index?.add(last);
    if (!this.#fenced) await index?.close();
    await file?.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#repair().catch(() => undefined);
    await this.#closeFiles();
  }
}

/** Takes back, durably, what lies beyond `bytes`. */
async function cut(file: OpenFile, bytes: number): Promise<void> {
  await file.truncate(bytes);
  await file.datasync();
}
