/**
 * Whether a transaction whose commit nobody answered was carried out.
 *
 * Each leaves a token of its own in a table: it is there when, and only when, the transaction is. The number that the
 * server gives it says only whether it is still under way; after a crash the server gives a number again, when nothing of
 * the one who had it had reached the disk.
 */
import { type Kysely, sql } from 'kysely';
import type { CatalogEngine } from './engine.ts';
import type { Tables } from './tables.ts';

export const OUTCOMES_TABLE =
  'CREATE TABLE IF NOT EXISTS outcomes (token UUID NOT NULL PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now())';
/** Of processes that ended before they could forget them. */
export const FORGET_OLD_OUTCOMES = "DELETE FROM outcomes WHERE at < now() - INTERVAL '1 day'";

/** Its number is one that the server has not given yet: it has died since, and knows nothing of it. */
const NUMBER_OF_FUTURE = '22023';

export function outcomesOn(
  db: Kysely<Tables>,
): Pick<CatalogEngine, 'enterOutcome' | 'outcome' | 'forgetOutcome'> {
  let known: string[] = [];
  return {
    enterOutcome: async (transaction) => {
      const forgotten = known;
      known = [];
      const { rows } = await sql<{ id: string }>`
        WITH forgotten AS (DELETE FROM outcomes WHERE token = ANY(${forgotten}::uuid[]))
        INSERT INTO outcomes (token) VALUES (gen_random_uuid())
        RETURNING txid_current()::text || ' ' || token AS id`.execute(transaction);
      return rows[0]!.id;
    },
    outcome: async (id) => {
      const [number, token] = id.split(' ');
      if ((await statusOf(db, number!)) === 'in progress') return 'in progress';
      // Asked afterwards: from here on nothing changes it.
      const { rows } = await sql<{ there: boolean }>`
        SELECT EXISTS (SELECT 1 FROM outcomes WHERE token = ${token}::uuid) AS there`.execute(db);
      return rows[0]!.there ? 'committed' : 'aborted';
    },
    forgetOutcome: (id) => void known.push(id.split(' ')[1]!),
  };
}

async function statusOf(db: Kysely<Tables>, number: string): Promise<string | null> {
  try {
    const { rows } = await sql<{ status: string | null }>`
      SELECT txid_status(${number}::bigint) AS status`.execute(db);
    return rows[0]!.status;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === NUMBER_OF_FUTURE) return null;
    throw error;
  }
}
