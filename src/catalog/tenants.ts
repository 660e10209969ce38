/** Tenants as rows of SQLite, and how everything of one is removed. */
import type { Database } from 'libsql';
import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { refuseUnlessVersion } from './precondition.ts';
import type { TenantRecord, TenantRecords, TenantState } from './tenancy.ts';

interface Row {
  readonly name: string;
  readonly version: number;
  readonly state: string;
  readonly document: string;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
}

/** Tables whose rows belong to one tenant each. */
const TENANTS_TABLES = ['definitions', 'runs', 'builds', 'ledger', 'ledger_forgotten', 'keys'] as const;

export function tenantRecords(
  database: Database,
  clock: Clock,
  onPurge: (tenant: TenantId) => void,
): TenantRecords {
  const every = database.prepare('SELECT * FROM tenants ORDER BY name');
  const one = database.prepare('SELECT * FROM tenants WHERE name = ?');
  const write = database.prepare(
    `INSERT INTO tenants (name, version, state, document, created_at_ms, updated_at_ms) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET version = excluded.version, state = excluded.state,
       document = excluded.document, updated_at_ms = excluded.updated_at_ms`,
  );
  const rowOf = (name: TenantId): Row | undefined => one.get(name) as Row | undefined;
  const enterDefault = (): void => {
    if (!rowOf(DEFAULT_TENANT)) write.run(DEFAULT_TENANT, 1, 'active', '{}', clock.now(), clock.now());
  };
  database.transaction(enterDefault).immediate();

  return {
    list: async () => (every.all() as Row[]).map(recordOf),
    get: async (name) => {
      const row = rowOf(name);
      return row && recordOf(row);
    },

    async put(name, change, ifVersion) {
      const document = JSON.stringify(change.document);
      database
        .transaction(() => {
          const row = rowOf(name);
          refuseUnlessVersion('tenant', name, row?.version ?? 0, ifVersion);
          if (row?.state === change.state && row.document === document) return;
          write.run(name, (row?.version ?? 0) + 1, change.state, document, clock.now(), clock.now());
        })
        .immediate();
      return recordOf(rowOf(name)!);
    },

    async purge(name, alias) {
      // What is deleted is overwritten with zeros; what was changed or deleted before may still lie in free space.
      database.pragma('secure_delete = ON');
      try {
        database
          .transaction(() => {
            for (const table of TENANTS_TABLES)
              database.prepare(`DELETE FROM ${table} WHERE tenant = ?`).run(name);
            removeSettings(database, name);
            forgetInAudit(database, name, alias);
            database.prepare('DELETE FROM tenants WHERE name = ?').run(name);
            enterDefault();
          })
          .immediate();
        onPurge(name);
        truncateWal(database);
        database.exec('VACUUM');
        truncateWal(database);
      } finally {
        database.pragma('secure_delete = OFF');
      }
    },
  };
}

/** Settings of a tenant are named by a JSON array that has the tenant in the second place. */
function removeSettings(database: Database, tenant: TenantId): void {
  const names = database.prepare("SELECT name FROM settings WHERE name LIKE '[%'").all() as {
    name: string;
  }[];
  const remove = database.prepare('DELETE FROM settings WHERE name = ?');
  for (const { name } of names) if (isOf(name, tenant)) remove.run(name);
}

function isOf(setting: string, tenant: TenantId): boolean {
  try {
    const parts: unknown = JSON.parse(setting);
    return Array.isArray(parts) && parts[1] === tenant;
  } catch {
    return false;
  }
}

/** What was done and when stays; names of keys and streams, ids that a client chose and details go. */
function forgetInAudit(database: Database, tenant: TenantId, alias: string): void {
  database
    .prepare(
      `UPDATE audit SET tenant = ?, subject = CASE WHEN subject = ? THEN ? ELSE '' END, detail = '{}', request_id = NULL
       WHERE tenant = ? OR subject = ?`,
    )
    .run(alias, tenant, alias, tenant, tenant);
  database
    .prepare('UPDATE audit SET actor = ? WHERE substr(actor, 1, length(?)) = ?')
    .run(alias, `${tenant}/`, `${tenant}/`);
}

function truncateWal(database: Database): void {
  const [result] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (result?.busy !== 1) return;
  throw new MillraceError(
    'conflict',
    'another process reads the catalog, so that what was removed cannot be overwritten yet; end it and repeat the removal',
  );
}

const recordOf = (row: Row): TenantRecord => ({
  name: row.name as TenantId,
  version: row.version,
  state: row.state as TenantState,
  document: JSON.parse(row.document) as Record<string, unknown>,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
});
