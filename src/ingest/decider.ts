/** Decides the batches of one stream's partitions, one after another: reads them, stages them, remembers their ids. */
import type { Offset, StreamName, TenantId } from '../base/brand.ts';
import { inTurns } from '../base/turns.ts';
import type { Catalog } from '../catalog/port.ts';
import { judgedLateness, type StreamDefinition } from '../define/model.ts';
import type { Log } from '../log/index.ts';
import { type Batch, bytesOf, cutBatch } from './batch.ts';
import type { BatchStore, StagedBatch } from './batch-store.ts';
import { type DecideInput, type Decision, decideRows, decidingRows } from './decide.ts';
import type { DedupIndex } from './dedup-index.ts';
import { fromRanges, type Manifest } from './manifest.ts';
import type { PartitionProgress } from './partition-progress.ts';
import type { RememberedIds } from './remembered-ids.ts';

/** A decided batch on its way into the tables. */
export interface UnderWay {
  readonly staged: StagedBatch;
  readonly decision: Decision;
  readonly stream: StreamDefinition;
  /** Version of the definition under which it was decided. */
  readonly version: number;
  /** Watermark before the batch. */
  readonly watermarkMs: number | undefined;
}

export interface DeciderDeps {
  readonly catalog: Pick<Catalog, 'stream' | 'streamVersion'>;
  readonly log: Pick<Log, 'read' | 'state'>;
  readonly store: BatchStore;
  readonly ids: RememberedIds;
}

/** A record may wait so long for its turn to become durable while others of other partitions are decided. */
const BEHIND_MS = 10_000;

export class Decider {
  readonly #tenant: TenantId;
  readonly #stream: StreamName;
  readonly #partitions: readonly PartitionProgress[];
  readonly #deps: DeciderDeps;
  readonly #decidedTo = new Map<number, Offset>();
  /** Arrival of the newest decided record. */
  readonly #arrivals = new Map<number, number>();
  /** Greatest event time decided to be stored; told by streams that judge lateness. */
  readonly #watermarks = new Map<number, number>();
  /** The index of the last batch, and the arrival from which on it has every id. */
  #index: DedupIndex | undefined;
  #rememberedSinceMs = Number.NEGATIVE_INFINITY;
  /** How far behind the newest arrival of all partitions the records of one may come. */
  #behindMs = BEHIND_MS;

  constructor(
    tenant: TenantId,
    stream: StreamName,
    partitions: readonly PartitionProgress[],
    deps: DeciderDeps,
  ) {
    this.#tenant = tenant;
    this.#stream = stream;
    this.#partitions = partitions;
    this.#deps = deps;
  }

  /** The offset at which the partition's next batch begins. */
  nextOf(partition: PartitionProgress): Offset {
    return this.#decidedTo.get(partition.key.partition) ?? partition.position.applied;
  }

  /**
   * The partition's next batch; undefined when there is none. A rejection may be repeated: nothing was decided.
   * `before` resolves when the batch before is in the store. Not more blocks than are needed to pass `bytesMax`. `yields`
   * is told how many bytes there are: whether what is computed for them may wait for others.
   */
  async next(
    partition: PartitionProgress,
    before: Promise<void>,
    bytesMax: number,
    yields: (bytes: number) => boolean,
  ): Promise<UnderWay | undefined> {
    const from = this.nextOf(partition);
    const blocks = await this.#deps.log.read(partition.key, from, bytesMax);
    const batch = cutBatch(partition.key, from, blocks);
    if (!batch) return undefined;
    const { stream, version } = this.#definition();
    const index = await this.#indexFor(stream, batch, before);
    const staged = await this.#deps.store.stage(batch, stream, version, yields(bytesOf(batch)));
    try {
      await index?.prepare(staged.rows.idWords(), batch.blocks[0]!.receivedAtMs);
    } catch (error) {
      await this.#deps.store.release(staged);
      throw error;
    }
    const watermarkMs = this.#watermarkOf(partition);
    // From here on the index knows the batch's ids, so nothing may fail and be repeated from the start. What the index has to say of
    // them was found by `prepare`: others may have their turn, even when they make it move its tables to the disk.
    const decision = await inTurns(
      decidingRows(
        inputOf(batch, staged, stream, watermarkMs, (a, b, c, d, atMs) => {
          if (!index) return false;
          if (index.has(a, b, c, d, atMs)) return true;
          index.add(a, b, c, d, atMs);
          return false;
        }),
      ),
    );
    this.#remember(partition, batch, decision);
    if (index) this.#forget(index);
    await index?.settle();
    return { staged, decision, stream, version, watermarkMs };
  }

  /** The batch of a manifest, decided as it was decided before the crash. */
  async again(partition: PartitionProgress, manifest: Manifest): Promise<UnderWay> {
    const blocks = await this.#deps.log.read(partition.key, manifest.from, Number.MAX_SAFE_INTEGER);
    const batch = cutBatch(partition.key, manifest.from, blocks, manifest.to);
    if (!batch || batch.to !== manifest.to) {
      throw new Error(
        `the log of ${this.#stream} does not hold the batch [${manifest.from}, ${manifest.to}) that was being applied`,
      );
    }
    const { stream, version } = this.#definition(manifest.streamVersion);
    const staged = await this.#deps.store.stage(batch, stream, version);
    const duplicates = new Set(fromRanges(manifest.duplicates));
    const decision = decideRows(
      inputOf(batch, staged, stream, manifest.watermarkMs, (_a, _b, _c, _d, _atMs, offset) =>
        duplicates.has(offset),
      ),
    );
    this.#remember(partition, batch, decision);
    return { staged, decision, stream, version, watermarkMs: manifest.watermarkMs };
  }

  /**
   * The index with everything that the batch may ask for. What a batch asks for may have been forgotten: arrivals never
   * decrease along a partition, but when the clock was set back one partition goes on where it was and another does not.
   */
  async #indexFor(
    stream: StreamDefinition,
    batch: Batch,
    before: Promise<void>,
  ): Promise<DedupIndex | undefined> {
    const { ids } = this.#deps;
    const earliestMs = batch.blocks[0]!.receivedAtMs;
    const greatestMs = Math.max(earliestMs, ...this.#arrivals.values());
    // Twice, so that it does not happen again at each batch that comes a little later than all before.
    if (greatestMs - earliestMs > this.#behindMs) this.#behindMs = 2 * (greatestMs - earliestMs);
    const sinceMs = Math.min(
      earliestMs,
      greatestMs - this.#behindMs,
      this.#appliedReceivedAtMs() ?? earliestMs,
    );
    let index = await ids.of(stream, sinceMs, before);
    if (index && index === this.#index && index.remembersSince(earliestMs) < this.#rememberedSinceMs) {
      await before;
      await ids.close();
      index = await ids.of(stream, sinceMs, before);
    }
    if (index && index !== this.#index) this.#rememberedSinceMs = index.remembersSince(sinceMs);
    this.#index = index;
    return index;
  }

  #forget(index: DedupIndex): void {
    const leastMs = Math.min(this.#leastArrivalMs(), Math.max(...this.#arrivals.values()) - this.#behindMs);
    this.#rememberedSinceMs = Math.max(this.#rememberedSinceMs, index.remembersSince(leastMs));
    index.forget(leastMs);
  }

  #remember({ key }: PartitionProgress, batch: Batch, { watermarkMs }: Decision): void {
    this.#decidedTo.set(key.partition, batch.to);
    this.#arrivals.set(key.partition, batch.receivedAtMs);
    if (watermarkMs !== undefined) this.#watermarks.set(key.partition, watermarkMs);
  }

  #watermarkOf({ key, position }: PartitionProgress): number | undefined {
    const [decided, applied] = [this.#watermarks.get(key.partition), position.watermarkMs];
    return decided === undefined || applied === undefined ? (decided ?? applied) : Math.max(decided, applied);
  }

  /** No record that is still to be decided arrived before this: a partition that has nothing waiting holds nobody back. */
  #leastArrivalMs(): number {
    const arrivals = this.#partitions.map((one) =>
      this.#deps.log.state(one.key).end > this.nextOf(one)
        ? (this.#arrivals.get(one.key.partition) ?? one.position.receivedAtMs)
        : Number.POSITIVE_INFINITY,
    );
    return Math.min(...arrivals, Math.max(...this.#arrivals.values()));
  }

  /** Arrival up to which every partition is applied; undefined before the first event. */
  #appliedReceivedAtMs(): number | undefined {
    const arrivals = this.#partitions.map((one) => one.position.receivedAtMs).filter((ms) => ms > 0);
    return arrivals.length === 0 ? undefined : Math.min(...arrivals);
  }

  #definition(version?: number): { readonly stream: StreamDefinition; readonly version: number } {
    const current = this.#deps.catalog.stream(this.#tenant, this.#stream);
    const wanted = version ?? current?.version ?? 0;
    const stream =
      current?.version === wanted
        ? current.definition
        : this.#deps.catalog.streamVersion(this.#tenant, this.#stream, wanted);
    if (!stream) throw new Error(`version ${wanted} of the stream ${this.#stream} is not in the catalog`);
    return { stream, version: wanted };
  }
}

const inputOf = (
  { from, to, blocks }: Batch,
  { rows }: StagedBatch,
  stream: StreamDefinition,
  watermarkMs: number | undefined,
  seen: DecideInput['seen'],
): DecideInput => ({ from, to, blocks, rows, lateness: judgedLateness(stream), watermarkMs, seen });
