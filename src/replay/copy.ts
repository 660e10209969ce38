/** Rows of the live tables on their way into the shadows, day by day of arrival. */
import type { Engine, QueryLimits } from '../store/index.ts';
import { copyPartition, dropPartition } from '../store/index.ts';

export type Hands = Pick<Engine, 'execute' | 'rows'>;

/** A live table and its shadow, as quoted names. */
export interface Copied {
  readonly live: string;
  readonly shadow: string;
}

export const SLOW: QueryLimits = { timeoutSeconds: 3_600 };

const INSERT_ROWS_MAX = 250_000;
/** Offsets are counted in groups of so many, of which one insert takes as many as fit. */
const GROUP_OFFSETS = 50_000;

export async function daysOf(engine: Hands, table: string, where = 'true'): Promise<readonly number[]> {
  const rows = await engine.rows<{ day: number }>(
    { text: `SELECT DISTINCT toYYYYMMDD(_received) AS day FROM ${table} WHERE ${where} ORDER BY day` },
    SLOW,
  );
  return rows.map(({ day }) => Number(day));
}

export async function countOf(engine: Hands, table: string, where: string): Promise<number> {
  const [row] = await engine.rows<{ n: string }>(
    { text: `SELECT count() AS n FROM ${table} WHERE ${where}` },
    SLOW,
  );
  return Number(row?.n ?? 0);
}

/**
 * The rows of one day for which `wanted` holds become the shadow's of that day, whatever it had there. May be repeated
 * from any point. A day of which every row is wanted costs next to nothing: its parts are linked, not copied.
 */
export async function copyDay(
  engine: Hands,
  { live, shadow }: Copied,
  day: number,
  wanted: string,
  throwIfEnding: () => void,
): Promise<void> {
  const ofDay = `toYYYYMMDD(_received) = ${Number(day)}`;
  if ((await countOf(engine, live, `${ofDay} AND NOT ${wanted}`)) === 0) {
    await copyPartition(engine, live, shadow, day);
    // Ingest may have put more into the day meanwhile.
    if ((await countOf(engine, shadow, `${ofDay} AND NOT ${wanted}`)) === 0) return;
  }
  await dropPartition(engine, shadow, day);
  const groups = await engine.rows<{ partition: number; n: string; first: string; last: string }>(
    {
      text: `SELECT _partition AS partition, intDiv(_offset, ${GROUP_OFFSETS}) AS g, count() AS n, min(_offset) AS first, max(_offset) AS last FROM ${live} WHERE ${ofDay} AND ${wanted} GROUP BY partition, g ORDER BY partition, g`,
    },
    SLOW,
  );
  for (const span of spansOf(groups)) {
    throwIfEnding();
    await engine.execute({
      text: `INSERT INTO ${shadow} SELECT * FROM ${live} WHERE ${ofDay} AND ${wanted} AND _partition = ${span.partition} AND _offset >= ${span.from} AND _offset < ${span.to}`,
    });
  }
}

interface Span {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

function spansOf(
  groups: readonly {
    readonly partition: number;
    readonly n: string;
    readonly first: string;
    readonly last: string;
  }[],
): readonly Span[] {
  const spans: (Span & { to: number; rows: number })[] = [];
  for (const group of groups) {
    const [partition, rows] = [Number(group.partition), Number(group.n)];
    const last = spans.at(-1);
    if (last?.partition === partition && last.rows + rows <= INSERT_ROWS_MAX) {
      last.to = Number(group.last) + 1;
      last.rows += rows;
    } else spans.push({ partition, from: Number(group.first), to: Number(group.last) + 1, rows });
  }
  return spans;
}
