/** Keys of tenants as rows of SQLite: hashes and what they allow, never a key itself. */
import type { Database } from 'libsql';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { refuseUnlessVersion } from './precondition.ts';
import type { KeyRecord, KeyRecords, KeySecret } from './tenancy.ts';

interface Row {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly secrets: string;
  readonly document: string;
  readonly created_at_ms: number;
  readonly updated_at_ms: number;
  readonly last_used_at_ms: number | null;
}

export function keyRecords(database: Database, clock: Clock): KeyRecords {
  const every = database.prepare('SELECT * FROM keys ORDER BY tenant, name');
  const one = database.prepare('SELECT * FROM keys WHERE tenant = ? AND name = ?');
  const write = database.prepare(
    `INSERT INTO keys (tenant, name, version, secrets, document, created_at_ms, updated_at_ms, last_used_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, NULL)
     ON CONFLICT (tenant, name) DO UPDATE SET version = excluded.version, secrets = excluded.secrets,
       document = excluded.document, updated_at_ms = excluded.updated_at_ms`,
  );
  const remove = database.prepare('DELETE FROM keys WHERE tenant = ? AND name = ?');
  const use = database.prepare(
    `UPDATE keys SET last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) WHERE tenant = ? AND name = ?`,
  );
  const tenantOf = database.prepare('SELECT 1 FROM tenants WHERE name = ?');
  const rowOf = (tenant: TenantId, name: string): Row | undefined => one.get(tenant, name) as Row | undefined;

  return {
    all: async () => (every.all() as Row[]).map(recordOf),

    async put(tenant, name, change, ifVersion) {
      const secrets = JSON.stringify(change.secrets);
      const document = JSON.stringify(change.document);
      database
        .transaction(() => {
          // Nothing of a tenant may come back once it was purged.
          if (!tenantOf.get(tenant)) throw new MillraceError('not-found', `there is no tenant "${tenant}"`);
          const row = rowOf(tenant, name);
          refuseUnlessVersion('key', name, row?.version ?? 0, ifVersion);
          if (row?.secrets === secrets && row.document === document) return;
          const version = (row?.version ?? 0) + 1;
          write.run(tenant, name, version, secrets, document, clock.now(), clock.now());
        })
        .immediate();
      return recordOf(rowOf(tenant, name)!);
    },

    async remove(tenant, name, ifVersion) {
      database
        .transaction(() => {
          refuseUnlessVersion('key', name, rowOf(tenant, name)?.version ?? 0, ifVersion);
          remove.run(tenant, name);
        })
        .immediate();
    },

    async used(uses) {
      if (uses.length === 0) return;
      database
        .transaction(() => {
          for (const { tenant, name, atMs } of uses) use.run(atMs, tenant, name);
        })
        .immediate();
    },
  };
}

const recordOf = (row: Row): KeyRecord => ({
  tenant: row.tenant as TenantId,
  name: row.name,
  version: row.version,
  secrets: JSON.parse(row.secrets) as KeySecret[],
  document: JSON.parse(row.document) as Record<string, unknown>,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
  lastUsedAtMs: row.last_used_at_ms,
});
