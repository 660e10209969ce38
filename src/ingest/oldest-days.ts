/** The oldest day of arrival of every table, asked once a round: most tables have nothing to forget. */
import { type Engine, quoteIdentifier } from '../store/index.ts';

export interface OldestDays {
  /** Whether the table, a quoted name, has rows of a day that begins before the moment. */
  isOlder(table: string, beforeMs: number): boolean;
}

export async function readOldestDays(engine: Pick<Engine, 'rows'>): Promise<OldestDays> {
  const rows = await engine.rows<{ database: string; name: string; day: number }>({
    text: "SELECT database, table AS name, min(toUInt32OrZero(partition_id)) AS day FROM system.parts WHERE active AND startsWith(database, 't_') GROUP BY database, name",
  });
  const days = new Map(
    rows.map(({ database, name, day }) => [
      `${quoteIdentifier(database)}.${quoteIdentifier(name)}`,
      Number(day),
    ]),
  );
  return {
    isOlder: (table, beforeMs) => (days.get(table) ?? Number.POSITIVE_INFINITY) < dayOf(beforeMs),
  };
}

/** As the engine names the part of a table that holds a day: 20240131. */
const dayOf = (ms: number): number =>
  ms <= 0 ? 0 : Number(new Date(ms).toISOString().slice(0, 10).replaceAll('-', ''));
