/** What Prometheus reads at `/metrics`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { TenantId } from '../base/brand.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Ledger } from '../ledger/port.ts';
import { DIFFERENCE_KINDS, type Reconciler } from '../reconcile/port.ts';
import type { StreamStates } from './stream-states.ts';

export interface HttpMetrics {
  /** Notes one answered request. */
  done(route: string, status: number, elapsedMs: number): void;
}

export class Metrics implements HttpMetrics {
  readonly registry = new Registry();
  readonly #durations: Histogram<'route'>;
  readonly #observers = new Map<string, { observe(seconds: number): void }>();
  /** Plain numbers on the hot path; they become a metric only when somebody reads. */
  readonly #requests = new Map<string, Map<number, number>>();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    this.#durations = new Histogram({
      name: 'millrace_http_request_duration_seconds',
      help: 'Time from the head of a request to the end of its answer',
      labelNames: ['route'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [this.registry],
    });
    const requests = this.#requests;
    new Counter({
      name: 'millrace_http_requests_total',
      help: 'Answered requests',
      labelNames: ['route', 'status'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [route, byStatus] of requests) {
          for (const [status, count] of byStatus) this.inc({ route, status: String(status) }, count);
        }
      },
    });
  }

  done(route: string, status: number, elapsedMs: number): void {
    let byStatus = this.#requests.get(route);
    let observer = this.#observers.get(route);
    if (byStatus === undefined || observer === undefined) {
      byStatus = new Map();
      observer = this.#durations.labels(route);
      this.#requests.set(route, byStatus);
      this.#observers.set(route, observer);
    }
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    observer.observe(elapsedMs / 1_000);
  }

  /** A number that is looked up when somebody reads it. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** How many runs are in which state. */
  watchRuns(
    read: () => readonly { readonly kind: string; readonly state: string; readonly count: number }[],
  ): void {
    new Gauge({
      name: 'millrace_runs',
      help: 'Runs (builds, replays, reconciliations) that are remembered',
      labelNames: ['kind', 'state'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { kind, state, count } of read()) this.set({ kind, state }, count);
      },
    });
  }

  /** A mismatch of the ledger is a number that can be watched, never silence. */
  watchLedger(tenant: TenantId, catalog: Catalog, ledger: Pick<Ledger, 'health'>): void {
    const labelNames = ['tenant', 'stream'] as const;
    const registers = [this.registry];
    const healths = () =>
      catalog
        .streams(tenant)
        .map(({ definition: { name } }) => ({ name, health: ledger.health(tenant, name) }));
    new Gauge({
      name: 'millrace_ledger_mismatched_minutes',
      help: 'Minutes of arrival (by partition) in which log and store do not balance',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { name, health } of healths())
          this.set({ tenant, stream: name }, health.mismatchedMinutes);
      },
    });
    new Counter({
      name: 'millrace_ledger_checked_total',
      help: 'Checks of minutes of arrival since the process began',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { name, health } of healths()) this.inc({ tenant, stream: name }, health.checked);
      },
    });
  }

  /** What the newest reconciliation of each stream has found, and when. */
  watchReconciliations(tenant: TenantId, catalog: Catalog, reconciler: Pick<Reconciler, 'newest'>): void {
    const registers = [this.registry];
    const newest = () =>
      catalog.streams(tenant).flatMap(({ definition: { name } }) => {
        const found = reconciler.newest(tenant, name);
        return found ? [{ name, comparison: found.report.after ?? found.report.before }] : [];
      });
    new Gauge({
      name: 'millrace_reconcile_differences',
      help: 'Differences between log, tables and rollups that the newest reconciliation has left',
      labelNames: ['tenant', 'stream', 'kind'],
      registers,
      collect() {
        this.reset();
        for (const { name, comparison } of newest()) {
          for (const kind of DIFFERENCE_KINDS)
            this.set({ tenant, stream: name, kind }, comparison.counts[kind] ?? 0);
        }
      },
    });
    new Gauge({
      name: 'millrace_reconcile_last_timestamp_seconds',
      help: 'When the newest reconciliation compared',
      labelNames: ['tenant', 'stream'],
      registers,
      collect() {
        this.reset();
        for (const { name, comparison } of newest())
          this.set({ tenant, stream: name }, comparison.atMs / 1_000);
      },
    });
  }

  /** Adds the numbers of every stream; they are looked up when somebody reads them. */
  watchStreams(tenant: TenantId, catalog: Catalog, states: StreamStates): void {
    const labelNames = ['tenant', 'stream'] as const;
    const registers = [this.registry];
    const streams = () => catalog.streams(tenant).map(({ definition }) => definition);
    for (const [name, key, help] of TOTALS) {
      new Counter({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const stream of streams())
            this.inc({ tenant, stream: stream.name }, states.counts(tenant, stream)[key]);
        },
      });
    }
    for (const [name, key, help] of GAUGES) {
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        async collect() {
          this.reset();
          for (const stream of streams()) {
            const value = (await states.state(tenant, stream))[key];
            if (value !== null) this.set({ tenant, stream: stream.name }, value);
          }
        },
      });
    }
  }
}

const TOTALS = [
  ['millrace_events_accepted_total', 'accepted', 'Events in the log'],
  ['millrace_events_stored_total', 'stored', 'Events in the store'],
  ['millrace_events_duplicates_total', 'duplicates', 'Events whose id was stored before'],
  ['millrace_events_quarantined_total', 'quarantined', 'Lines that could not be stored'],
  ['millrace_events_late_total', 'late', 'Events behind the watermark by more than the stream allows'],
  ['millrace_events_late_dropped_total', 'late_dropped', 'Late events that the stream drops'],
  [
    'millrace_events_with_unknown_fields_total',
    'with_unknown_fields',
    'Stored events that carry fields the stream does not declare',
  ],
] as const;

const GAUGES = [
  ['millrace_pending_events', 'pending', 'Events in the log that are not in the store yet'],
  ['millrace_lag_ms', 'lag_ms', 'Age of the oldest event that is not in the store yet'],
  ['millrace_freshness_ms', 'freshness_ms', 'Time from the acknowledgement of an event to its being visible'],
  ['millrace_log_bytes', 'log_bytes', 'Bytes of log on disk'],
] as const;
