/** Long pieces of work: begun once, seen to their end whatever happens in between. */
import type { TenantId } from '../base/brand.ts';
import type { Run, RunFilter, RunKind, RunProgress } from '../catalog/index.ts';

export type { Run, RunFilter, RunKind, RunProgress, RunState } from '../catalog/index.ts';

export interface RunContext {
  /** Aborts when the run is cancelled and when the process stops. */
  readonly signal: AbortSignal;
  /** True when it is cancelled for good: clean up, then throw. False when it only pauses: just throw. */
  readonly cancelled: boolean;
  /** What was saved last; null before. */
  readonly checkpoint: unknown;
  /** After it resolves the checkpoint is durable: after a crash the run goes on from here. What it announces may begin only then. */
  save(checkpoint: unknown): Promise<void>;
  /** What people see; as durable as the next `save`. What is not named stays. */
  progress(progress: Partial<RunProgress>): void;
  /**
   * The point of no return: once it has resolved the run cannot be cancelled. Rejects when it is cancelled or the
   * process stops, so that nothing is made final behind the back of whoever cancelled.
   */
  commit(): Promise<void>;
  /** Throws when the run is cancelled or the process stops: call it between steps. */
  throwIfEnding(): void;
}

/**
 * Does the work of a run from its checkpoint; what it returns becomes the run's result (JSON).
 *
 * It may be called again after a crash, a pause or a failure that may pass, always with the checkpoint that was
 * saved last: every step must stand being repeated. It may be called with a signal that is aborted already: then
 * there is only cleaning up to do.
 */
export type Execute = (run: Run, context: RunContext) => Promise<unknown>;

export interface RunOptions {
  /** Takes back what a run that failed for good, or was cancelled, has left. May be called again. */
  readonly giveUp?: (run: Run) => Promise<void>;
  /** It cannot be cancelled, not even while it waits for its turn, and is tried until it ends, however often it fails for now. */
  readonly mustEnd?: true;
}

export interface RunRequest {
  readonly tenant: TenantId;
  readonly kind: RunKind;
  readonly stream: string;
  readonly subject?: string | undefined;
  /** JSON. */
  readonly request: unknown;
  /** From `newId`, when something has to name the run before it is entered. */
  readonly id?: string | undefined;
}

/**
 * One run at a time on a stream, two over all; the others wait in the order they came, in state `running`.
 */
export interface Runs {
  /** Says how runs of this kind are done; once for each kind. */
  register(kind: RunKind, execute: Execute, options?: RunOptions): void;
  newId(): string;
  /**
   * Enters a run, durable when it resolves; `unended` tells of it at once. Fails with `too-busy` when too many wait,
   * `stopping` at the end.
   */
  start(request: RunRequest): Promise<Run>;
  /**
   * At start of the process: every run that has not ended goes on from its checkpoint, but those of tenants that
   * `isGone` tells: what they were about is being erased.
   */
  resume(isGone?: (tenant: TenantId) => boolean): Promise<void>;
  get(tenant: TenantId, id: string): Promise<Run | undefined>;
  /** Newest first. */
  list(tenant: TenantId, filter?: RunFilter): Promise<readonly Run[]>;
  /** Those that have not ended, from memory, in the order they came: empty before `resume`. */
  unended(tenant: TenantId, filter?: Omit<RunFilter, 'limit'>): readonly Run[];
  counts(tenant: TenantId): ReturnType<import('../catalog/index.ts').RunRecords['counts']>;
  /**
   * Asks the run to end; what it has begun is taken back. A run that has ended stays as it is. Fails with `not-found`,
   * and with `conflict` when it is past its point of no return.
   */
  cancel(tenant: TenantId, id: string): Promise<Run>;
  /** Cancels every run of the tenant; resolves when all of them have ended, one that is past its point of no return too. */
  endAll(tenant: TenantId): Promise<void>;
  /** Resolves when the run has ended, or with how it stands after `timeoutMs`. Fails with `not-found`. */
  wait(tenant: TenantId, id: string, timeoutMs: number): Promise<Run>;
  /** Pauses all runs; the next `resume` goes on with them. Resolves when none is under way. */
  stop(): Promise<void>;
}
