import type { StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { type Engine, eventsTable, type QueryLimits, rollupTable } from '../store/index.ts';
import { answerFrom } from './answer.ts';
import { whoGivesUp } from './budget.ts';
import { type Delta, KeptRollup } from './kept-rollup.ts';
import type { AppliedRange, FollowedBatch, HotFigures, HotReader, HotRollup, HotTier } from './port.ts';
import { readEvents } from './read-events.ts';
import { deltaSql, eventsSql, snapshotSql } from './rows.ts';
import { shapeOf } from './shape.ts';

export interface HotOptions {
  readonly engine: Pick<Engine, 'stream'>;
  readonly clock: Clock;
  /** Bytes over all rollups of all tenants; 0: nothing is kept. */
  readonly bytesMax: number;
  /** Absent: whatever is asked for or fed stands. */
  readonly stands?: (tenant: TenantId, rollup: string, version: number) => boolean;
  /** A rollup is given up for a while. */
  readonly onCold?: (of: { tenant: TenantId; rollup: string; why: string; error?: unknown }) => void;
}

/** How far back, when a definition does not say. */
export const HOT_MS_DEFAULT = 2 * 3_600_000;
/** A rollup that is kept because it was asked for goes when nobody asks any more. */
const IDLE_MS = 15 * 60_000;
const LOOK_ROUND_MS = 5_000;
/** Rows of one batch: more of them would hold up everything else while they are added. */
const DELTA_BYTES_MAX = 16 * 2 ** 20;
/** To have so few events grouped costs the engine as much as for many, and more than it takes to add them one by one. */
const UNGROUPED_MAX = 500;
const SNAPSHOT_SECONDS_MAX = 120;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 10 * 60_000;
/** Of one rollup: as many as there are usual distances from now. */
const BUCKETS_OF_EVENTS_MAX = 16;
/** How often in a row a snapshot may miss a batch before it has to wait. */
const AGAIN_MAX = 3;

interface Entry extends HotRollup {
  readonly tenant: TenantId;
  /** The newest definitions that a batch came with. */
  stream: HotRollup['stream'];
  rollup: HotRollup['rollup'];
  readonly kept: KeptRollup;
  readonly hotMs: number;
  /** Kept whether it is asked for or not. */
  readonly always: boolean;
  readonly bytes: number;
  askedAtMs: number;
  /** Not to be read before; grows with each failure. */
  retryAtMs: number;
  failures: number;
  again: number;
  isQueued: boolean;
}

/**
 * Keeps the recent buckets of rollups in memory, at most `bytesMax` bytes of them. A rollup whose definition says `hot` is
 * kept from the start; one that says nothing from when it is first asked for, until nobody asks any more.
 */
export function createHotTier(options: HotOptions): HotTier {
  return new Tier(options);
}

class Tier implements HotTier {
  readonly name = 'hot';
  readonly #options: HotOptions;
  readonly #entries = new Map<TenantId, Map<string, Entry>>();
  readonly #stop = new AbortController();
  /** One at a time: the engine has better things to do. */
  #queue: (() => Promise<void>)[] = [];
  #warming: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #answered = 0;
  #missed = 0;

  constructor(options: HotOptions) {
    this.#options = options;
  }

  answer(...[of, applied, question]: Parameters<HotReader['answer']>): ReturnType<HotReader['answer']> {
    const entry = this.#entryOf(of, true);
    if (!entry) return undefined;
    entry.askedAtMs = this.#options.clock.now();
    const found = this.#isCurrent(entry, applied)
      ? answerFrom(entry.kept.recent!, question, (bucket) => this.#wantEvents(entry, bucket))
      : undefined;
    if (found) this.#answered += 1;
    else {
      this.#missed += 1;
      // Memory and position move in one moment: who is behind has missed a batch.
      if (entry.kept.standing === 'hot' && !this.#isCurrent(entry, applied)) this.#again(entry);
      else this.#want(entry);
    }
    return found;
  }

  keep(of: HotRollup): void {
    const entry = this.#entryOf(of, (of.rollup.definition.hotMs ?? 0) > 0);
    if (entry) this.#want(entry);
  }

  follow(...[range, stream, rollups, select]: Parameters<HotTier['follow']>): FollowedBatch | undefined {
    if (this.#options.bytesMax === 0) return undefined;
    const { tenant } = range.key;
    for (const rollup of rollups) {
      this.#adapt({ tenant, stream, rollup });
      this.keep({ tenant, stream, rollup });
    }
    this.#dropGone(tenant, stream.name, rollups);
    const followed = this.#entriesOf(tenant)
      .filter((entry) => entry.stream.name === stream.name && entry.kept.standing !== 'cold')
      .map((entry) => this.#follow(entry, range, select));
    if (followed.length === 0) return undefined;
    return {
      ready: Promise.all(followed.map(({ ready }) => ready)).then(() => undefined),
      applied: () => {
        for (const { apply } of followed) apply();
        try {
          this.#makeRoom();
        } catch (error) {
          // Nothing that happens here may hold a batch up.
          for (const entry of this.#all()) this.#giveUp(entry, 'room could not be made', error);
        }
      },
    };
  }

  forget(tenant: TenantId, stream: StreamName): void {
    for (const entry of this.#entriesOf(tenant)) {
      if (entry.stream.name !== stream) continue;
      const wasWanted = entry.kept.standing !== 'cold';
      entry.kept.chill();
      if (wasWanted) this.#want(entry);
    }
  }

  drop(tenant: TenantId, stream: StreamName): void {
    for (const entry of this.#entriesOf(tenant)) if (entry.stream.name === stream) this.#remove(entry);
  }

  async holdings(tenant: TenantId): ReturnType<HotTier['holdings']> {
    return this.#entriesOf(tenant)
      .filter(({ kept }) => kept.recent !== undefined)
      .map(({ rollup, bytes }) => ({
        what: `recent buckets of rollup "${rollup.definition.name}" in memory`,
        bytes,
      }));
  }

  async erase(tenant: TenantId): Promise<void> {
    for (const entry of this.#entriesOf(tenant)) this.#remove(entry);
    this.#entries.delete(tenant);
  }

  figures(): HotFigures {
    const all = this.#all();
    const count = (standing: string) => all.filter(({ kept }) => kept.standing === standing).length;
    return {
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      bytesMax: this.#options.bytesMax,
      ...{ hot: count('hot'), warming: count('warming'), cold: count('cold') },
      ...{ answered: this.#answered, missed: this.#missed },
    };
  }

  async settled(): Promise<void> {
    while (this.#warming) await this.#warming;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#queue = [];
    await Promise.all([this.#warming, this.#looking]);
    this.#entries.clear();
  }

  #all(): Entry[] {
    return [...this.#entries.values()].flatMap((entries) => [...entries.values()]);
  }

  #entriesOf(tenant: TenantId): Entry[] {
    return [...(this.#entries.get(tenant)?.values() ?? [])];
  }

  #entryOf(of: HotRollup, make: boolean): Entry | undefined {
    const { definition, version } = of.rollup;
    const standing = this.#entries.get(of.tenant)?.get(definition.name);
    if (standing?.rollup.version === version) return standing;
    // A question that was planned before the change must not bring the old version back.
    if (standing && standing.rollup.version > version) return undefined;
    if (standing) this.#remove(standing);
    const hotMs = definition.hotMs ?? HOT_MS_DEFAULT;
    if (!make || hotMs === 0 || this.#options.bytesMax === 0 || this.#stop.signal.aborted) return undefined;
    const kept = new KeptRollup(shapeOf(of.stream, definition));
    const entry: Entry = {
      ...{ tenant: of.tenant, stream: of.stream, rollup: of.rollup, kept, hotMs },
      always: definition.hotMs !== undefined,
      get bytes() {
        return kept.bytes;
      },
      ...{ askedAtMs: this.#options.clock.now(), retryAtMs: 0, failures: 0, again: 0, isQueued: false },
    };
    const ofTenant = this.#entries.get(of.tenant) ?? new Map<string, Entry>();
    ofTenant.set(definition.name, entry);
    this.#entries.set(of.tenant, ofTenant);
    this.#looking ??= this.#lookRound();
    return entry;
  }

  #isCurrent({ kept, stream }: Entry, applied: Parameters<HotReader['answer']>[1]): boolean {
    if (kept.standing !== 'hot') return false;
    for (let partition = 0; partition < stream.partitions; partition += 1) {
      if (kept.recent!.positionOf(partition) < applied(partition)) return false;
    }
    return true;
  }

  #remove(entry: Entry): void {
    entry.kept.chill();
    const entries = this.#entries.get(entry.tenant);
    const { name } = entry.rollup.definition;
    if (entries?.get(name) === entry) entries.delete(name);
  }

  #isStanding(entry: Entry): boolean {
    return this.#entries.get(entry.tenant)?.get(entry.rollup.definition.name) === entry;
  }

  /** A stream may change without a new version of its rollup: a field that may be missing now is read in another way. */
  #adapt(of: HotRollup): void {
    const entry = this.#entries.get(of.tenant)?.get(of.rollup.definition.name);
    if (!entry || entry.rollup.version !== of.rollup.version) return;
    if (entry.stream === of.stream && entry.rollup === of.rollup) return;
    const shape = shapeOf(of.stream, of.rollup.definition);
    if (JSON.stringify(shape) === JSON.stringify(entry.kept.shape)) {
      entry.stream = of.stream;
      entry.rollup = of.rollup;
      return;
    }
    const wasWanted = entry.kept.standing !== 'cold';
    this.#remove(entry);
    const anew = this.#entryOf(of, true);
    if (anew && wasWanted) this.#want(anew);
  }

  /** What was removed, or moved to another stream. */
  #dropGone(tenant: TenantId, stream: StreamName, rollups: readonly HotRollup['rollup'][]): void {
    for (const entry of this.#entriesOf(tenant)) {
      if (entry.stream.name !== stream) continue;
      const { definition, version } = entry.rollup;
      const stands = rollups.some(
        (one) => one.definition.name === definition.name && one.version === version,
      );
      if (!stands) this.#remove(entry);
    }
  }

  #follow(
    entry: Entry,
    { key, from, to }: AppliedRange,
    select: Parameters<HotTier['follow']>[3],
  ): { readonly ready: Promise<void>; readonly apply: () => void } {
    const { kept } = entry;
    const fromSeconds = kept.recent!.fromSeconds;
    const isGrouped = to - from > UNGROUPED_MAX;
    let delta: Delta = { partition: key.partition, from, to, fromSeconds, isGrouped, rows: undefined };
    const sql = (source: string) =>
      isGrouped ? deltaSql(kept.shape, source, fromSeconds) : eventsSql(kept.shape, source);
    const ready = select(sql).then(
      (rows) => {
        if (rows.byteLength <= DELTA_BYTES_MAX) delta = { ...delta, rows };
      },
      (error: unknown) => this.#tell(entry, 'the rows of a batch could not be read', error),
    );
    const apply = (): void => {
      try {
        if (!kept.apply(delta)) this.#again(entry);
      } catch (error) {
        this.#giveUp(entry, 'the rows of a batch could not be added', error);
      }
    };
    return { ready, apply };
  }

  /** A batch is missing: what is read from now on has it. */
  #again(entry: Entry): void {
    entry.kept.chill();
    entry.again += 1;
    if (entry.again > AGAIN_MAX) this.#giveUp(entry, 'batches come faster than they are taken');
    else this.#want(entry);
  }

  #giveUp(entry: Entry, why: string, error?: unknown): void {
    entry.kept.chill();
    entry.again = 0;
    entry.failures += 1;
    const wait = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(entry.failures, 20));
    entry.retryAtMs = this.#options.clock.now() + wait;
    this.#tell(entry, why, error);
  }

  #tell({ tenant, rollup }: Entry, why: string, error?: unknown): void {
    this.#options.onCold?.({ tenant, rollup: rollup.definition.name, why, ...(error ? { error } : {}) });
  }

  /** Reads it when its turn comes. From now on it gets every batch. */
  #want(entry: Entry): void {
    const { clock } = this.#options;
    if (entry.kept.standing !== 'cold' || entry.isQueued || clock.now() < entry.retryAtMs) return;
    if (this.#stop.signal.aborted || !this.#isStanding(entry)) return;
    entry.isQueued = true;
    entry.kept.begin(this.#fromSecondsOf(entry));
    this.#enqueue(async () => {
      entry.isQueued = false;
      try {
        if (this.#isStanding(entry)) await this.#warm(entry);
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#giveUp(entry, 'its recent buckets could not be read', error);
      }
    });
  }

  #enqueue(job: () => Promise<void>): void {
    this.#queue.push(job);
    this.#warming ??= this.#readAll();
  }

  async #readAll(): Promise<void> {
    for (let job = this.#queue.shift(); job; job = this.#queue.shift()) await job();
    this.#warming = undefined;
  }

  #wantEvents(entry: Entry, bucket: number): void {
    const { kept, tenant, stream } = entry;
    const recent = kept.recent!;
    if (this.#stop.signal.aborted || !recent.wishes.isDue(bucket, this.#options.clock.now())) return;
    this.#enqueue(async () => {
      try {
        if (kept.recent !== recent || kept.standing !== 'hot') return;
        const table = eventsTable(tenant, stream.name);
        await readEvents(this.#options.engine, table, stream, recent, bucket, this.#readLimits());
        recent.forgetEvents(BUCKETS_OF_EVENTS_MAX);
        if (kept.recent === recent) kept.measure();
        this.#makeRoom();
      } catch (error) {
        if (kept.recent === recent && !this.#stop.signal.aborted)
          this.#tell(entry, 'the events of a bucket could not be read', error);
      }
    });
  }

  #readLimits(): QueryLimits {
    return { timeoutSeconds: SNAPSHOT_SECONDS_MAX, signal: this.#stop.signal };
  }

  async #warm(entry: Entry): Promise<void> {
    const { kept, rollup, tenant } = entry;
    const { recent, shape } = kept;
    if (kept.standing !== 'warming' || !recent) return;
    const table = rollupTable(tenant, rollup.definition.name, rollup.version);
    const text = snapshotSql(shape, table, recent.fromSeconds);
    for await (const rows of this.#options.engine.stream({ text }, 'RowBinary', this.#readLimits())) {
      // Forgotten, removed or given up meanwhile.
      if (kept.recent !== recent || this.#stop.signal.aborted) return;
      kept.load(rows);
      this.#makeRoom();
    }
    if (kept.recent !== recent || this.#stop.signal.aborted) return;
    if (!kept.complete()) return this.#again(entry);
    entry.failures = 0;
    this.#makeRoom();
  }

  #fromSecondsOf({ hotMs, kept }: Entry): number {
    const width = kept.shape.everySeconds;
    return Math.floor((this.#options.clock.now() - hotMs) / (width * 1_000)) * width;
  }

  /** Who holds too much loses his oldest buckets; who has hardly any left is given up. */
  #makeRoom(): void {
    const { bytesMax } = this.#options;
    for (;;) {
      const entry = whoGivesUp(this.#all(), bytesMax);
      if (!entry) return;
      const recent = entry.kept.recent!;
      if (recent.forgetEvents()) {
        entry.kept.measure();
        continue;
      }
      const many = Math.ceil(recent.buckets / 8);
      let hasMore = true;
      for (let i = 0; i < many && hasMore; i += 1) hasMore = recent.forgetOldest();
      if (hasMore) entry.kept.measure();
      else this.#giveUp(entry, 'it has more keys than fit into memory (MILLRACE_HOT_MEMORY)');
    }
  }

  async #lookRound(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#options.clock.sleep(LOOK_ROUND_MS, this.#stop.signal);
      for (const entry of this.#all()) this.#lookAt(entry);
    }
  }

  #lookAt(entry: Entry): void {
    const { kept } = entry;
    const { definition, version } = entry.rollup;
    const isGone = this.#options.stands?.(entry.tenant, definition.name, version) === false;
    const isIdle = !entry.always && this.#options.clock.now() - entry.askedAtMs > IDLE_MS;
    if (isGone || isIdle) this.#remove(entry);
    else if (kept.standing === 'hot') {
      entry.again = 0;
      kept.recent!.forgetBefore(this.#fromSecondsOf(entry));
      kept.measure();
    } else if (entry.always) this.#want(entry);
  }
}
