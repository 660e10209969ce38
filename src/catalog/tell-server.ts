import pg from 'pg';
import { driverOptions } from './postgres-pool.ts';
import { parsePostgresUrl } from './postgres-url.ts';

/** In words, which server answers; nothing is changed there. Rejects with what the driver says. */
export async function tellServer(setting: string): Promise<string> {
  const target = parsePostgresUrl(setting);
  const client = new pg.Client(driverOptions(target));
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; may: boolean }>(
      `SELECT current_setting('server_version') AS version,
         EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1)
           OR has_database_privilege(current_database(), 'CREATE') AS may`,
      [target.schema],
    );
    const { version, may } = rows[0]!;
    if (may) return `PostgreSQL ${version} at ${target.place}`;
    throw new Error(`the user may not make the schema ${target.schema} at ${target.place}`);
  } finally {
    await client.end().catch(() => undefined);
  }
}
