/** A prepared question put to the engine. */
import type { Engine } from '../store/index.ts';
import { type EngineRow, readEngineRows, refuseIfTooMany, SERIES_ROWS_MAX } from './answer.ts';
import { joins } from './joins.ts';
import type { PreparedQuestion } from './prepare.ts';
import { readingOf } from './reading.ts';
import { type StatsStatement, toSql } from './statement.ts';

/** One statement; the rows of a total come ordered and cut, those of a series in no order. */
export async function askEngine(
  engine: Pick<Engine, 'query'>,
  prepared: PreparedQuestion & Pick<StatsStatement, 'pinned'>,
  signal: AbortSignal | undefined,
): Promise<readonly EngineRow[]> {
  const { question, totalOrder } = prepared;
  const series = question.every !== undefined;
  const rowsMax = series ? SERIES_ROWS_MAX + 1 : question.limit!;
  const statement = toSql({ ...prepared, order: series ? undefined : totalOrder, rowsMax });
  const bytes = await engine.query(statement, 'JSONCompactEachRow', {
    // A table may have many rows.
    reading: joins(question) ? 'scan' : readingOf(prepared.plan),
    tenant: prepared.tenant,
    ...(signal ? { signal } : {}),
  });
  const rows = readEngineRows(bytes);
  if (series) refuseIfTooMany(rows.length, SERIES_ROWS_MAX);
  return rows;
}
