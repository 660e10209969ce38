/**
 * A catalog that another owner has opened since is not written to any more: what this process has read of it may be
 * old. The epoch of the owner stands in the file, and triggers of this connection compare it in the transaction of each
 * write, so no pause between asking and writing can slip through.
 */
import type { Database } from 'libsql';

const EPOCH_SETTING = 'owner_epoch';
/** The one before may be in the middle of a write. */
const WAIT_MS = 5_000;

/** From now on only this connection may write, until an owner with another epoch comes. Epoch 0 fences nobody. */
export function fenceCatalog(database: Database, epoch: number): void {
  if (epoch === 0) return;
  database.pragma(`busy_timeout = ${WAIT_MS}`);
  database
    .prepare(
      'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    )
    .run(EPOCH_SETTING, String(epoch));
  const tables = database
    .prepare("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all() as { name: string }[];
  for (const { name } of tables) {
    for (const change of ['INSERT', 'UPDATE', 'DELETE']) {
      database.exec(
        `CREATE TEMP TRIGGER "fence_${change}_${name}" BEFORE ${change} ON main."${name}"
         WHEN (SELECT value FROM main.settings WHERE name = '${EPOCH_SETTING}') IS NOT '${epoch}'
         BEGIN SELECT RAISE(ABORT, 'fenced: another process has taken over the catalog; this one is stopping'); END`,
      );
    }
  }
}
