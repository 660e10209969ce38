import pg from 'pg';
import { MillraceError } from '../base/errors.ts';
import { driverOptions } from './postgres-pool.ts';
import type { PostgresTarget } from './postgres-url.ts';
import { TABLE_NAMES } from './tables.ts';

/** While it waits for those who read a table, everybody else waits behind it. */
const LOCK_MS_MAX = 2_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Writes the tables again without what was deleted, and the planner's samples of their values too. The server's write-ahead
 * log and backups are its operator's. On a connection of its own, because it may take longer than any question.
 */
export async function forgetDeletedRows(target: PostgresTarget): Promise<void> {
  const client = new pg.Client(driverOptions(target));
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET search_path TO "${target.schema}"; SET lock_timeout TO ${LOCK_MS_MAX}`);
    for (const table of TABLE_NAMES) await client.query(`VACUUM (FULL, ANALYZE) "${table}"`);
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== LOCK_NOT_AVAILABLE) throw error;
    throw new MillraceError(
      'conflict',
      'somebody reads the tables of the catalog, a backup perhaps, so that what was removed cannot be overwritten yet; repeat the removal when that has ended',
    );
  } finally {
    await client.end();
  }
}
