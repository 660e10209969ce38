import type { Database } from 'libsql';
import { BUILDS_TABLE } from './builds.ts';
import { LEDGER_TABLES } from './ledger.ts';
import { RUNS_TABLE } from './runs.ts';

/**
 * The layout of the catalog, one step after another; a step that was released is never changed.
 *
 * definitions  every version of every definition, for ever: earlier versions explain what is stored.
 *              A removal is a version too (removed = 1), so that a name made again goes on counting.
 * settings     small durable values by name.
 * runs         long pieces of work: what was asked for, how far it came, how it ended.
 * builds       rollups that are being built; see builds.ts.
 * ledger       what the ledger has sealed, a row for each partition and minute of arrival; see ledger.ts.
 * tenants, keys, audit  see tenancy.ts. `secrets` and `document` are JSON.
 */
const STEPS: readonly string[] = [
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
];

/** Brings the file forward, each step whole or not at all. Refuses a file that a newer version has written. */
export function migrate(database: Database, path: string): void {
  const [row] = database.pragma('user_version') as { user_version: number }[];
  const standing = row?.user_version ?? 0;
  if (standing > STEPS.length) {
    throw new Error(
      `the catalog ${path} has layout ${standing}, this version knows ${STEPS.length}: run the newer version that wrote it`,
    );
  }
  STEPS.slice(standing).forEach((step, index) => {
    database
      .transaction(() => {
        database.exec(step);
        database.exec(`PRAGMA user_version = ${standing + index + 1}`);
      })
      .immediate();
  });
}
