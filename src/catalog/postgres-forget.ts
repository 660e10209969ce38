import pg from 'pg';
import { driverOptions } from './postgres-pool.ts';
import type { PostgresTarget } from './postgres-url.ts';
import { TABLE_NAMES } from './tables.ts';

/**
 * Writes the tables again without what was deleted, and the planner's samples of their values too. The server's write-ahead
 * log and backups are its operator's. On a connection of its own, because it may take longer than any question.
 */
export async function forgetDeletedRows(target: PostgresTarget): Promise<void> {
  const client = new pg.Client(driverOptions(target));
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET search_path TO "${target.schema}"`);
    for (const table of TABLE_NAMES) await client.query(`VACUUM (FULL, ANALYZE) "${table}"`);
  } finally {
    await client.end();
  }
}
