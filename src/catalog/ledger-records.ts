/** The rows of the ledger, on either engine. */
import { type Kysely, sql } from 'kysely';
import type { Offset, PartitionKey, TenantId } from '../base/brand.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import type { ForgettingTable, LedgerRecords, LedgerRow, LedgerSummary } from './ledger.ts';
import type { LedgerMemory } from './ledger-memory.ts';
import { conditions, findRows, HOUR_MS, mergeRows, rowOf, tableRowOf } from './ledger-rows.ts';
import type { LedgerTableRow, Tables } from './tables.ts';

const KEY = ['tenant', 'stream', 'start_ms', 'partition'] as const;
/** Rows of one statement: an engine takes so many values at a time. */
const INSERTED_AT_ONCE = 500;

export function ledgerRecords(database: CatalogDatabase, memory: LedgerMemory): LedgerRecords {
  // Without the hint SQLite may walk through all rows of a stream for the few that are open.
  const openIndex = sql.raw(database.engine.kind === 'sqlite' ? 'INDEXED BY ledger_open' : '');

  /** Changes rows of a stream, and brings what is known of them in memory up to it. */
  const change = <T>(
    tenant: TenantId,
    stream: string,
    work: (transaction: Kysely<Tables>) => Promise<T>,
  ): Promise<T> =>
    database.write(
      ofTenant(tenant),
      async (transaction) => {
        const result = await work(transaction);
        return { result, summary: await summaryOf(transaction, tenant, stream) };
      },
      ({ result, summary }) => {
        memory.keepSummary(tenant, stream, summary);
        return result;
      },
    );

  const summaryOf = async (db: Kysely<Tables>, tenant: string, stream: string): Promise<LedgerSummary> => {
    const { rows } = await sql<{ rows: number; mismatched: number; stale: number; end_ms: number | null }>`
      SELECT count(*) AS rows,
        coalesce(sum(CASE WHEN balanced = 0 AND acknowledged = 0 THEN 1 ELSE 0 END), 0) AS mismatched,
        coalesce(sum(stale), 0) AS stale,
        (SELECT start_ms + width_ms FROM ledger WHERE tenant = ${tenant} AND stream = ${stream}
         ORDER BY start_ms DESC LIMIT 1) AS end_ms
      FROM ledger ${openIndex} WHERE tenant = ${tenant} AND stream = ${stream} AND (stale = 1 OR balanced = 0)`.execute(
      db,
    );
    return summaryFrom(rows[0]!);
  };

  const last = async (db: Kysely<Tables>, key: PartitionKey): Promise<LedgerRow | undefined> => {
    const row = await db
      .selectFrom('ledger')
      .selectAll()
      .where('tenant', '=', key.tenant)
      .where('stream', '=', key.stream)
      .where('partition', '=', key.partition)
      .orderBy('start_ms', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row && rowOf(row);
  };

  return {
    epoch: (tenant, stream) => memory.of(tenant, stream).epoch,
    summary: (tenant, stream) => memory.of(tenant, stream).summary,
    forgottenBefore: (tenant, stream, table) => memory.of(tenant, stream).forgotten[table] ?? 0,

    async record(tenant, stream, written, epoch) {
      const isPast = () => memory.of(tenant, stream).epoch !== epoch;
      if (isPast() || written.length === 0) return !isPast();
      return change(tenant, stream, async (transaction) => {
        // Something else may have had its turn before.
        if (isPast()) return false;
        await insertRows(
          transaction,
          written.map((row) => tableRowOf(tenant, stream, row)),
        );
        return true;
      });
    },

    rows: (tenant, stream, filter = {}) => database.read((db) => findRows(db, tenant, stream, filter)),
    last: (key) => database.read((db) => last(db, key)),

    sealedTo: (key) =>
      database.read(async (db) => {
        const { rows } = await sql<{ first: number | null }>`
          SELECT min(from_offset) AS first FROM ledger ${openIndex}
          WHERE tenant = ${key.tenant} AND stream = ${key.stream} AND ${sql.ref('partition')} = ${key.partition}
            AND (stale = 1 OR balanced = 0) AND (stale = 1 OR (balanced = 0 AND acknowledged = 0))`.execute(
          db,
        );
        const first = rows[0]?.first ?? undefined;
        return (first ?? (await last(db, key))?.to ?? 0) as Offset;
      }),

    mark: (tenant, stream, range, as) =>
      change(tenant, stream, async (transaction) => {
        memory.nextEpoch(tenant, stream);
        let query = transaction
          .updateTable('ledger')
          .set(as === 'stale' ? { stale: 1 } : { acknowledged: 1 });
        for (const condition of conditions(tenant, stream, range)) query = query.where(condition);
        if (as === 'acknowledged') query = query.where('balanced', '=', 0);
        return Number((await query.executeTakeFirst()).numUpdatedRows);
      }),

    mergeToHours(tenant, stream, beforeMs, limit) {
      const before = Math.floor(beforeMs / HOUR_MS) * HOUR_MS;
      const hour = sql.raw(`start_ms / ${HOUR_MS} * ${HOUR_MS}`);
      const find = async (db: Kysely<Tables>) => {
        const { rows } = await sql<{ partition: number; hour: number }>`
          SELECT ${sql.ref('partition')}, ${hour} AS hour FROM ledger
          WHERE tenant = ${tenant} AND stream = ${stream} AND start_ms < ${before} AND width_ms < ${sql.raw(String(HOUR_MS))}
          GROUP BY ${sql.ref('partition')}, ${hour} HAVING min(balanced) = 1 AND max(stale) = 0
          ORDER BY 2, 1 LIMIT ${limit}`.execute(db);
        return rows;
      };
      const merge = async (transaction: Kysely<Tables>): Promise<number> => {
        const hours = await find(transaction);
        for (const { partition, hour: startMs } of hours) {
          const range = { fromMs: startMs, toMs: startMs + HOUR_MS, partition };
          const minutes = await findRows(transaction, tenant, stream, range);
          let query = transaction.deleteFrom('ledger');
          for (const condition of conditions(tenant, stream, range)) query = query.where(condition);
          await query.execute();
          await insertRows(transaction, [tableRowOf(tenant, stream, mergeRows(minutes, startMs, HOUR_MS))]);
        }
        return hours.length;
      };
      return database.read(find).then((hours) => (hours.length === 0 ? 0 : change(tenant, stream, merge)));
    },

    setForgottenBefore: (tenant, stream, table, beforeMs) =>
      database.write(
        ofTenant(tenant),
        async (transaction) => {
          const latest = Math.max(beforeMs, memory.of(tenant, stream).forgotten[table] ?? 0);
          await transaction
            .insertInto('ledger_forgotten')
            .values({ tenant, stream, what: table, before_ms: latest })
            .onConflict((conflict) =>
              conflict.columns(['tenant', 'stream', 'what']).doUpdateSet({ before_ms: latest }),
            )
            .execute();
          return latest;
        },
        (latest) => memory.keepForgotten(tenant, stream, table, latest),
      ),

    clear: (tenant, stream) =>
      database.write(
        ofTenant(tenant),
        (transaction) => clearLedger(transaction, tenant, stream),
        () => memory.clear(tenant, stream),
      ),
  };
}

/** What the ledger knows of a stream goes, within a transaction; memory is to be cleared when that is durable. */
export async function clearLedger(db: Kysely<Tables>, tenant: TenantId, stream: string): Promise<void> {
  for (const table of ['ledger', 'ledger_forgotten'] as const)
    await db.deleteFrom(table).where('tenant', '=', tenant).where('stream', '=', stream).execute();
}

export async function loadLedger(db: Kysely<Tables>, memory: LedgerMemory): Promise<void> {
  for (const row of await db.selectFrom('ledger_forgotten').selectAll().execute())
    memory.keepForgotten(row.tenant, row.stream, row.what as ForgettingTable, row.before_ms);
  // The newest row of each stream is found by its key; the open ones are few, and have an index.
  const { rows } = await sql<{
    tenant: string;
    stream: string;
    rows: number;
    mismatched: number;
    stale: number;
    end_ms: number | null;
  }>`
    SELECT of.tenant AS tenant, of.name AS stream,
      coalesce(unsolved.rows, 0) AS rows, coalesce(unsolved.mismatched, 0) AS mismatched,
      coalesce(unsolved.stale, 0) AS stale,
      (SELECT start_ms + width_ms FROM ledger WHERE tenant = of.tenant AND stream = of.name
       ORDER BY start_ms DESC LIMIT 1) AS end_ms
    FROM (SELECT DISTINCT tenant, name FROM definitions WHERE kind = 'stream') AS of
    LEFT JOIN (
      SELECT tenant, stream, count(*) AS rows,
        sum(CASE WHEN balanced = 0 AND acknowledged = 0 THEN 1 ELSE 0 END) AS mismatched, sum(stale) AS stale
      FROM ledger WHERE stale = 1 OR balanced = 0 GROUP BY tenant, stream
    ) AS unsolved ON unsolved.tenant = of.tenant AND unsolved.stream = of.name`.execute(db);
  for (const row of rows) memory.keepSummary(row.tenant, row.stream, summaryFrom(row));
}

const summaryFrom = (row: {
  readonly rows: number;
  readonly mismatched: number;
  readonly stale: number;
  readonly end_ms: number | null;
}): LedgerSummary => ({
  rows: Number(row.rows),
  mismatched: Number(row.mismatched),
  stale: Number(row.stale),
  endMs: row.end_ms ?? undefined,
});

/** Each takes the place of the one that begins at the same moment. */
async function insertRows(db: Kysely<Tables>, rows: readonly LedgerTableRow[]): Promise<void> {
  // One statement may not write the same row twice: the last one counts.
  const single = [...new Map(rows.map((row) => [`${row.start_ms} ${row.partition}`, row])).values()];
  for (let at = 0; at < single.length; at += INSERTED_AT_ONCE) {
    await db
      .insertInto('ledger')
      .values(single.slice(at, at + INSERTED_AT_ONCE))
      .onConflict((conflict) =>
        conflict.columns(KEY).doUpdateSet((excluded) => ({
          width_ms: excluded.ref('excluded.width_ms'),
          from_offset: excluded.ref('excluded.from_offset'),
          to_offset: excluded.ref('excluded.to_offset'),
          hash: excluded.ref('excluded.hash'),
          stored: excluded.ref('excluded.stored'),
          duplicates: excluded.ref('excluded.duplicates'),
          quarantined: excluded.ref('excluded.quarantined'),
          late_dropped: excluded.ref('excluded.late_dropped'),
          missing: excluded.ref('excluded.missing'),
          extra: excluded.ref('excluded.extra'),
          balanced: excluded.ref('excluded.balanced'),
          acknowledged: excluded.ref('excluded.acknowledged'),
          stale: excluded.ref('excluded.stale'),
          checked_at_ms: excluded.ref('excluded.checked_at_ms'),
        })),
      )
      .execute();
  }
}
