/** Runs as the catalog keeps them: one row each, so that a crash forgets neither the work nor how far it came. */
import type { Database } from 'libsql';
import type { TenantId } from '../base/brand.ts';

export const RUN_KINDS = [
  'build-rollup',
  'replay',
  'replay-quarantine',
  'reconcile',
  'delete-tenant',
] as const;
export type RunKind = (typeof RUN_KINDS)[number];

/**
 *   running ─▶ done
 *      │  └──▶ failed
 *      └─cancel─▶ cancelling ─cleaned up─▶ cancelled
 */
export const RUN_STATES = ['running', 'cancelling', 'done', 'failed', 'cancelled'] as const;
export type RunState = (typeof RUN_STATES)[number];

export interface RunProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: 'events' | 'buckets' | 'records' | 'parts';
  /** What it does right now, in a few words. */
  readonly step: string;
}

/** A long piece of work on one stream (or, of kind `delete-tenant`, on a tenant: then `stream` is empty). */
export interface Run {
  /** UUID version 7 as text: sorts by start. */
  readonly id: string;
  readonly tenant: TenantId;
  readonly kind: RunKind;
  readonly stream: string;
  /** What of the stream, for example the name of a rollup. */
  readonly subject: string | undefined;
  readonly state: RunState;
  /** What was asked for: JSON. */
  readonly request: unknown;
  /** How far it came, in its own words; null before it noted anything. */
  readonly checkpoint: unknown;
  readonly progress: RunProgress;
  readonly result: unknown;
  /** Why it failed and what to do. */
  readonly error: string | null;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs: number | undefined;
}

export interface RunFilter {
  readonly stream?: string | undefined;
  readonly kind?: RunKind | undefined;
  readonly state?: RunState | undefined;
  readonly limit?: number | undefined;
}

/** What an implementor owes: a write is durable when it returns. */
export interface RunRecords {
  /** Enters a run or replaces what is known of it. */
  save(run: Run): void;
  get(tenant: TenantId, id: string): Run | undefined;
  /** Newest first; at most `limit` (default 100). */
  list(tenant: TenantId, filter?: RunFilter): readonly Run[];
  /** Every run that has not ended, oldest first. */
  unended(): readonly Run[];
  counts(
    tenant: TenantId,
  ): readonly { readonly kind: RunKind; readonly state: RunState; readonly count: number }[];
}

/** Runs that have ended and are still remembered, for each tenant. */
export const ENDED_RUNS_MAX = 1_000;

export const RUNS_TABLE = `CREATE TABLE runs (
     id            TEXT    NOT NULL PRIMARY KEY,
     tenant        TEXT    NOT NULL,
     kind          TEXT    NOT NULL,
     stream        TEXT    NOT NULL,
     subject       TEXT,
     state         TEXT    NOT NULL,
     request       TEXT    NOT NULL,
     checkpoint    TEXT    NOT NULL,
     progress      TEXT    NOT NULL,
     result        TEXT    NOT NULL,
     error         TEXT,
     started_at_ms INTEGER NOT NULL,
     updated_at_ms INTEGER NOT NULL,
     ended_at_ms   INTEGER
   ) WITHOUT ROWID;
   CREATE INDEX runs_by_tenant ON runs (tenant, id);`;

interface Row {
  readonly id: string;
  readonly tenant: string;
  readonly kind: string;
  readonly stream: string;
  readonly subject: string | null;
  readonly state: string;
  readonly request: string;
  readonly checkpoint: string;
  readonly progress: string;
  readonly result: string;
  readonly error: string | null;
  readonly started_at_ms: number;
  readonly updated_at_ms: number;
  readonly ended_at_ms: number | null;
}

export function runRecords(database: Database): RunRecords {
  const upsert = database.prepare(
    'INSERT OR REPLACE INTO runs (id, tenant, kind, stream, subject, state, request, checkpoint, progress, result, error, started_at_ms, updated_at_ms, ended_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const one = database.prepare('SELECT * FROM runs WHERE tenant = ? AND id = ?');
  const some = database.prepare(
    'SELECT * FROM runs WHERE tenant = ? AND (? IS NULL OR stream = ?) AND (? IS NULL OR kind = ?) AND (? IS NULL OR state = ?) ORDER BY id DESC LIMIT ?',
  );
  const open = database.prepare('SELECT * FROM runs WHERE ended_at_ms IS NULL ORDER BY id');
  const prune = database.prepare(
    'DELETE FROM runs WHERE tenant = ? AND ended_at_ms IS NOT NULL AND id <= (SELECT id FROM runs WHERE tenant = ? AND ended_at_ms IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)',
  );
  const counted = database.prepare(
    'SELECT kind, state, count(*) AS n FROM runs WHERE tenant = ? GROUP BY kind, state',
  );
  const json = (value: unknown): string => JSON.stringify(value ?? null);

  return {
    save(run) {
      database
        .transaction(() => {
          upsert.run(
            ...[run.id, run.tenant, run.kind, run.stream, run.subject ?? null, run.state],
            ...[json(run.request), json(run.checkpoint), json(run.progress), json(run.result), run.error],
            ...[run.startedAtMs, run.updatedAtMs, run.endedAtMs ?? null],
          );
          if (run.endedAtMs !== undefined) prune.run(run.tenant, run.tenant, ENDED_RUNS_MAX);
        })
        .immediate();
    },
    get(tenant, id) {
      const row = one.get(tenant, id) as Row | undefined;
      return row && runOf(row);
    },
    list(tenant, { stream, kind, state, limit = 100 } = {}) {
      const wanted = [stream, kind, state].flatMap((value) => [value ?? null, value ?? null]);
      return (some.all(tenant, ...wanted, limit) as Row[]).map(runOf);
    },
    unended: () => (open.all() as Row[]).map(runOf),
    counts: (tenant) =>
      (counted.all(tenant) as { kind: RunKind; state: RunState; n: number }[]).map(({ kind, state, n }) => ({
        kind,
        state,
        count: n,
      })),
  };
}

const runOf = (row: Row): Run => ({
  id: row.id,
  tenant: row.tenant as TenantId,
  kind: row.kind as RunKind,
  stream: row.stream,
  subject: row.subject ?? undefined,
  state: row.state as RunState,
  request: JSON.parse(row.request),
  checkpoint: JSON.parse(row.checkpoint),
  progress: JSON.parse(row.progress) as RunProgress,
  result: JSON.parse(row.result),
  error: row.error,
  startedAtMs: row.started_at_ms,
  updatedAtMs: row.updated_at_ms,
  endedAtMs: row.ended_at_ms ?? undefined,
});
