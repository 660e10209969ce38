/** Windows over streams: evaluated step by step, published into streams of results. */
import type { TenantId } from '../base/brand.ts';
import type { TenantPart } from '../base/tenant-part.ts';
import type { WindowDefinition } from '../define/model.ts';
import type { ObjectHooks } from '../registry/index.ts';

export interface ResultsRequest {
  /** Of window starts: `[from, to)`, as in a question. */
  readonly from?: string;
  readonly to?: string;
  /** Conditions on fields of the results: `station_id:eq:7`. */
  readonly where?: readonly string[];
  /** `latest` (the default): of each window the newest version, unless that retracted it. */
  readonly versions?: 'latest' | 'all';
  /** 1-1000, default 100. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface ResultsAnswer {
  /** JSON array, newest window first. */
  readonly resultsJson: string;
  readonly count: number;
  readonly next: string | null;
}

export interface WindowState {
  /** The step that was done last; 0 before the first. */
  readonly step: number;
  /** Windows that end by then are published, RFC 3339; null before the first event. */
  readonly closed_to: string | null;
  /** Of the stream, as it is now. */
  readonly watermark: string | null;
  readonly lag_ms: number;
  readonly last_step_at: string | null;
  /** A step is decided and not done yet. */
  readonly pending: boolean;
  /** Results told so far, by what they were. */
  readonly published: Readonly<Record<'final' | 'corrected' | 'early' | 'retracted', number>>;
  /** Keys of one window that were too many to be told. */
  readonly keys_cut: number;
  /** Why the last try failed; null when it did not. */
  readonly failure: string | null;
}

/**
 * What an implementor owes: each result (window, key, version) is in the result stream once, whatever crashes; what a step
 * publishes is decided before the first of it is written.
 */
export interface Windows {
  /** Fails with `unknown-window` or `bad-question`. */
  results(
    tenant: TenantId,
    name: string,
    request?: ResultsRequest,
    signal?: AbortSignal,
  ): Promise<ResultsAnswer>;
  /** Windows that are still open, with their numbers so far; JSON array, at most `limit` of them. */
  open(tenant: TenantId, name: string, limit?: number): Promise<string>;
  state(tenant: TenantId, name: string): Promise<WindowState>;
  /** Resolves when all windows of the tenant are told that close under the watermarks as they stand now. */
  settled(tenant: TenantId): Promise<void>;
}

export interface RunningWindows extends Windows {
  readonly hooks: ObjectHooks<WindowDefinition>;
  readonly part: TenantPart;
  /** Events of the stream were rewritten, and the catalog knows: what was told of them is looked at again. */
  readonly rewritten: (tenant: TenantId, stream: string) => void;
  /** Begins to evaluate. Call it when the streams have begun. */
  start(): void;
  stop(): Promise<void>;
  /** Windows that end by then are published, and visible: epoch ms, from memory; undefined before that is known. */
  closedTo(tenant: TenantId, name: string): number | undefined;
  /** The same; read where it is not known yet. */
  closedSoFar(tenant: TenantId, name: string): Promise<number | undefined>;
  /** Called when results of a window were told, or when it is closed further; returns the way to stop. */
  watch(listener: (tenant: TenantId, window: string) => void): () => void;
  /** For metrics. */
  figures(): readonly WindowFigures[];
}

export interface WindowFigures {
  readonly tenant: TenantId;
  readonly window: string;
  readonly published: WindowState['published'];
  readonly closedToMs: number | undefined;
  readonly failures: number;
}
