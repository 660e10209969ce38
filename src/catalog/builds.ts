/**
 * Rollups that are being built. A build is entered before its table is made and ends in the same transaction in which
 * its rollup begins to stand, so that after a crash every table is either somebody's or known to be nobody's.
 *
 *   waiting ─table made─▶ building ─swap─▶ swapped ─old table dropped─▶ done
 *      └────────────┬────────┘
 *                   └─cancelled, failed─▶ abandoned ─own table dropped─▶ gone
 *
 * Ended builds are kept: a version, once handed out, is never handed out again, and neither is its table.
 */
import type { Database } from 'libsql';
import type { TenantId } from '../base/brand.ts';

export type BuildState = 'waiting' | 'building' | 'swapped' | 'done' | 'abandoned' | 'gone';

export interface Build {
  readonly tenant: TenantId;
  readonly rollup: string;
  readonly version: number;
  /** The version that stands until then; undefined for a new rollup. */
  readonly replaces: number | undefined;
  readonly stream: string;
  /** The rollup as it will be. */
  readonly document: unknown;
  readonly state: BuildState;
  /** The run that does it. */
  readonly run: string | undefined;
  /** Applied offset of each log partition when the table was made: events below are filled in, those from there on come by ingest. */
  readonly offsets: readonly number[];
  /** How the filling is cut into inserts; undefined before it is fixed. */
  readonly chunks: unknown;
}

export interface BuildKey {
  readonly tenant: TenantId;
  readonly rollup: string;
  readonly version: number;
}

export interface BuildRecords {
  enter(build: Build): void;
  get(key: BuildKey): Build | undefined;
  /** Builds that have not come to `done` or `gone`, oldest version first. */
  open(tenant?: TenantId): readonly Build[];
  change(key: BuildKey, change: Partial<Pick<Build, 'state' | 'run' | 'offsets' | 'chunks'>>): void;
  /** Greatest version that a build of this name was given; 0 when there was none. */
  lastVersion(tenant: TenantId, rollup: string): number;
}

export const BUILDS_TABLE = `CREATE TABLE builds (
     tenant   TEXT    NOT NULL,
     rollup   TEXT    NOT NULL,
     version  INTEGER NOT NULL,
     replaces INTEGER,
     stream   TEXT    NOT NULL,
     document TEXT    NOT NULL,
     state    TEXT    NOT NULL,
     run      TEXT,
     offsets  TEXT    NOT NULL,
     chunks   TEXT,
     PRIMARY KEY (tenant, rollup, version)
   ) WITHOUT ROWID;
   CREATE INDEX builds_by_state ON builds (tenant, state);`;

interface Row {
  readonly tenant: string;
  readonly rollup: string;
  readonly version: number;
  readonly replaces: number | null;
  readonly stream: string;
  readonly document: string;
  readonly state: string;
  readonly run: string | null;
  readonly offsets: string;
  readonly chunks: string | null;
}

export function buildRecords(database: Database, onChange: (tenant: TenantId) => void): BuildRecords {
  const insert = database.prepare(
    'INSERT INTO builds (tenant, rollup, version, replaces, stream, document, state, run, offsets, chunks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)',
  );
  const one = database.prepare('SELECT * FROM builds WHERE tenant = ? AND rollup = ? AND version = ?');
  const open = database.prepare(
    "SELECT * FROM builds WHERE (? IS NULL OR tenant = ?) AND state IN ('waiting', 'building', 'swapped', 'abandoned') ORDER BY version, rollup",
  );
  const update = database.prepare(
    'UPDATE builds SET state = coalesce(?, state), run = coalesce(?, run), offsets = coalesce(?, offsets), chunks = coalesce(?, chunks) WHERE tenant = ? AND rollup = ? AND version = ?',
  );
  const last = database.prepare('SELECT max(version) AS version FROM builds WHERE tenant = ? AND rollup = ?');

  return {
    enter(build) {
      insert.run(
        ...[build.tenant, build.rollup, build.version, build.replaces ?? null, build.stream],
        ...[JSON.stringify(build.document), build.state, build.run ?? null, JSON.stringify(build.offsets)],
      );
      onChange(build.tenant);
    },
    get({ tenant, rollup, version }) {
      const row = one.get(tenant, rollup, version) as Row | undefined;
      return row && buildOf(row);
    },
    open: (tenant) => (open.all(tenant ?? null, tenant ?? null) as Row[]).map(buildOf),
    change({ tenant, rollup, version }, { state, run, offsets, chunks }) {
      const json = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
      update.run(state ?? null, run ?? null, json(offsets), json(chunks), tenant, rollup, version);
      onChange(tenant);
    },
    lastVersion: (tenant, rollup) => (last.get(tenant, rollup) as { version: number | null }).version ?? 0,
  };
}

const buildOf = (row: Row): Build => ({
  tenant: row.tenant as TenantId,
  rollup: row.rollup,
  version: row.version,
  replaces: row.replaces ?? undefined,
  stream: row.stream,
  document: JSON.parse(row.document),
  state: row.state as BuildState,
  run: row.run ?? undefined,
  offsets: JSON.parse(row.offsets) as number[],
  chunks: row.chunks === null ? undefined : JSON.parse(row.chunks),
});
