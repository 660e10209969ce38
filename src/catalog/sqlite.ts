import Database from 'libsql';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type Ownership, unowned } from '../base/ownership.ts';
import { parseRollup, parseStream, toDocument } from '../define/index.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import { auditRecords } from './audit.ts';
import { buildRecords } from './builds.ts';
import { fenceCatalog } from './fence.ts';
import { keyRecords } from './keys.ts';
import { ledgerRecords } from './ledger.ts';
import { migrate } from './migrations.ts';
import type { Catalog, Definition, Versioned } from './port.ts';
import { refuseUnlessVersion } from './precondition.ts';
import { runRecords } from './runs.ts';
import { tenantRecords } from './tenants.ts';

interface Row {
  readonly name: string;
  readonly version: number;
  readonly document: string;
  readonly updated_at_ms: number;
  readonly removed: number;
}

const HISTORY_DEFAULT = 100;

/** What stands for one tenant, parsed. Dropped whole when something of the tenant changes. */
interface Standing {
  readonly streams: ReadonlyMap<string, Versioned<StreamDefinition>>;
  readonly rollups: ReadonlyMap<string, Versioned<RollupDefinition>>;
  readonly building: readonly Versioned<RollupDefinition>[];
  /** Earlier versions that were asked for: `[name][version]`. */
  readonly earlier: Map<string, Map<number, StreamDefinition>>;
}

/**
 * The catalog in one SQLite file in a directory that exists (`:memory:` for a test). A write is durable when it returns. One process
 * owns the file: what it has read stays in memory, so that looking up a definition costs a map's `get`.
 *
 * @example
 * const catalog = openCatalog('/var/lib/millrace/catalog.db', systemClock);
 */
export function openCatalog(path: string, clock: Clock, owner: Pick<Ownership, 'epoch'> = unowned): Catalog {
  const database = new Database(path);
  // FULL makes each commit wait for the disk: an acknowledged change survives a power cut.
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  migrate(database, path);
  fenceCatalog(database, owner.epoch);

  const newest = database.prepare(
    'SELECT name, version, document, updated_at_ms, removed FROM definitions WHERE tenant = ? AND kind = ? AND name = ? ORDER BY version DESC LIMIT 1',
  );
  const newestOfAll = database.prepare(
    `SELECT name, version, document, updated_at_ms, removed FROM definitions AS d WHERE tenant = ? AND kind = ?
       AND version = (SELECT max(version) FROM definitions WHERE tenant = d.tenant AND kind = d.kind AND name = d.name)
     ORDER BY name`,
  );
  const ofVersion = database.prepare(
    "SELECT document FROM definitions WHERE tenant = ? AND kind = 'stream' AND name = ? AND version = ? AND removed = 0",
  );
  const insert = database.prepare(
    'INSERT INTO definitions (tenant, kind, name, version, document, author, updated_at_ms, removed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const versionsOf = database.prepare(
    'SELECT version, document, author, updated_at_ms, removed FROM definitions WHERE tenant = ? AND kind = ? AND name = ? ORDER BY version DESC LIMIT ?',
  );
  const readSetting = database.prepare('SELECT value FROM settings WHERE name = ?');
  const writeSetting = database.prepare(
    'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );

  const ledger = ledgerRecords(database);
  const cache = new Map<TenantId, Standing>();
  const builds = buildRecords(database, (tenant) => void cache.delete(tenant));
  const standingOf = (tenant: TenantId): Standing => {
    let standing = cache.get(tenant);
    if (!standing) {
      const rows = (kind: Definition['kind']) =>
        (newestOfAll.all(tenant, kind) as Row[]).filter((row) => row.removed === 0);
      const streams = new Map(
        rows('stream').map((row) => [
          row.name,
          versioned(row, parseStream(row.name, JSON.parse(row.document))),
        ]),
      );
      const find = (name: string) => streams.get(name)?.definition;
      const rollups = new Map(
        rows('rollup').map((row) => [
          row.name,
          versioned(row, parseRollup(row.name, JSON.parse(row.document), find)),
        ]),
      );
      const building = builds
        .open(tenant)
        .filter((build) => build.state === 'building' && streams.has(build.stream))
        .map(({ rollup, version, document }) => {
          const row = { name: rollup, version, document: '', updated_at_ms: clock.now(), removed: 0 };
          return versioned(row, parseRollup(rollup, document, find));
        });
      standing = { streams, rollups, building, earlier: new Map() };
      cache.set(tenant, standing);
    }
    return standing;
  };
  const newestRow = (tenant: TenantId, kind: Definition['kind'], name: string) =>
    newest.get(tenant, kind, name) as Row | undefined;
  const lookUp = (tenant: TenantId, kind: Definition['kind'], name: string): Versioned | undefined =>
    (kind === 'stream' ? standingOf(tenant).streams : standingOf(tenant).rollups).get(name);

  const streamAfter = (tenant: TenantId, next: StreamDefinition | undefined) => (name: string) =>
    next?.name === name ? next : standingOf(tenant).streams.get(name)?.definition;

  const append = (
    tenant: TenantId,
    kind: Definition['kind'],
    name: string,
    version: number,
    document: string,
    author: string | undefined,
    removed: boolean,
  ) => {
    insert.run(tenant, kind, name, version, document, author ?? null, clock.now(), removed ? 1 : 0);
    cache.delete(tenant);
  };

  return {
    streams: (tenant) => [...standingOf(tenant).streams.values()],
    stream: (tenant, name) => standingOf(tenant).streams.get(name),
    rollups: (tenant) => [...standingOf(tenant).rollups.values()],
    rollup: (tenant, name) => standingOf(tenant).rollups.get(name),

    streamVersion(tenant, name, version) {
      const { streams, earlier } = standingOf(tenant);
      const current = streams.get(name);
      if (current?.version === version) return current.definition;
      const known = earlier.get(name)?.get(version);
      if (known) return known;
      const row = ofVersion.get(tenant, name, version) as Pick<Row, 'document'> | undefined;
      if (!row) return undefined;
      const definition = parseStream(name, JSON.parse(row.document));
      earlier.set(name, new Map(earlier.get(name)).set(version, definition));
      return definition;
    },

    nextVersion: (tenant, kind, name) =>
      1 +
      Math.max(
        newestRow(tenant, kind, name)?.version ?? 0,
        kind === 'rollup' ? builds.lastVersion(tenant, name) : 0,
      ),

    put(tenant, definition, { ifVersion, author } = {}) {
      const { kind, name } = definition;
      const document = JSON.stringify(toDocument(definition));
      database
        .transaction(() => {
          const row = newestRow(tenant, kind, name);
          refuseUnlessVersion(kind, name, row?.removed === 0 ? row.version : 0, ifVersion);
          if (row?.removed === 0 && row.document === document) return;
          append(tenant, kind, name, (row?.version ?? 0) + 1, document, author, false);
        })
        .immediate();
      return lookUp(tenant, kind, name)!;
    },

    remove(tenant, kind, name, { ifVersion, author } = {}) {
      database
        .transaction(() => {
          const row = newestRow(tenant, kind, name);
          refuseUnlessVersion(kind, name, row?.removed === 0 ? row.version : 0, ifVersion);
          if (!row || row.removed === 1) return;
          append(tenant, kind, name, row.version + 1, row.document, author, true);
          // A later stream of this name has a log and offsets of its own.
          if (kind === 'stream') ledger.clear(tenant, name);
        })
        .immediate();
    },

    history: async (tenant, kind, name, limit = HISTORY_DEFAULT) =>
      (versionsOf.all(tenant, kind, name, limit) as (Row & { readonly author: string | null })[]).map(
        (row) => ({
          version: row.version,
          author: row.author ?? undefined,
          updatedAtMs: row.updated_at_ms,
          removed: row.removed === 1,
          document: JSON.parse(row.document) as Record<string, unknown>,
        }),
      ),

    setting: (name) => (readSetting.get(name) as { value: string } | undefined)?.value,
    setSetting: (name, value) => void writeSetting.run(name, value),
    builds,
    building: (tenant) => standingOf(tenant).building,
    commitBuilds(tenant, keys, { stream, author } = {}) {
      const commit = database.transaction(() => {
        const row = stream && newestRow(tenant, 'stream', stream.name);
        if (stream) {
          const document = JSON.stringify(toDocument(stream));
          if (row?.document !== document)
            append(tenant, 'stream', stream.name, (row?.version ?? 0) + 1, document, author, false);
        }
        for (const key of keys) {
          const build = builds.get(key);
          const standing = newestRow(tenant, 'rollup', key.rollup);
          const version = standing?.removed === 0 ? standing.version : undefined;
          if (build?.state !== 'building' || build.replaces !== version) {
            throw new MillraceError(
              'conflict',
              `the rollup "${key.rollup}" was changed while it was being built; put it again`,
            );
          }
          const document = toDocument(parseRollup(key.rollup, build.document, streamAfter(tenant, stream)));
          append(tenant, 'rollup', key.rollup, key.version, JSON.stringify(document), author, false);
          builds.change(key, { state: 'swapped' });
        }
      });
      try {
        commit.immediate();
      } finally {
        // What was read inside a transaction that failed never was.
        cache.delete(tenant);
      }
    },
    runs: runRecords(database),
    ledger,
    tenants: tenantRecords(database, clock, (tenant) => void cache.delete(tenant)),
    keys: keyRecords(database, clock),
    audit: auditRecords(database, clock),
    close: () => void database.close(),
  };
}

const versioned = <D extends Definition>(row: Row, definition: D): Versioned<D> =>
  Object.freeze({
    definition,
    document: toDocument(definition) as Readonly<Record<string, unknown>>,
    version: row.version,
    updatedAtMs: row.updated_at_ms,
  });
