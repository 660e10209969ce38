/** How a stream is doing: what came in, what became of it, how far behind the store is. */
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { IngestState } from '../ingest/port.ts';
import type { LedgerHealth } from '../ledger/port.ts';
import type { PartitionState } from '../log/port.ts';
import type { WatermarkState } from '../watermarks/index.ts';
import type { ServeDeps } from './deps.ts';
import type { Freshness } from './freshness.ts';
import { partitionKeys } from './partition-keys.ts';
import type { StreamStateAnswer } from './schemas.ts';
import { readTimeRange, type TimeRange } from './time-range.ts';

/** accepted = stored + duplicates + quarantined + late_dropped + pending, always. */
export interface StreamCounts {
  readonly accepted: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly late: number;
  readonly late_dropped: number;
  readonly with_unknown_fields: number;
  readonly pending: number;
}

export type StreamFigures = Omit<StreamStateAnswer, 'first_event_time' | 'last_event_time' | 'ledger'>;

const TIME_RANGE_MAX_AGE_MS = 2_000;
const CACHED_STREAMS_MAX = 10_000;

interface CachedTimeRange {
  readonly readAtMs: number;
  readonly range: Promise<TimeRange | undefined>;
}

interface PartitionView {
  readonly key: PartitionKey;
  readonly log: PartitionState;
  readonly ingest: IngestState;
}

type Deps = Pick<ServeDeps, 'log' | 'ingest' | 'engine' | 'ledger' | 'watermarks'> & {
  readonly freshness: Freshness;
  readonly clock: Clock;
};

export class StreamStates {
  readonly #deps: Deps;
  readonly #timeRanges = new Map<string, CachedTimeRange>();
  /** Arrival of the record at an offset that waits: it stays true, so it is read once. */
  readonly #arrivals = new Map<string, { readonly offset: Offset; readonly atMs: number }>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Nothing that was remembered of the tenant's streams holds for streams that it makes anew. */
  forget(tenant: TenantId): void {
    for (const cache of [this.#timeRanges, this.#arrivals]) {
      for (const name of cache.keys()) if (isOf(name, tenant)) cache.delete(name);
    }
  }

  counts(tenant: TenantId, stream: StreamDefinition): StreamCounts {
    return countsOf(this.#views(tenant, stream));
  }

  /** What is known without asking the store. */
  async figures(tenant: TenantId, stream: StreamDefinition): Promise<StreamFigures> {
    const views = this.#views(tenant, stream);
    const now = this.#deps.clock.now();
    const oldest = await Promise.all(views.filter(isBehind).map((view) => this.#oldestPendingAt(view)));
    const lag = oldest.length === 0 ? 0 : Math.max(0, now - Math.min(...oldest));
    const applied = Math.max(...views.map((view) => view.ingest.appliedReceivedAtMs));
    const newest = Math.max(...views.map((view) => view.log.newestAtMs));
    return {
      ...countsOf(views),
      lag_ms: lag,
      freshness_ms: round(this.#deps.freshness.recentMs(tenant, stream.name) ?? lag),
      newest_at: moment(newest),
      as_of: moment(applied),
      ...watermarkFigures(this.#deps.watermarks?.of(tenant, stream.name)),
      log_bytes: views.reduce((sum, view) => sum + view.log.bytes, 0),
    };
  }

  async state(tenant: TenantId, stream: StreamDefinition): Promise<StreamStateAnswer> {
    const figures = await this.figures(tenant, stream);
    const range = await this.#timeRange(tenant, stream);
    return {
      ...figures,
      first_event_time: range === undefined ? null : iso(range.firstMs),
      last_event_time: range === undefined ? null : iso(range.lastMs),
      ledger: ledgerOf(this.#deps.ledger.health(tenant, stream.name)),
    };
  }

  #views(tenant: TenantId, stream: StreamDefinition): readonly PartitionView[] {
    // Ingest is read first: what is applied was logged before, so no count can come out negative.
    return partitionKeys(tenant, stream).map((key) => {
      const ingest = this.#deps.ingest.state(key);
      return { key, ingest, log: this.#deps.log.state(key) };
    });
  }

  async #oldestPendingAt({ key, ingest, log }: PartitionView): Promise<number> {
    const name = nameOf(key.tenant, key.stream, key.partition);
    const known = this.#arrivals.get(name);
    if (known?.offset === ingest.applied) return known.atMs;
    let atMs = log.newestAtMs;
    try {
      const [block] = await this.#deps.log.read(key, ingest.applied, 1);
      if (block !== undefined) atMs = block.receivedAtMs;
    } catch {
      // A state without the log's word is better than none: the newest arrival stands in.
    }
    keep(this.#arrivals, name, { offset: ingest.applied, atMs });
    return atMs;
  }

  async #timeRange(tenant: TenantId, stream: StreamDefinition) {
    const name = nameOf(tenant, stream.name, 0);
    const now = this.#deps.clock.monotonicMs();
    let known = this.#timeRanges.get(name);
    if (known === undefined || now - known.readAtMs > TIME_RANGE_MAX_AGE_MS) {
      // The store may be away; the counts do not depend on it.
      known = {
        readAtMs: now,
        range: readTimeRange(this.#deps.engine, tenant, stream.name).catch(() => undefined),
      };
      keep(this.#timeRanges, name, known);
    }
    return known.range;
  }
}

const watermarkFigures = (state: WatermarkState | undefined) => ({
  watermark: state?.atMs === undefined ? null : iso(state.atMs),
  watermark_lag_ms: state?.lagMs ?? 0,
  sources: state?.sources ?? 0,
  idle_sources: state?.idleSources ?? 0,
});

const ledgerOf = ({ balanced, checkedToMs, mismatchedMinutes }: LedgerHealth) => ({
  balanced,
  checked_to: checkedToMs === undefined ? null : iso(checkedToMs),
  mismatched_minutes: mismatchedMinutes,
});

const isBehind = (view: PartitionView): boolean => view.log.end > view.ingest.applied;

function countsOf(views: readonly PartitionView[]): StreamCounts {
  const sum = (read: (view: PartitionView) => number): number =>
    views.reduce((total, view) => total + read(view), 0);
  return {
    accepted: sum(({ log }) => log.end),
    stored: sum(({ ingest }) => ingest.totals.stored),
    duplicates: sum(({ ingest }) => ingest.totals.duplicates),
    quarantined: sum(({ ingest }) => ingest.totals.quarantined),
    late: sum(({ ingest }) => ingest.totals.late),
    late_dropped: sum(({ ingest }) => ingest.totals.lateDropped),
    with_unknown_fields: sum(({ ingest }) => ingest.totals.withUnknownFields),
    pending: sum(({ log, ingest }) => Math.max(0, log.end - ingest.applied)),
  };
}

/** Parts of a key are a tuple, never joined by a sign that a part may hold. */
const nameOf = (tenant: TenantId, stream: string, partition: number): string =>
  JSON.stringify([tenant, stream, partition]);

const isOf = (name: string, tenant: TenantId): boolean => (JSON.parse(name) as string[])[0] === tenant;

function keep<V>(cache: Map<string, V>, name: string, value: V): void {
  if (cache.size >= CACHED_STREAMS_MAX) cache.clear();
  cache.set(name, value);
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
const iso = (ms: number): string => new Date(ms).toISOString();
const moment = (ms: number): string | null => (ms > 0 ? iso(ms) : null);
