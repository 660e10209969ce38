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
import type { TenantId } from '../base/brand.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import type { DefinitionMemory } from './definition-memory.ts';
import type { BuildRow } from './tables.ts';

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

/** What is read comes from memory; a write is durable, and in memory, when it resolves. */
export interface BuildRecords {
  enter(build: Build): Promise<void>;
  get(key: BuildKey): Build | undefined;
  /** Builds that have not come to `done` or `gone`, oldest version first. */
  open(tenant?: TenantId): readonly Build[];
  /** What is not named stays; what was never entered stays away. */
  change(key: BuildKey, change: Partial<Pick<Build, 'state' | 'run' | 'offsets' | 'chunks'>>): Promise<void>;
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

const OPEN: readonly BuildState[] = ['waiting', 'building', 'swapped', 'abandoned'];

export function buildRecords(database: CatalogDatabase, memory: DefinitionMemory): BuildRecords {
  return {
    enter: (build) =>
      database.write(
        ofTenant(build.tenant),
        async (transaction) => {
          const row = rowOf(build);
          await transaction.insertInto('builds').values(row).execute();
          return row;
        },
        (row) => memory.keepBuild(buildOf(row)),
      ),
    get: (key) => memory.build(key),
    open: (tenant) => memory.builds(tenant).filter(({ state }) => OPEN.includes(state)),
    change: ({ tenant, rollup, version }, { state, run, offsets, chunks }) =>
      database.write(
        ofTenant(tenant),
        (transaction) =>
          transaction
            .updateTable('builds')
            .set({
              ...(state === undefined ? {} : { state }),
              ...(run === undefined ? {} : { run }),
              ...(offsets === undefined ? {} : { offsets: JSON.stringify(offsets) }),
              ...(chunks === undefined ? {} : { chunks: JSON.stringify(chunks) }),
            })
            .where('tenant', '=', tenant)
            .where('rollup', '=', rollup)
            .where('version', '=', version)
            .returningAll()
            .executeTakeFirst(),
        (row) => {
          if (row) memory.keepBuild(buildOf(row));
        },
      ),
    lastVersion: (tenant, rollup) => memory.lastBuild(tenant, rollup),
  };
}

const rowOf = (build: Build): BuildRow => ({
  tenant: build.tenant,
  rollup: build.rollup,
  version: build.version,
  replaces: build.replaces ?? null,
  stream: build.stream,
  document: JSON.stringify(build.document),
  state: build.state,
  run: build.run ?? null,
  offsets: JSON.stringify(build.offsets),
  chunks: null,
});

export const buildOf = (row: BuildRow): Build => ({
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
