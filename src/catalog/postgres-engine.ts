/** The catalog in a schema of a PostgreSQL database. */
import { Kysely, PostgresDialect, sql } from 'kysely';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import type { CatalogEngine } from './engine.ts';
import { INSTALLATION_SETTING } from './installation.ts';
import { migratePostgres } from './migrations.ts';
import { forgetDeletedRows } from './postgres-forget.ts';
import { outcomesOn } from './postgres-outcomes.ts';
import { CarefulPool } from './postgres-pool.ts';
import { type PostgresTarget, parsePostgresUrl } from './postgres-url.ts';
import type { Tables } from './tables.ts';

/** Brings the schema forward. Fails with `catalog-unavailable`, `catalog-mismatch` or `bad-request`. */
export async function openPostgres(
  url: string,
  clock: Clock,
  admit?: (installation: string | undefined) => Promise<void>,
): Promise<CatalogEngine> {
  const target = parsePostgresUrl(url);
  const pool = new CarefulPool(target, clock);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const translate = (error: unknown): unknown => (isAway(error) ? unavailable(target, error) : error);
  try {
    await admit?.(await installationOf(db));
    await migratePostgres(db, target.schema);
  } catch (error) {
    await db.destroy();
    throw translate(error);
  }
  return {
    kind: 'postgres',
    db,
    translate,
    isConflict: (error) => CONFLICTS.has(stateOf(error) ?? ''),
    // Only what the server itself refused is certain.
    mayBeCommitted: (error) => (error as { severity?: unknown } | null)?.severity !== 'ERROR',
    ...outcomesOn(db),
    ownerEpoch: async (transaction, setting) => {
      const row = await transaction
        .selectFrom('settings')
        .select('value')
        .where('name', '=', setting)
        .forShare()
        .executeTakeFirst();
      return row?.value;
    },
    forgetDeleted: () => forgetDeletedRows(target),
    close: () => db.destroy(),
  };
}

/** Before it is known whether there are tables. */
async function installationOf(db: Kysely<Tables>): Promise<string | undefined> {
  const known = await sql<{ there: boolean }>`SELECT to_regclass('settings') IS NOT NULL AS there`.execute(
    db,
  );
  if (!known.rows[0]?.there) return undefined;
  const query = db.selectFrom('settings').select('value').where('name', '=', INSTALLATION_SETTING);
  return (await query.executeTakeFirst())?.value;
}

/** The same row was made, or two waited for each other. */
const CONFLICTS = new Set(['23505', '40001', '40P01']);

/** Of SQLSTATE: lost connections, no resources, an operator's hand, broken disks, a server that only reads, no access. */
const AWAY = /^(08|53|57|58|28)|^(25006|55P03|3D000)$/;

const stateOf = (error: unknown): string | undefined => {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof severity === 'string' && typeof code === 'string' ? code : undefined;
};

/** What the server did not say itself comes from the connection to it. */
function isAway(error: unknown): boolean {
  if (error instanceof MillraceError || error instanceof SyntaxError || error instanceof TypeError)
    return false;
  const state = stateOf(error);
  return state === undefined ? isOfConnection(error) : AWAY.test(state);
}

function isOfConnection(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (typeof code === 'string' && /^E[A-Z_]+$/.test(code)) return true;
  return /connection|timeout|socket|SSL|SASL|destroyed/i.test(String(message));
}

function unavailable({ place }: PostgresTarget, cause: unknown): MillraceError {
  const { code, message } = (cause ?? {}) as { code?: unknown; message?: unknown };
  const why = [message, code].filter((part) => typeof part === 'string' && part !== '').join(', ');
  return new MillraceError(
    'catalog-unavailable',
    'the database of the catalog does not answer, so that nothing was changed; events and questions go on; try again',
    // Where it is concerns the operator, who reads the log.
    { cause: new Error(`PostgreSQL at ${place}: ${why || 'no connection'}`), retryAfterSeconds: 5 },
  );
}
