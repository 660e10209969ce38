/** One partition on disk: a queue of appends, one writer, readers, and the segments that they share. */
import { dirname } from 'node:path';
import type { Offset } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import { CommitQueue, type CommitQueueOptions } from './commit-queue.ts';
import { logUnavailable, noLongerKept } from './errors.ts';
import type { Appended, AppendOptions, LogBlock, PartitionState, Records } from './port.ts';
import { Reader } from './reader.ts';
import { type Recovered, recoverPartition } from './recovery.ts';
import { countForgettable, type RetentionPolicy } from './retention.ts';
import { saltFrom } from './salt.ts';
import { indexPath } from './segment.ts';
import { Segments } from './segments.ts';
import { Writer, type WriterOptions } from './writer.ts';

export interface FilePartitionOptions extends WriterOptions, Omit<CommitQueueOptions, 'commit'> {}

/** A directory with this ending is being removed, whatever is still in it. */
export const REMOVED = '.removed';

export class FilePartition {
  readonly #options: FilePartitionOptions;
  readonly #segments: Segments;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #queue: CommitQueue;
  readonly #damage: MillraceError | undefined;
  #removing = false;
  #retaining: Promise<unknown> = Promise.resolve();

  constructor(
    options: FilePartitionOptions,
    { segments, damage, epoch }: Recovered = { segments: [], epoch: options.owner.epoch },
  ) {
    this.#options = options;
    this.#segments = new Segments(segments);
    this.#damage = damage;
    this.#writer = new Writer(options, this.#segments, epoch);
    this.#reader = new Reader(options.files, this.#segments);
    this.#queue = new CommitQueue({
      ...options,
      commit: (group) =>
        this.#writer.commit(group).catch((cause: unknown) => {
          throw cause instanceof MillraceError ? cause : logUnavailable(cause);
        }),
    });
  }

  static async open(options: FilePartitionOptions): Promise<FilePartition> {
    const { files, directory, owner, ids, clock } = options;
    const salt = () => saltFrom(ids, clock);
    return new FilePartition(options, await recoverPartition(files, directory, { epoch: owner.epoch, salt }));
  }

  /** Why the partition takes nothing and ends too early. */
  get damage(): MillraceError | undefined {
    return this.#damage;
  }

  get isEmpty(): boolean {
    return this.#segments.all.length === 0;
  }

  /** Why an append would be rejected at once. */
  get refusal(): MillraceError | undefined {
    if (this.#removing) return logUnavailable('the stream is being removed');
    return this.#writer.fenced ?? this.#damage;
  }

  append(records: Records, own?: AppendOptions): Promise<Appended> {
    return this.#queue.add(records, own);
  }

  async read(from: Offset, bytesMax: number): Promise<readonly LogBlock[]> {
    const { start, end } = this.#segments.state();
    if (from < start) throw noLongerKept(from, start);
    if (from >= end && this.#damage) throw this.#damage;
    return from >= end ? [] : this.#reader.read(from, bytesMax);
  }

  state(): PartitionState {
    return this.#segments.state();
  }

  bytesAfter(from: Offset): number {
    return this.#segments.payloadAfter(from);
  }

  async offsetAt(atMs: number): Promise<Offset> {
    return (await this.#reader.offsetAt(atMs)) ?? this.#segments.end;
  }

  retain(policy: RetentionPolicy): Promise<number> {
    const retained = this.#retaining.then(() => this.#retain(policy));
    this.#retaining = retained.catch(() => undefined);
    return retained;
  }

  /** Oldest first, each durably gone before the next, so that a power cut leaves no gap. */
  async #retain(policy: RetentionPolicy): Promise<number> {
    const { files, directory } = this.#options;
    const forgettable = this.#segments.all.slice(0, countForgettable(this.#segments.all, policy));
    for (const { path } of forgettable) {
      await this.#writer.checkOwner();
      this.#segments.removeFirst();
      await files.unlink(path);
      await files.unlink(indexPath(path)).catch(() => undefined);
      await files.syncDirectory(directory);
    }
    return forgettable.length;
  }

  async close(): Promise<void> {
    await this.#queue.flush();
    await this.#retaining;
    await this.#writer.close();
  }

  /** A crash on the way leaves the whole partition or nothing that is taken for one. */
  async remove(): Promise<void> {
    const { files, directory } = this.#options;
    this.#removing = true;
    try {
      await this.close();
      if (this.isEmpty) return;
      await this.#writer.checkOwner();
      await files.rmdir(directory + REMOVED);
      await files.rename(directory, directory + REMOVED);
      await files.syncDirectory(dirname(directory));
    } catch (error) {
      this.#removing = false;
      throw error;
    }
    await files.rmdir(directory + REMOVED);
  }
}
