/** Tenants as rows, and how everything of one is removed. */
import { type Kysely, sql } from 'kysely';
import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import { refuseUnlessVersion } from './precondition.ts';
import type { Settings } from './settings.ts';
import type { Tables, TenantRow } from './tables.ts';
import type { TenantRecord, TenantRecords, TenantState } from './tenancy.ts';

/** Tables whose rows belong to one tenant each. */
const TENANTS_TABLES = [
  'definitions',
  'runs',
  'builds',
  'ledger',
  'ledger_forgotten',
  'keys',
  'state',
] as const;
const NAMES_AT_ONCE = 500;

export interface RunningTenantRecords extends TenantRecords {
  /** Enters the tenant that is always there. */
  enterDefault(): Promise<void>;
}

export function tenantRecords(
  database: CatalogDatabase,
  settings: Settings,
  clock: Clock,
  forget: (tenant: TenantId) => void,
): RunningTenantRecords {
  const rowOf = (db: Kysely<Tables>, name: TenantId) =>
    db.selectFrom('tenants').selectAll().where('name', '=', name).executeTakeFirst();

  const enterDefault = async (db: Kysely<Tables>): Promise<void> => {
    const now = { created_at_ms: clock.now(), updated_at_ms: clock.now() };
    await db
      .insertInto('tenants')
      .values({ name: DEFAULT_TENANT, version: 1, state: 'active', document: '{}', ...now })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
  };

  return {
    enterDefault: async () => {
      if (!(await database.read((db) => rowOf(db, DEFAULT_TENANT))))
        await database.write(ofTenant(DEFAULT_TENANT), enterDefault);
    },

    list: () =>
      database.read(async (db) =>
        (await db.selectFrom('tenants').selectAll().orderBy('name').execute()).map(recordOf),
      ),

    get: (name) =>
      database.read(async (db) => {
        const row = await rowOf(db, name);
        return row && recordOf(row);
      }),

    put: (name, change, ifVersion) =>
      database.write(
        ofTenant(name),
        async (transaction) => {
          const document = JSON.stringify(change.document);
          const row = await rowOf(transaction, name);
          refuseUnlessVersion('tenant', name, row?.version ?? 0, ifVersion);
          if (row?.state === change.state && row.document === document) return row;
          const now = clock.now();
          const next = {
            version: (row?.version ?? 0) + 1,
            state: change.state,
            document,
            updated_at_ms: now,
          };
          if (!row) {
            await transaction
              .insertInto('tenants')
              .values({ name, created_at_ms: now, ...next })
              .execute();
            return { name, created_at_ms: now, ...next };
          }
          await transaction.updateTable('tenants').set(next).where('name', '=', name).execute();
          return { ...row, ...next };
        },
        recordOf,
      ),

    async purge(name, alias) {
      await database.write(
        ofTenant(name),
        async (transaction) => {
          for (const table of TENANTS_TABLES)
            await transaction.deleteFrom(table).where('tenant', '=', name).execute();
          const names = settings.names(name);
          for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
            const some = names.slice(at, at + NAMES_AT_ONCE);
            await transaction.deleteFrom('settings').where('name', 'in', some).execute();
          }
          await forgetInAudit(transaction, name, alias);
          await transaction.deleteFrom('tenants').where('name', '=', name).execute();
          await enterDefault(transaction);
          return names;
        },
        (names) => {
          settings.forget(names);
          forget(name);
        },
      );
      // What was changed or deleted before may still lie in free space.
      await database.forgetDeleted();
    },
  };
}

/** What was done and when stays; names of keys and streams, ids that a client chose and details go. */
async function forgetInAudit(db: Kysely<Tables>, tenant: TenantId, alias: string): Promise<void> {
  await sql`UPDATE audit SET subject = CASE WHEN subject = ${tenant} THEN ${alias} ELSE '' END,
    tenant = CASE WHEN tenant = ${tenant} THEN ${alias} ELSE tenant END, detail = '{}', request_id = NULL
    WHERE tenant = ${tenant} OR subject = ${tenant}`.execute(db);
  const prefix = `${tenant}/`;
  await sql`UPDATE audit SET actor = ${alias}, request_id = NULL
    WHERE substr(actor, 1, ${sql.raw(String(prefix.length))}) = ${prefix}`.execute(db);
}

const recordOf = (row: TenantRow): TenantRecord => ({
  name: row.name as TenantId,
  version: row.version,
  state: row.state as TenantState,
  document: JSON.parse(row.document) as Record<string, unknown>,
  createdAtMs: row.created_at_ms,
  updatedAtMs: row.updated_at_ms,
});
