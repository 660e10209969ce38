/** Reports: questions that are answered about a period, from events of one data version; the answers are kept. */
import type { TenantId } from '../base/brand.ts';

export const RESULT_FORMATS = ['json', 'csv', 'parquet', 'html'] as const;
export type ResultFormat = (typeof RESULT_FORMATS)[number];

/**
 *   waiting ──▶ running ──▶ done
 *      │           ├──────▶ failed
 *      └───────────┴──────▶ cancelled
 *
 * After a crash a run that was waiting or running begins again; nothing of its results was shown.
 */
export type ReportRunState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
export type ReportReason = 'schedule' | 'demand' | 'trigger';

/**
 * By stream, for each log partition: events with offsets below it are counted. By `table:NAME`: changes up to this number.
 */
export type DataVersion = Readonly<Record<string, readonly number[]>>;
export type ReportParameters = Readonly<Record<string, string | number | boolean>>;

export interface ResultFile {
  readonly name: string;
  readonly format: ResultFormat;
  /** Undefined: of all questions. */
  readonly question: string | undefined;
  readonly bytes: number;
  readonly sha256: string;
}

export interface ReportRun {
  readonly report: string;
  /** Tells end of the period, start and parameters, and version: it is the same wherever it is made. */
  readonly id: string;
  /** Counts the runs about the same period with the same parameters, from 1. */
  readonly version: number;
  readonly reason: ReportReason;
  /** What a trigger called it. */
  readonly request?: string | undefined;
  readonly state: ReportRunState;
  /** `[fromMs, toMs)`. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly timeZone: string;
  readonly parameters: ReportParameters;
  /** Of the report's definition. */
  readonly definitionVersion: number;
  /** Decided once, when it begins; undefined before. */
  readonly dataVersion: DataVersion | undefined;
  readonly requestedAtMs: number;
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  readonly error: string | undefined;
  readonly files: readonly ResultFile[];
  /** Scheduled times before this one that passed while nothing ran; one run makes up for all of them. */
  readonly missed: number;
}

export interface RunWish {
  /** Both or none; none: the newest period that has ended. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** In place of the report's own, by name. */
  readonly parameters?: ReportParameters | undefined;
  /** Absent: all that was accepted before now. */
  readonly dataVersion?: DataVersion | undefined;
}

export interface TriggerWish {
  /** Why, for people. */
  readonly reason: string;
  /** End of the period. */
  readonly atMs: number;
  /** The same id is run once, however often it is asked for. */
  readonly id: string;
}

export interface ReportFigures {
  readonly waiting: number;
  readonly running: number;
  /** Since the process began. */
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
}

/**
 * One run at a time for each tenant. What is entered is durable when the call resolves and comes to its end whatever
 * happens; results are there only when the run is done.
 */
export interface Reports {
  /** Fails with `unknown-report`, `bad-question` and, when too many wait, `too-busy`. */
  start(tenant: TenantId, report: string, wish?: RunWish): Promise<ReportRun>;
  /** For triggers: idempotent by its id. Fails as `start` does. */
  request(tenant: TenantId, report: string, wish: TriggerWish): Promise<ReportRun>;
  /** Newest period first, of one period the newest version; at most `limit` (default 100, at most 1 000). */
  list(tenant: TenantId, report: string, limit?: number): Promise<readonly ReportRun[]>;
  get(tenant: TenantId, report: string, id: string): Promise<ReportRun | undefined>;
  /** Whether it would find something else by now (stale.ts); undefined when it is not done, or nobody can tell. */
  isStale(tenant: TenantId, run: ReportRun): Promise<boolean | undefined>;
  /** The bytes of a file, as they were written; fails with `not-found`, and with `internal` when they are not those. */
  read(tenant: TenantId, run: ReportRun, file: ResultFile): Promise<Uint8Array>;
  /** A run that has ended stays as it is. Fails with `not-found`. */
  cancel(tenant: TenantId, report: string, id: string): Promise<ReportRun>;
  /** Resolves when it has ended, or with how it stands after `timeoutMs`. Fails with `not-found`. */
  wait(tenant: TenantId, report: string, id: string, timeoutMs: number): Promise<ReportRun>;
  /** What a mail of a report refers to; undefined when it is not kept any more. */
  attachment(tenant: TenantId, reference: string): Promise<Uint8Array | undefined>;
  figures(): ReportFigures;
}
