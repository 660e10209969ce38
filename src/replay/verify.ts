/** Do the shadows hold what they must, before they take the place of the live tables? */
import { MillraceError } from '../base/errors.ts';
import { daysOf, type Hands, SLOW } from './copy.ts';
import type { Places } from './places.ts';
import { type Range, within } from './range.ts';

/** Rows of the three tables together, by partition: how many, and a sum over their offsets. */
type Holdings = ReadonlyMap<number, { readonly rows: string; readonly sum: string }>;

async function holdings(
  engine: Hands,
  tables: readonly string[],
  where: readonly string[],
): Promise<Holdings> {
  const union = tables.map(
    (table, index) => `SELECT _partition, _offset FROM ${table} WHERE ${where[index]!}`,
  );
  const rows = await engine.rows<{ partition: number; rows: string; sum: string }>(
    {
      text: `SELECT _partition AS partition, count() AS rows, toString(sum(intHash64(_offset))) AS sum FROM (${union.join(' UNION ALL ')}) GROUP BY partition`,
    },
    SLOW,
  );
  return new Map(rows.map(({ partition, rows, sum }) => [Number(partition), { rows, sum }]));
}

/** SQL, for each of the three tables: is a row of a day that retention has not dropped since the days were copied? */
export async function stillKept(
  engine: Hands,
  places: Places,
  days: readonly (readonly number[])[],
): Promise<readonly string[]> {
  const filters: string[] = [];
  for (const [index, { live }] of places.raw.entries()) {
    const now = new Set(await daysOf(engine, live));
    const gone = days[index]!.filter((day) => !now.has(day));
    filters.push(gone.length === 0 ? 'true' : `toYYYYMMDD(_received) NOT IN (${gone.join(', ')})`);
  }
  return filters;
}

/**
 * Of the records in `span`: those of the ranges must be in the shadows once each, all others exactly as they are in the
 * live tables. Days that retention has dropped from a live table since they were copied (`days`) are left out: it
 * drops them from the new one, too. The span holds the ranges whole or not at all. Fails with `internal`, which may
 * pass.
 */
export async function verifyRaw(
  engine: Hands,
  places: Places,
  ranges: readonly Range[],
  span: readonly Range[],
  days: readonly (readonly number[])[],
): Promise<void> {
  const live = places.raw.map((place) => place.live);
  const shadows = places.raw.map((place) => place.shadow);
  const outside = `${within(span)} AND NOT ${within(ranges)}`;
  const filters = (await stillKept(engine, places, days)).map((kept) => `${outside} AND ${kept}`);
  const wanted = await holdings(engine, live, filters);
  const found = await holdings(engine, shadows, filters);
  for (const partition of new Set([...wanted.keys(), ...found.keys()])) {
    const [a, b] = [wanted.get(partition), found.get(partition)];
    if (a?.rows !== b?.rows || a?.sum !== b?.sum) {
      throw wrong(`${b?.rows ?? 0} instead of ${a?.rows ?? 0} records that are not replayed`, partition);
    }
  }
  if (!ranges.every((range, partition) => range.from >= range.to || span[partition]!.from <= range.from))
    return;
  const replayed = await holdings(
    engine,
    shadows,
    shadows.map(() => within(ranges)),
  );
  for (const [partition, { from, to }] of ranges.entries()) {
    if (from >= to) continue;
    const [row] = await engine.rows<{ sum: string }>(
      { text: `SELECT toString(sum(intHash64(number))) AS sum FROM numbers(${from}, ${to - from})` },
      SLOW,
    );
    const one = replayed.get(partition);
    if (one?.rows !== String(to - from) || one.sum !== row?.sum) {
      throw wrong(`${one?.rows ?? 0} instead of ${to - from} replayed records, or not each once`, partition);
    }
  }
}

const wrong = (what: string, partition: number): MillraceError =>
  new MillraceError('internal', `the replayed tables of partition ${partition} hold ${what}`);

/** Rows of the events of the ranges before a moment, told so that any difference shows. */
export async function changesBefore(
  engine: Hands,
  { events }: Places,
  ranges: readonly Range[],
  beforeMs: number,
): Promise<boolean> {
  const where = `${within(ranges)} AND toUnixTimestamp64Milli(_time) < ${Math.trunc(beforeMs)}`;
  const ask = async (table: string): Promise<string> =>
    JSON.stringify(
      await engine.rows(
        {
          text: `SELECT count() AS n, toString(sum(sipHash64(toString(tuple(*))))) AS s FROM ${table} WHERE ${where}`,
        },
        SLOW,
      ),
    );
  return (await ask(events.live)) !== (await ask(events.shadow));
}
