import { type Kysely, sql } from 'kysely';
import type { Database } from 'libsql';
import { MillraceError } from '../base/errors.ts';
import { BUILDS_TABLE } from './builds.ts';
import { LEDGER_TABLES } from './ledger.ts';
import { FORGET_OLD_OUTCOMES, OUTCOMES_TABLE } from './postgres-outcomes.ts';
import { RUNS_TABLE } from './runs.ts';
import type { Tables } from './tables.ts';

/**
 * The layout of the catalog, one step after another; a step that was released is never changed.
 * They are written for SQLite; `postgresStep` says what PostgreSQL calls the same.
 *
 * definitions  every version of every definition, for ever: earlier versions explain what is stored.
 *              A removal is a version too (removed = 1), so that a name made again goes on counting.
 * settings     small durable values by name.
 * runs         long pieces of work: what was asked for, how far it came, how it ended.
 * builds       rollups that are being built; see builds.ts.
 * ledger       what the ledger has sealed, a row for each partition and minute of arrival; see ledger.ts.
 * state        what stages remember of a tenant, as JSON by area and key; see state.ts.
 * tenants, keys, audit  see tenancy.ts. `secrets` and `document` are JSON.
 */
export const STEPS: readonly string[] = [
  `CREATE TABLE definitions (
     tenant        TEXT    NOT NULL,
     kind          TEXT    NOT NULL CHECK (kind IN ('stream', 'rollup')),
     name          TEXT    NOT NULL,
     version       INTEGER NOT NULL CHECK (version > 0),
     document      TEXT    NOT NULL,
     author        TEXT,
     updated_at_ms INTEGER NOT NULL,
     removed       INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (tenant, kind, name, version)
   ) WITHOUT ROWID;
   CREATE TABLE settings (
     name  TEXT NOT NULL PRIMARY KEY,
     value TEXT NOT NULL
   ) WITHOUT ROWID;`,
  RUNS_TABLE,
  LEDGER_TABLES,
  BUILDS_TABLE,
  `CREATE TABLE tenants (
     name          TEXT    NOT NULL PRIMARY KEY,
     version       INTEGER NOT NULL,
     state         TEXT    NOT NULL,
     document      TEXT    NOT NULL,
     created_at_ms INTEGER NOT NULL,
     updated_at_ms INTEGER NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE keys (
     tenant          TEXT    NOT NULL,
     name            TEXT    NOT NULL,
     version         INTEGER NOT NULL,
     secrets         TEXT    NOT NULL,
     document        TEXT    NOT NULL,
     created_at_ms   INTEGER NOT NULL,
     updated_at_ms   INTEGER NOT NULL,
     last_used_at_ms INTEGER,
     PRIMARY KEY (tenant, name)
   ) WITHOUT ROWID;
   CREATE TABLE audit (
     id         TEXT    NOT NULL PRIMARY KEY,
     at_ms      INTEGER NOT NULL,
     tenant     TEXT,
     actor      TEXT    NOT NULL,
     action     TEXT    NOT NULL,
     subject    TEXT    NOT NULL,
     detail     TEXT    NOT NULL,
     request_id TEXT,
     outcome    TEXT    NOT NULL
   ) WITHOUT ROWID;
   CREATE INDEX audit_by_time ON audit (at_ms);
   CREATE INDEX audit_by_tenant ON audit (tenant, id);`,
  `CREATE TABLE definitions_of_all_kinds (
     tenant        TEXT    NOT NULL,
     kind          TEXT    NOT NULL,
     name          TEXT    NOT NULL,
     version       INTEGER NOT NULL CHECK (version > 0),
     document      TEXT    NOT NULL,
     author        TEXT,
     updated_at_ms INTEGER NOT NULL,
     removed       INTEGER NOT NULL DEFAULT 0,
     PRIMARY KEY (tenant, kind, name, version)
   ) WITHOUT ROWID;
   INSERT INTO definitions_of_all_kinds
     SELECT tenant, kind, name, version, document, author, updated_at_ms, removed FROM definitions;
   DROP TABLE definitions;
   ALTER TABLE definitions_of_all_kinds RENAME TO definitions;
   CREATE TABLE state (
     tenant        TEXT    NOT NULL,
     area          TEXT    NOT NULL,
     key           TEXT    NOT NULL,
     value         TEXT    NOT NULL,
     updated_at_ms INTEGER NOT NULL,
     PRIMARY KEY (tenant, area, key)
   ) WITHOUT ROWID;`,
];

/** Brings the file forward, each step whole or not at all. Refuses a file that a newer version has written. */
export function migrateSqlite(database: Database, path: string): void {
  const [row] = database.pragma('user_version') as { user_version: number }[];
  const standing = row?.user_version ?? 0;
  refuseNewer(standing, path);
  STEPS.slice(standing).forEach((step, index) => {
    database
      .transaction(() => {
        database.exec(step);
        database.exec(`PRAGMA user_version = ${standing + index + 1}`);
      })
      .immediate();
  });
}

/** The same for a schema, which is the search path; two who come at a time wait for each other. */
export async function migratePostgres(db: Kysely<Tables>, schema: string): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`SELECT pg_advisory_xact_lock(hashtext(${`millrace catalog ${schema}`}))`.execute(transaction);
    const known = await sql<{ there: boolean }>`
      SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ${schema}) AS there`.execute(
      transaction,
    );
    // Who may not make schemas may still use one that was made for him.
    if (!known.rows[0]?.there) await sql`CREATE SCHEMA ${sql.id(schema)}`.execute(transaction);
    await sql`CREATE TABLE IF NOT EXISTS layout (one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)`.execute(
      transaction,
    );
    await sql`INSERT INTO layout (one, version) VALUES (1, 0) ON CONFLICT DO NOTHING`.execute(transaction);
    const { rows } = await sql<{ version: number }>`SELECT version FROM layout FOR UPDATE`.execute(
      transaction,
    );
    const standing = rows[0]?.version ?? 0;
    refuseNewer(standing, `in the schema ${schema}`);
    for (const step of STEPS.slice(standing)) {
      for (const statement of postgresStep(step)) await sql.raw(statement).execute(transaction);
    }
    for (const statement of [OUTCOMES_TABLE, FORGET_OLD_OUTCOMES])
      await sql.raw(statement).execute(transaction);
    await sql`UPDATE layout SET version = ${STEPS.length}`.execute(transaction);
  });
}

/** Numbers are 64 bits wide as in SQLite, and names are ordered by their bytes whatever the server's language is. */
export const postgresStep = (step: string): readonly string[] =>
  step
    .replaceAll('WITHOUT ROWID', '')
    .replaceAll(/\bINTEGER\b/g, 'BIGINT')
    .replaceAll(/\bTEXT\b/g, 'TEXT COLLATE "C"')
    .split(';')
    .filter((statement) => statement.trim() !== '');

function refuseNewer(standing: number, where: string): void {
  if (standing <= STEPS.length) return;
  throw new MillraceError(
    'catalog-mismatch',
    `the catalog ${where} has layout ${standing}, this version knows ${STEPS.length}: run the newer version that wrote it`,
  );
}
