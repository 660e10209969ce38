/** Keys of tenants as rows: hashes and what they allow, never a key itself. */
import { type Kysely, sql } from 'kysely';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type CatalogDatabase, OF_INSTALLATION, ofTenant } from './database.ts';
import { refuseUnlessVersion } from './precondition.ts';
import type { KeyRow, Tables } from './tables.ts';
import type { KeyRecord, KeyRecords, KeySecret } from './tenancy.ts';

export function keyRecords(database: CatalogDatabase, clock: Clock): KeyRecords {
  const rowOf = (db: Kysely<Tables>, tenant: TenantId, name: string) =>
    db
      .selectFrom('keys')
      .selectAll()
      .where('tenant', '=', tenant)
      .where('name', '=', name)
      .executeTakeFirst();

  /** Nothing of a tenant may come back once it was purged. */
  const refuseUnlessTenant = async (db: Kysely<Tables>, tenant: TenantId): Promise<void> => {
    const row = await db.selectFrom('tenants').select('name').where('name', '=', tenant).executeTakeFirst();
    if (!row) throw new MillraceError('not-found', `there is no tenant "${tenant}"`);
  };

  return {
    all: () =>
      database.read(async (db) => {
        const rows = await db.selectFrom('keys').selectAll().orderBy('tenant').orderBy('name').execute();
        return rows.map(recordOf);
      }),

    put: (tenant, name, change, ifVersion) =>
      database.write(
        ofTenant(tenant),
        async (transaction) => {
          await refuseUnlessTenant(transaction, tenant);
          const row = await rowOf(transaction, tenant, name);
          refuseUnlessVersion('key', name, row?.version ?? 0, ifVersion);
          const secrets = JSON.stringify(change.secrets);
          const document = JSON.stringify(change.document);
          if (row?.secrets === secrets && row.document === document) return row;
          const now = clock.now();
          const next = { version: (row?.version ?? 0) + 1, secrets, document, updated_at_ms: now };
          if (row) {
            const update = transaction.updateTable('keys').set(next).where('tenant', '=', tenant);
            await update.where('name', '=', name).execute();
            return { ...row, ...next };
          }
          const made = { tenant, name, created_at_ms: now, last_used_at_ms: null, ...next };
          await transaction.insertInto('keys').values(made).execute();
          return made;
        },
        recordOf,
      ),

    remove: (tenant, name, ifVersion) =>
      database.write(ofTenant(tenant), async (transaction) => {
        refuseUnlessVersion('key', name, (await rowOf(transaction, tenant, name))?.version ?? 0, ifVersion);
        const query = transaction.deleteFrom('keys').where('tenant', '=', tenant);
        await query.where('name', '=', name).execute();
      }),

    async used(uses) {
      if (uses.length === 0) return;
      await database.write(OF_INSTALLATION, async (transaction) => {
        for (const { tenant, name, atMs } of uses) {
          await sql`UPDATE keys SET last_used_at_ms = ${atMs} WHERE tenant = ${tenant} AND name = ${name}
            AND (last_used_at_ms IS NULL OR last_used_at_ms < ${atMs})`.execute(transaction);
        }
      });
    },
  };
}

const recordOf = (row: KeyRow): KeyRecord => ({
  tenant: row.tenant as TenantId,
  name: row.name,
  version: row.version,
  secrets: JSON.parse(row.secrets) as KeySecret[],
  document: JSON.parse(row.document) as Record<string, unknown>,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
  lastUsedAtMs: row.last_used_at_ms,
});
