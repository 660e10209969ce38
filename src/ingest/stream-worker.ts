/**
 * Applies one stream's partitions to the store, batch by batch. While batch n is being inserted, batch n + 1 is
 * read and decided.
 *
 *   gather ─▶ decide (decider.ts) ─▶ commit (protocol.ts, commit.ts) ─▶ waiters
 *             └ read, stage, dedup    └ manifest ─▶ inserts ─▶ position
 */
import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { FairQueue, Leave } from '../base/fair-queue.ts';
import type { Ownership } from '../base/ownership.ts';
import { inTurns } from '../base/turns.ts';
import { type Catalog, rollupsToApply } from '../catalog/index.ts';
import type { HotFeed } from '../hot/port.ts';
import type { Log } from '../log/index.ts';
import { BATCH_BYTES_MAX, bytesOf } from './batch.ts';
import { type BatchStore, liveTargets, owes } from './batch-store.ts';
import { carryOut, RETRY_MS_MAX, RETRY_MS_MIN } from './commit.ts';
import { storedCount } from './decide.ts';
import { Decider, type UnderWay } from './decider.ts';
import { NO_ARRIVALS, type Position, toRanges } from './manifest.ts';
import { Pace } from './pace.ts';
import type { PartitionProgress } from './partition-progress.ts';
import type { Arrivals, Followed, Follower, SelectStored } from './port.ts';
import type { Pressing } from './pressing.ts';
import { type BatchState, decided, recovered } from './protocol.ts';
import type { RememberedIds } from './remembered-ids.ts';
import { countingFacts, type StoredFacts } from './stored-facts.ts';

export interface WorkerDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  readonly clock: Clock;
  readonly owner: Ownership;
  /** Bounds how many batches are under way over all streams; tenants share it fairly. */
  readonly places: FairQueue;
  readonly pressing: Pick<Pressing, 'cut' | 'isPressing'>;
  /** Recent buckets in memory; absent: there are none. */
  readonly hot?: HotFeed;
  /** Others who are told of every batch. */
  readonly followers: readonly Follower[];
  readonly onFailure: (
    error: unknown,
    where: { readonly tenant: TenantId; readonly stream: StreamName },
  ) => void;
}

/** Work that waits for the moment between two batches. */
interface Exclusive {
  run(): Promise<void>;
  refuse(why: unknown): void;
}

const stopping = (): MillraceError =>
  new MillraceError('stopping', 'the server is stopping; try again later', { retryAfterSeconds: 5 });

export class StreamWorker {
  readonly #tenant: TenantId;
  readonly #stream: StreamName;
  readonly #deps: WorkerDeps;
  readonly #store: BatchStore;
  readonly #ids: RememberedIds;
  readonly #partitions: PartitionProgress[];
  readonly #decider: Decider;
  readonly #pace: Pace;
  readonly #stop = new AbortController();
  readonly #exclusive: Exclusive[] = [];
  readonly #unsubscribe: (() => void)[];
  #wake: (() => void) | undefined;
  /** While it waits for a place: ends the wait. */
  #giveUpPlace: AbortController | undefined;
  #running: Promise<void> | undefined;

  constructor(
    tenant: TenantId,
    stream: StreamName,
    partitions: PartitionProgress[],
    store: BatchStore,
    ids: RememberedIds,
    deps: WorkerDeps,
  ) {
    this.#tenant = tenant;
    this.#stream = stream;
    this.#partitions = partitions;
    this.#deps = deps;
    this.#store = store;
    this.#ids = ids;
    this.#decider = new Decider(tenant, stream, partitions, { ...deps, store, ids });
    this.#pace = new Pace(deps.clock);
    this.#unsubscribe = partitions.map((partition) => deps.log.onAppend(partition.key, () => this.#wake?.()));
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends after the batch under way, without waiting for what is only in the log. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#giveUpPlace?.abort();
    this.#wake?.();
    await this.#running;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const partition of this.#partitions) partition.stop();
    await this.#ids.close();
  }

  /** Runs `work` between two batches. Work that has not begun when the worker stops, or is fenced, never does. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#stopped) return Promise.reject(stopping());
    return new Promise((resolve, reject) => {
      this.#exclusive.push({ run: () => work().then(resolve, reject), refuse: reject });
      this.#giveUpPlace?.abort();
      this.#wake?.();
    });
  }

  /** The store's events were changed by other hands than this worker's: the ids are read from it again. Call it within `exclusively`. */
  forgetIds(): Promise<void> {
    return this.#ids.close();
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    for (const partition of this.#partitions) await this.#finishPending(partition);
    let committing: Promise<void> = Promise.resolve();
    while (!this.#stopped) {
      if (this.#exclusive.length > 0) {
        await committing;
        await this.#runExclusive();
        continue;
      }
      const waiting = this.#partitions.filter((one) => this.#backlogOf(one) > 0);
      if (waiting.length === 0) {
        await this.#sleepUntilWoken();
        continue;
      }
      await this.#gather();
      for (const partition of waiting) {
        if (this.#stopped || this.#exclusive.length > 0) break;
        const leave = await this.#enter();
        if (!leave) break;
        const began = this.#deps.clock.monotonicMs();
        const before = committing;
        const next = await this.#insist(
          () => this.#decider.next(partition, before, this.#bytesMax(), this.#yields),
          // What fails here may be what the waiting work repairs; nothing was decided.
          () => this.#exclusive.length > 0,
        );
        await before;
        if (!next) {
          leave();
          continue;
        }
        const { batch } = next.staged;
        const bytes = bytesOf(batch);
        this.#pace.noteCut(batch.to - batch.from);
        committing = this.#commit(partition, next, decided).finally(() => {
          this.#pace.noteApplied(began, bytes);
          leave();
        });
      }
    }
    await committing;
    // The last batch may be in some tables only, so nothing may look at them or change them now.
    for (const work of this.#exclusive.splice(0)) work.refuse(stopping());
  }

  /** A batch may have ended because the worker stops or another process has taken over: then it is still under way. */
  async #runExclusive(): Promise<void> {
    if (this.#stopped) return;
    const work = this.#exclusive.shift()!;
    try {
      await this.#deps.owner.check();
    } catch (error) {
      return work.refuse(error);
    }
    await work.run();
  }

  #backlogOf(partition: PartitionProgress): number {
    return this.#deps.log.state(partition.key).end - this.#decider.nextOf(partition);
  }

  /** A place for a batch; undefined when the worker stops, or work that waits for the end of a batch comes before. */
  async #enter(): Promise<Leave | undefined> {
    this.#giveUpPlace = new AbortController();
    try {
      return await this.#deps.places.enter(this.#tenant, this.#giveUpPlace.signal);
    } catch (error) {
      if (this.#giveUpPlace.signal.aborted) return undefined;
      throw error;
    } finally {
      this.#giveUpPlace = undefined;
    }
  }

  /** A batch holds its place to its end: while other tenants are there it is so small that they wait only a moment. */
  #bytesMax(): number {
    return this.#deps.places.isShared(this.#tenant) ? this.#pace.bytesOfAMoment() : BATCH_BYTES_MAX;
  }

  readonly #yields = (bytes: number): boolean => this.#deps.pressing.cut(this.#tenant, bytes);

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
      (one) => this.#deps.log.bytesAfter(one.key, this.#decider.nextOf(one)) >= this.#bytesMax() / 2,
    );
    if (!enough) await this.#pace.gather(this.#stop.signal, this.#deps.pressing.isPressing(this.#tenant));
  }

  /** Does the work until it succeeds, the worker stops or the work gives way; each failure is told. */
  async #insist<T>(work: () => Promise<T>, givesWay = () => false): Promise<T | undefined> {
    for (let wait = RETRY_MS_MIN; ; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        return await work();
      } catch (error) {
        this.#tell(error);
        if (this.#stopped || givesWay()) return undefined;
        await this.#deps.clock.sleep(wait, this.#stop.signal);
        if (this.#stopped) return undefined;
      }
    }
  }

  #tell(error: unknown): void {
    this.#deps.onFailure(error, { tenant: this.#tenant, stream: this.#stream });
  }

  /** A batch that was decided before a crash is finished exactly as it was decided. */
  async #finishPending(partition: PartitionProgress): Promise<void> {
    const manifest = partition.pending;
    if (!manifest) return;
    const underWay = await this.#insist(() => this.#decider.again(partition, manifest));
    if (underWay) await this.#commit(partition, underWay, recovered);
  }

  async #commit(
    partition: PartitionProgress,
    underWay: UnderWay,
    begin: (tables: readonly string[]) => BatchState,
  ): Promise<void> {
    const { staged, decision, stream } = underWay;
    const rollups = rollupsToApply(this.#deps.catalog, this.#tenant, this.#stream);
    const targets = new Map(
      liveTargets(this.#tenant, stream, rollups)
        .filter((target) => owes(decision, target))
        .map((target) => [target.table, target]),
    );
    const { owner, clock } = this.#deps;
    const facts = await inTurns(countingFacts(staged.rows, decision));
    const followed = this.#follow(underWay, facts.earliestMs);
    const ready = Promise.all(followed.map((one) => one.ready));
    await carryOut(begin([...targets.keys()]), {
      clock,
      stop: this.#stop.signal,
      saveManifest: async () => {
        await owner.check();
        await partition.saveManifest({
          from: staged.batch.from,
          to: staged.batch.to,
          streamVersion: underWay.version,
          watermarkMs: underWay.watermarkMs,
          duplicates: toRanges(decision.duplicates),
        });
      },
      insert: (table) => this.#store.insert(targets.get(table)!, staged, decision),
      holds: (table) => this.#store.holds(targets.get(table)!, staged.batch),
      savePosition: async () => {
        await ready;
        const before = partition.position;
        const arrivals = await arrivalsAfter(before.arrivals, followed);
        await owner.check();
        const position = { ...positionAfter(before, underWay, facts), arrivals };
        await partition.advance(position, decision, () => {
          for (const one of followed) one.applied();
        });
      },
      isFenced: (error) => error instanceof MillraceError && error.code === 'fenced',
      onFailure: (error) => this.#tell(error),
    });
    await this.#store.release(staged);
  }

  /** The batch's share of the rollups in memory is read while the tables get theirs; others may read of it, too. */
  #follow({ staged, decision, stream }: UnderWay, earliestMs: number | undefined): readonly Followed[] {
    const { hot, followers } = this.#deps;
    const { key, from, to, receivedAtMs } = staged.batch;
    const { select } = this.#store;
    const stored: SelectStored | undefined =
      select && ((sql) => select.call(this.#store, staged, decision, sql));
    const rollups = this.#deps.catalog
      .rollups(this.#tenant)
      .filter(({ definition }) => definition.from === this.#stream);
    const inMemory = stored && hot?.follow({ key, from, to }, stream, rollups, stored);
    return [
      ...(inMemory ? [inMemory] : []),
      ...followers.map((one) =>
        one.follow(
          { key, from, to, receivedAtMs, earliestMs, duplicates: decision.duplicates.length },
          stream,
          stored,
        ),
      ),
    ];
  }
}

async function arrivalsAfter(
  before: Arrivals | undefined,
  followed: readonly Followed[],
): Promise<Arrivals | undefined> {
  let arrivals = before;
  for (const one of followed) arrivals = (await one.arrivals?.(arrivals ?? NO_ARRIVALS)) ?? arrivals;
  return arrivals;
}

function positionAfter(
  { totals, watermarkMs }: Position,
  { staged, decision }: UnderWay,
  facts: StoredFacts,
): Position {
  const times = [watermarkMs, decision.watermarkMs, facts.latestMs].filter((ms) => ms !== undefined);
  return {
    applied: staged.batch.to,
    watermarkMs: times.length === 0 ? undefined : Math.max(...times),
    receivedAtMs: staged.batch.receivedAtMs,
    totals: {
      stored: totals.stored + storedCount(decision),
      duplicates: totals.duplicates + decision.duplicates.length,
      quarantined: totals.quarantined + decision.quarantined.length,
      lateDropped: totals.lateDropped + decision.dropped.length,
      late: totals.late + decision.late.length,
      withUnknownFields: totals.withUnknownFields + facts.withUnknownFields,
    },
  };
}
