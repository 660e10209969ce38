/** Runs as the catalog keeps them: one row each, so that a crash forgets neither the work nor how far it came. */
import type { TenantId } from '../base/brand.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import { type RunRow, withoutNul } from './tables.ts';

export const RUN_KINDS = [
  'build-rollup',
  'replay',
  'replay-quarantine',
  'replay-late',
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

export interface RunCount {
  readonly kind: RunKind;
  readonly state: RunState;
  readonly count: number;
}

/** What an implementor owes: a write is durable when it resolves; writes of one tenant keep the order of the calls. */
export interface RunRecords {
  /** Enters a run or replaces what is known of it. */
  save(run: Run): Promise<void>;
  get(tenant: TenantId, id: string): Promise<Run | undefined>;
  /** Newest first; at most `limit` (default 100). */
  list(tenant: TenantId, filter?: RunFilter): Promise<readonly Run[]>;
  /** Every run that has not ended, oldest first. */
  unended(): Promise<readonly Run[]>;
  counts(tenant: TenantId): Promise<readonly RunCount[]>;
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

const LIST_DEFAULT = 100;

export function runRecords(database: CatalogDatabase): RunRecords {
  return {
    save: (run) =>
      database.write(ofTenant(run.tenant), async (transaction) => {
        const { id, ...row } = rowOf(run);
        await transaction
          .insertInto('runs')
          .values({ id, ...row })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
          .execute();
        if (run.endedAtMs === undefined) return;
        await transaction
          .deleteFrom('runs')
          .where('tenant', '=', run.tenant)
          .where('ended_at_ms', 'is not', null)
          .where('id', '<=', (query) =>
            query
              .selectFrom('runs')
              .select('id')
              .where('tenant', '=', run.tenant)
              .where('ended_at_ms', 'is not', null)
              .orderBy('id', 'desc')
              .limit(1)
              .offset(ENDED_RUNS_MAX),
          )
          .execute();
      }),

    get: (tenant, id) =>
      database.read(async (db) => {
        const query = db.selectFrom('runs').selectAll().where('tenant', '=', tenant).where('id', '=', id);
        const row = await query.executeTakeFirst();
        return row && runOf(row);
      }),

    list: (tenant, { stream, kind, state, limit = LIST_DEFAULT } = {}) =>
      database.read(async (db) => {
        let query = db.selectFrom('runs').selectAll().where('tenant', '=', tenant);
        if (stream !== undefined) query = query.where('stream', '=', stream);
        if (kind !== undefined) query = query.where('kind', '=', kind);
        if (state !== undefined) query = query.where('state', '=', state);
        return (await query.orderBy('id', 'desc').limit(limit).execute()).map(runOf);
      }),

    unended: () =>
      database.read(async (db) => {
        const query = db.selectFrom('runs').selectAll().where('ended_at_ms', 'is', null).orderBy('id');
        return (await query.execute()).map(runOf);
      }),

    counts: (tenant) =>
      database.read(async (db) => {
        const rows = await db
          .selectFrom('runs')
          .select((one) => ['kind', 'state', one.fn.countAll().as('count')])
          .where('tenant', '=', tenant)
          .groupBy(['kind', 'state'])
          .execute();
        return rows.map(({ kind, state, count }) => ({
          kind: kind as RunKind,
          state: state as RunState,
          count: Number(count),
        }));
      }),
  };
}

const json = (value: unknown): string => JSON.stringify(value ?? null);

const rowOf = (run: Run): RunRow => ({
  id: run.id,
  tenant: run.tenant,
  kind: run.kind,
  stream: run.stream,
  subject: run.subject ?? null,
  state: run.state,
  request: json(run.request),
  checkpoint: json(run.checkpoint),
  progress: json(run.progress),
  result: json(run.result),
  error: run.error && withoutNul(run.error),
  started_at_ms: run.startedAtMs,
  updated_at_ms: run.updatedAtMs,
  ended_at_ms: run.endedAtMs ?? null,
});

const runOf = (row: RunRow): Run => ({
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
