/**
 * One partition on disk. Appends gather while a commit is under way (or for the linger), then go to disk as one
 * block with one fsync:
 *
 *   append ─▶ waiting ─▶ [write ─▶ fsync] ─▶ durable: resolve, tell listeners
 *                           └ failed: reject the group, cut the file back ─▶ go on
 */

import type { Offset } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ids } from '../base/ids.ts';
import { encodeHeader, HEADER_BYTES } from './codec.ts';
import type { Appended, LogBlock, PartitionState, Records } from './port.ts';
import { Segment } from './segment.ts';

export interface PartitionOptions {
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly directory: string;
  readonly lingerMs: number;
  readonly segmentBytes: number;
  /** Takes from the log's common budget of waiting bytes; false when it is used up. */
  readonly reserve: (bytes: number) => boolean;
  readonly release: (bytes: number) => void;
}

interface Waiting {
  readonly records: Records;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/** A block is closed when it has this much; one request may be larger. */
const BLOCK_BYTES = 4 * 2 ** 20;
const RETRY_SECONDS = 2;

export class FilePartition {
  readonly listeners = new Set<() => void>();
  readonly #options: PartitionOptions;
  readonly #segments: Segment[] = [];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #committing: Promise<void> | undefined;
  /** What a failed append left must be cut before the next write. */
  #dirty = false;
  #closed = false;

  private constructor(options: PartitionOptions) {
    this.#options = options;
  }

  static async open(options: PartitionOptions): Promise<FilePartition> {
    const partition = new FilePartition(options);
    const names = (await options.files.readdir(options.directory))
      .filter((name) => name.endsWith('.log'))
      .sort();
    for (const [i, name] of names.entries()) {
      const segment = new Segment(options.files, options.directory, Number(name.slice(0, -4)));
      await segment.recover(i === names.length - 1);
      const before = partition.#segments.at(-1);
      if (before && before.end !== segment.baseOffset) {
        throw new Error(
          `the log in ${options.directory} misses the records [${before.end}, ${segment.baseOffset}): restore the file that holds them`,
        );
      }
      partition.#segments.push(segment);
    }
    const last = partition.#segments.at(-1);
    await last?.openForWriting(options.directory, false);
    return partition;
  }

  append(records: Records): Promise<Appended> {
    if (this.#closed) {
      return Promise.reject(
        new MillraceError('stopping', 'the server is stopping; send again', { retryAfterSeconds: 5 }),
      );
    }
    if (!this.#options.reserve(records.bytes)) {
      return Promise.reject(
        new MillraceError('too-busy', 'too much waits to be written; send again in a second', {
          retryAfterSeconds: 1,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject });
      this.#waitingBytes += records.bytes;
      this.#committing ??= this.#commitAll().finally(() => {
        this.#committing = undefined;
      });
    });
  }

  async #commitAll(): Promise<void> {
    if (this.#options.lingerMs > 0 && this.#waitingBytes < BLOCK_BYTES) {
      await this.#options.clock.sleep(this.#options.lingerMs);
    } else {
      await Promise.resolve();
    }
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      const bytes = group.reduce((sum, one) => sum + one.records.bytes, 0);
      try {
        const block = await this.#commit(group, bytes);
        let offset = block.baseOffset as number;
        for (const one of group) {
          one.resolve({
            baseOffset: offset as Offset,
            count: one.records.count,
            loggedAtMs: block.receivedAtMs,
          });
          offset += one.records.count;
        }
        for (const listener of this.listeners) listener();
      } catch (cause) {
        const error = new MillraceError(
          'log-unavailable',
          `the log cannot be written (${cause instanceof Error ? cause.message : cause}); nothing of this request was taken, send it again`,
          { retryAfterSeconds: RETRY_SECONDS, cause },
        );
        for (const one of group) one.reject(error);
      } finally {
        this.#options.release(bytes);
      }
    }
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    let taken = 0;
    while (taken < this.#waiting.length && (taken === 0 || bytes < BLOCK_BYTES)) {
      bytes += this.#waiting[taken]!.records.bytes;
      taken += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, taken);
  }

  async #commit(
    group: readonly Waiting[],
    payloadBytes: number,
  ): Promise<Omit<LogBlock, 'payload' | 'idBase'>> {
    const segment = await this.#writable();
    const receivedAtMs = Math.max(this.#options.clock.now(), segment.newestAtMs, this.#newestAtMs());
    const chunks = group.flatMap((one) => one.records.chunks);
    const head = {
      baseOffset: segment.end as Offset,
      count: group.reduce((sum, one) => sum + one.records.count, 0),
      receivedAtMs,
    };
    const idBase = this.#options.ids.uuidV7(receivedAtMs);
    const header = encodeHeader({ ...head, idBase }, chunks, payloadBytes);
    try {
      await segment.append([header, ...chunks], HEADER_BYTES + payloadBytes, head);
    } catch (error) {
      this.#dirty = true;
      // Best at once: a crash before the cut could bring back records that were refused.
      await this.#clean().catch(() => undefined);
      throw error;
    }
    return head;
  }

  async #clean(): Promise<void> {
    const segment = this.#segments.at(-1);
    if (this.#dirty && segment) await segment.cut();
    this.#dirty = false;
  }

  async #writable(): Promise<Segment> {
    await this.#clean();
    const last = this.#segments.at(-1);
    if (last && last.size < this.#options.segmentBytes) return last;
    const { files, directory } = this.#options;
    if (!last) await this.#makeDirectories();
    const next = new Segment(files, directory, last?.end ?? 0);
    await next.openForWriting(directory, true);
    await last?.closeWriter();
    this.#segments.push(next);
    return next;
  }

  /** TENANT/STREAM/PARTITION: each name must be durable in its parent. */
  async #makeDirectories(): Promise<void> {
    const { files, directory } = this.#options;
    await files.mkdir(directory);
    const parts = directory.split('/');
    for (let up = 1; up <= 3; up += 1) await files.syncDirectory(parts.slice(0, -up).join('/') || '/');
  }

  #newestAtMs(): number {
    for (let i = this.#segments.length - 1; i >= 0; i -= 1) {
      if (this.#segments[i]!.newestAtMs > 0) return this.#segments[i]!.newestAtMs;
    }
    return 0;
  }

  state(): PartitionState {
    return {
      start: (this.#segments[0]?.baseOffset ?? 0) as Offset,
      end: (this.#segments.at(-1)?.end ?? 0) as Offset,
      bytes: this.#segments.reduce((sum, segment) => sum + segment.size, 0),
      newestAtMs: this.#newestAtMs(),
    };
  }

  async read(from: Offset, bytesMax: number): Promise<LogBlock[]> {
    const { start, end } = this.state();
    if (from < start)
      throw new Error(
        `offset ${from} of ${this.#options.directory} is no longer kept; the first is ${start}`,
      );
    const blocks: LogBlock[] = [];
    let bytes = 0;
    for (const segment of this.#segments) {
      if (segment.end <= from || segment.baseOffset >= end) continue;
      const read = await segment.read(Math.max(from, segment.baseOffset), bytesMax - bytes);
      blocks.push(...read);
      bytes += read.reduce((sum, block) => sum + block.payload.byteLength, 0);
      if (bytes >= bytesMax) break;
    }
    return blocks;
  }

  bytesAfter(from: Offset): number {
    let bytes = 0;
    for (let i = this.#segments.length - 1; i >= 0; i -= 1) {
      const segment = this.#segments[i]!;
      if (segment.end <= from) break;
      bytes += segment.bytesFrom(from);
    }
    return bytes;
  }

  async offsetAt(atMs: number): Promise<Offset> {
    const segment = this.#segments.find((one) => one.newestAtMs >= atMs);
    if (!segment) return this.state().end;
    let from = segment.baseOffset;
    for (const entry of segment.entries) {
      if (entry.receivedAtMs >= atMs) break;
      from = entry.offset;
    }
    while (from < segment.end) {
      const blocks = await segment.read(from, BLOCK_BYTES);
      const found = blocks.find((block) => block.receivedAtMs >= atMs);
      if (found) return found.baseOffset;
      const last = blocks.at(-1);
      if (!last) break;
      from = last.baseOffset + last.count;
    }
    return segment.end as Offset;
  }

  async retain(policy: {
    readonly beforeMs?: number;
    readonly bytesMax?: number;
    readonly appliedTo: Offset;
  }): Promise<number> {
    let removed = 0;
    while (this.#segments.length > 1) {
      const first = this.#segments[0]!;
      const tooOld = policy.beforeMs !== undefined && first.newestAtMs < policy.beforeMs;
      const tooMuch = policy.bytesMax !== undefined && this.state().bytes > policy.bytesMax;
      if (first.end > policy.appliedTo || !(tooOld || tooMuch)) break;
      this.#segments.shift();
      await first.remove();
      removed += 1;
    }
    if (removed > 0) await this.#options.files.syncDirectory(this.#options.directory);
    return removed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#committing;
    for (const segment of this.#segments) await segment.closeWriter();
  }

  async remove(): Promise<void> {
    await this.close();
    this.#segments.length = 0;
    await this.#options.files.rmdir(this.#options.directory);
  }
}
