/**
 * Applies one stream's partitions to the store, batch by batch. While batch n is being inserted, batch n + 1 is
 * read and decided.
 *
 *   cut ─▶ decide ─▶ manifest ─▶ inserts ─▶ position ─▶ waiters
 *          └ stage, dedup        └ retried until they succeed, each table checked by its mark
 */

import type { Offset, StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { Log } from '../log/index.ts';
import { applyBatch } from './apply.ts';
import { BATCH_BYTES_MAX, type Batch, cutBatch, gatherMs } from './batch.ts';
import { type Classifier, classifierOf } from './classify.ts';
import {
  classifyRows,
  clearStage,
  createStage,
  type Decided,
  fillStage,
  measureStage,
  type Stage,
  type StageArea,
  type StageFacts,
  stageWithout,
} from './decide.ts';
import type { Gate } from './gate.ts';
import { type Manifest, toRanges } from './manifest.ts';
import type { PartitionProgress } from './partition-progress.ts';
import { RememberedIds } from './remembered-ids.ts';

export interface WorkerDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly area: StageArea;
  readonly clock: Clock;
  /** Bounds how many batches are under way over all streams. */
  readonly gate: Gate;
  readonly onFailure: (
    error: unknown,
    where: { readonly tenant: TenantId; readonly stream: StreamName },
  ) => void;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

/** The definition under which a batch was decided; it goes with the batch until it is applied. */
interface Decider {
  readonly stream: StreamDefinition;
  readonly version: number;
  readonly classifier: Classifier;
}

/** A filled staging table and which of the two it is. */
interface Staged extends Stage {
  readonly slot: number;
}

interface UnderWay {
  readonly decided: Decided;
  readonly decider: Decider;
  readonly release: () => Promise<void>;
}

export class StreamWorker {
  readonly #tenant: TenantId;
  readonly #stream: StreamName;
  readonly #deps: WorkerDeps;
  readonly #partitions: PartitionProgress[];
  readonly #stop = new AbortController();
  readonly #exclusive: (() => Promise<void>)[] = [];
  readonly #decidedTo = new Map<number, Offset>();
  readonly #watermarks = new Map<number, number | undefined>();
  readonly #unsubscribe: (() => void)[];
  #wake: (() => void) | undefined;
  readonly #ids: RememberedIds;
  #classifier: { readonly version: number; readonly classifier: Classifier } | undefined;
  /** Which of the two staging tables the batch uses that was decided last. */
  #slot = 0;
  /** The two staging tables: the definition's version each was made for; absent when it must be made anew. */
  readonly #stages = new Map<number, { readonly version: number; readonly table: string }>();
  #rate = 0;
  #lastBatchMs = 0;
  #lastCutAtMs: number;
  #running: Promise<void> | undefined;

  constructor(tenant: TenantId, stream: StreamName, partitions: PartitionProgress[], deps: WorkerDeps) {
    this.#tenant = tenant;
    this.#stream = stream;
    this.#partitions = partitions;
    this.#deps = deps;
    this.#ids = new RememberedIds(deps.area.engine, tenant);
    this.#lastCutAtMs = deps.clock.monotonicMs();
    this.#unsubscribe = partitions.map((partition) => deps.log.onAppend(partition.key, () => this.#wake?.()));
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends after the batch under way, without waiting for what is only in the log. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#running;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const partition of this.#partitions) partition.stop();
  }

  /** Runs `work` between two batches. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped)
      return Promise.reject(
        new MillraceError('stopping', 'the server is stopping; try again later', { retryAfterSeconds: 5 }),
      );
    return new Promise((resolve, reject) => {
      this.#exclusive.push(() => work().then(resolve, reject));
      this.#wake?.();
    });
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    await this.#insist(() => this.#finishPending());
    let committing: Promise<void> = Promise.resolve();
    while (!this.#stopped) {
      if (this.#exclusive.length > 0) {
        await committing;
        await this.#exclusive.shift()!();
        continue;
      }
      const waiting = this.#partitions.filter((one) => this.#backlogOf(one) > 0);
      if (waiting.length === 0) {
        await this.#sleepUntilWoken();
        continue;
      }
      await this.#gather();
      // A changed horizon rebuilds the index from the store: what is under way must be there first.
      if (this.#ids.isStale(this.#deps.catalog.stream(this.#tenant, this.#stream)?.definition))
        await committing;
      for (const partition of waiting) {
        if (this.#stopped || this.#exclusive.length > 0) break;
        const leave = await this.#deps.gate.enter();
        const began = this.#deps.clock.monotonicMs();
        let next: UnderWay | undefined;
        try {
          next = await this.#insist(() => this.#decideNext(partition));
        } finally {
          if (!next) leave();
        }
        await committing;
        if (!next) continue;
        committing = this.#commit(partition, next).finally(() => {
          this.#lastBatchMs = this.#deps.clock.monotonicMs() - began;
          leave();
        });
      }
    }
    await committing;
    for (const work of this.#exclusive.splice(0)) await work();
  }

  /** Arrival up to which every partition is applied; undefined before the first event. */
  #appliedReceivedAtMs(): number | undefined {
    const arrivals = this.#partitions.map((one) => one.position.receivedAtMs).filter((ms) => ms > 0);
    return arrivals.length === 0 ? undefined : Math.min(...arrivals);
  }

  #backlogOf(partition: PartitionProgress): number {
    return this.#deps.log.state(partition.key).end - this.#nextOf(partition);
  }

  #nextOf(partition: PartitionProgress): Offset {
    return this.#decidedTo.get(partition.key.partition) ?? partition.position.applied;
  }

  async #sleepUntilWoken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      const ready =
        this.#stopped ||
        this.#exclusive.length > 0 ||
        this.#partitions.some((one) => this.#backlogOf(one) > 0);
      if (ready) resolve();
    });
    this.#wake = undefined;
  }

  async #gather(): Promise<void> {
    const enough = this.#partitions.some(
      (one) => this.#deps.log.bytesAfter(one.key, this.#nextOf(one)) >= BATCH_BYTES_MAX / 2,
    );
    if (!enough) {
      const sinceLastCutMs = this.#deps.clock.monotonicMs() - this.#lastCutAtMs;
      const wait = gatherMs({ eventsPerSecond: this.#rate, lastBatchMs: this.#lastBatchMs, sinceLastCutMs });
      await this.#deps.clock.sleep(wait, this.#stop.signal);
    }
  }

  #noteRate(records: number): void {
    const now = this.#deps.clock.monotonicMs();
    const seconds = Math.max(0.001, (now - this.#lastCutAtMs) / 1_000);
    this.#lastCutAtMs = now;
    this.#rate = 0.5 * this.#rate + 0.5 * (records / seconds);
  }

  /** Does the work until it succeeds or the worker stops; each failure is told. */
  async #insist<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (let wait = RETRY_MS_MIN; ; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        return await work();
      } catch (error) {
        this.#deps.onFailure(error, { tenant: this.#tenant, stream: this.#stream });
        if (this.#stopped) return undefined;
        await this.#deps.clock.sleep(wait, this.#stop.signal);
        if (this.#stopped) return undefined;
      }
    }
  }

  #definition(version?: number): Decider {
    const current = this.#deps.catalog.stream(this.#tenant, this.#stream);
    const wanted = version ?? current?.version ?? 0;
    const stream =
      current?.version === wanted
        ? current.definition
        : this.#deps.catalog.streamVersion(this.#tenant, this.#stream, wanted);
    if (!stream) throw new Error(`version ${wanted} of the stream ${this.#stream} is not in the catalog`);
    if (this.#classifier?.version !== wanted)
      this.#classifier = { version: wanted, classifier: classifierOf(stream) };
    return { stream, version: wanted, classifier: this.#classifier.classifier };
  }

  async #decideNext(partition: PartitionProgress): Promise<UnderWay | undefined> {
    const from = this.#nextOf(partition);
    const blocks = await this.#deps.log.read(partition.key, from, BATCH_BYTES_MAX);
    const batch = cutBatch(partition.key, from, blocks);
    if (!batch) return undefined;
    const decider = this.#definition();
    const watermarkMs = this.#watermarks.has(partition.key.partition)
      ? this.#watermarks.get(partition.key.partition)
      : partition.position.watermarkMs;
    const index = await this.#ids.of(decider.stream, this.#appliedReceivedAtMs());
    const staged = await this.#stage(batch, decider, watermarkMs);
    const [outcome, facts] = await Promise.all([
      classifyRows(this.#deps.area, batch, staged.table, index),
      // Its failure must not make the batch be classified again, for by then the index knows its ids: it is repeated below.
      measureStage(this.#deps.area, staged).catch(() => undefined),
    ]);
    index?.forget(batch.receivedAtMs);
    // From here on the index knows the batch's ids: nothing below may fail and be repeated from the start.
    this.#decidedTo.set(partition.key.partition, batch.to);
    this.#slot = staged.slot;
    this.#noteRate(batch.to - batch.from);
    return (await this.#insist(() =>
      this.#measure(partition, batch, decider, staged, outcome, watermarkMs, facts),
    )) as UnderWay;
  }

  /**
   * Fills the staging table that the batch under way does not use. The slots change only once the batch is decided:
   * when this fails and is repeated, the other table still holds what is being inserted.
   */
  async #stage(batch: Batch, decider: Decider, watermarkMs: number | undefined): Promise<Staged> {
    const slot = 1 - this.#slot;
    const made = this.#stages.get(slot);
    this.#stages.delete(slot);
    const table =
      made?.version === decider.version
        ? made.table
        : await createStage(this.#deps.area, batch, decider.stream, slot);
    await fillStage(this.#deps.area, batch, decider.classifier, table, watermarkMs);
    return { table, storable: '_code = 0', slot };
  }

  /** `known`: the facts of the staged rows while no duplicates are among them. */
  async #measure(
    partition: PartitionProgress,
    batch: Batch,
    decider: Decider,
    staged: Staged,
    outcome: Decided['outcome'],
    watermarkMs: number | undefined,
    known?: StageFacts | undefined,
  ): Promise<UnderWay> {
    const { stage, release } = await stageWithout(this.#deps.area, batch, staged, outcome.duplicates);
    const facts =
      known && outcome.duplicates.length === 0 ? known : await measureStage(this.#deps.area, stage);
    const watermarkAfterMs =
      facts.latestMs === undefined
        ? watermarkMs
        : Math.max(watermarkMs ?? Number.NEGATIVE_INFINITY, facts.latestMs);
    this.#watermarks.set(partition.key.partition, watermarkAfterMs);
    return {
      decided: {
        batch,
        outcome,
        watermarkMs,
        watermarkAfterMs,
        withUnknownFields: facts.withUnknownFields,
        stage,
      },
      decider,
      release: async () => {
        await release();
        await clearStage(this.#deps.area, staged.table);
        this.#stages.set(staged.slot, { version: decider.version, table: staged.table });
      },
    };
  }

  async #commit(partition: PartitionProgress, underWay: UnderWay): Promise<void> {
    const { decided, decider } = underWay;
    const manifest: Manifest = {
      from: decided.batch.from,
      to: decided.batch.to,
      streamVersion: decider.version,
      watermarkMs: decided.watermarkMs,
      duplicates: toRanges(decided.outcome.duplicates),
    };
    await this.#insist(() => partition.saveManifest(manifest));
    await this.#carryOut(partition, underWay, false);
  }

  async #carryOut(
    partition: PartitionProgress,
    { decided, decider, release }: UnderWay,
    tried: boolean,
  ): Promise<void> {
    if (this.#stopped) return;
    const rollups = this.#deps.catalog
      .rollups(this.#tenant)
      .filter((rollup) => rollup.definition.from === this.#stream);
    let checkFirst = tried;
    const applied = await this.#insist(async () => {
      const plan = { engine: this.#deps.area.engine, ...decider, rollups, decided, checkFirst };
      checkFirst = true;
      await applyBatch(plan);
      const { outcome } = decided;
      const before = partition.position.totals;
      const bad = outcome.duplicates.length + outcome.quarantined.length + outcome.dropped.length;
      await partition.advance(
        {
          applied: decided.batch.to,
          watermarkMs: decided.watermarkAfterMs,
          receivedAtMs: decided.batch.receivedAtMs,
          totals: {
            stored: before.stored + (outcome.to - outcome.from - bad),
            duplicates: before.duplicates + outcome.duplicates.length,
            quarantined: before.quarantined + outcome.quarantined.length,
            lateDropped: before.lateDropped + outcome.dropped.length,
            late: before.late + outcome.late.length,
            withUnknownFields: before.withUnknownFields + decided.withUnknownFields,
          },
        },
        outcome,
      );
      return true;
    });
    // What is left over in memory and scratch is harmless: the next batch clears it.
    if (applied) await release().catch(() => undefined);
  }

  /** A batch that was decided before a crash is finished exactly as it was decided. */
  async #finishPending(): Promise<void> {
    for (const partition of this.#partitions) {
      const manifest = partition.pending;
      if (!manifest) continue;
      const blocks = await this.#deps.log.read(partition.key, manifest.from, Number.MAX_SAFE_INTEGER);
      const batch = cutBatch(partition.key, manifest.from, blocks, manifest.to);
      if (!batch || batch.to !== manifest.to) {
        throw new Error(
          `the log of ${this.#stream} does not hold the batch [${manifest.from}, ${manifest.to}) that was being applied`,
        );
      }
      const decider = this.#definition(manifest.streamVersion);
      const staged = await this.#stage(batch, decider, manifest.watermarkMs);
      const duplicates = manifest.duplicates.flatMap(([first, last]) =>
        Array.from({ length: last - first + 1 }, (_, i) => first + i),
      );
      const classified = await classifyRows(this.#deps.area, batch, staged.table, undefined);
      const underWay = await this.#measure(
        partition,
        batch,
        decider,
        staged,
        { ...classified, duplicates },
        manifest.watermarkMs,
      );
      await this.#carryOut(partition, underWay, true);
    }
  }
}
