/** What a partition's totals are after a replay, from what the tables hold before and after. */
import type { IngestState, IngestTotals, Restated } from '../ingest/index.ts';
import { type Hands, SLOW } from './copy.ts';
import type { Places } from './places.ts';
import type { ReplayCounts } from './port.ts';

/** Rows of one partition in three tables. */
export interface Held extends ReplayCounts {
  readonly withUnknownFields: number;
  readonly latestMs: number | undefined;
}

export const NOTHING_HELD: Held = {
  ...{ stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, withUnknownFields: 0 },
  latestMs: undefined,
};

/** By partition; those without rows are left out. */
export async function held(
  engine: Hands,
  places: Places,
  which: 'live' | 'shadow',
  /** SQL, for each of the three tables. */
  where: readonly string[],
): Promise<ReadonlyMap<number, Held>> {
  const [events, quarantine, discarded] = places.raw.map((place) => place[which]);
  const rows = await engine.rows<{
    partition: number;
    what: 'stored' | 'duplicates' | 'quarantined' | 'lateDropped';
    n: string;
    extra: string;
    latest: string;
  }>(
    {
      text: `SELECT _partition AS partition, 'stored' AS what, count() AS n, countIf(_extra != '') AS extra, max(toUnixTimestamp64Milli(_time)) AS latest FROM ${events} WHERE ${where[0]!} GROUP BY partition
UNION ALL SELECT _partition AS partition, 'quarantined' AS what, count(), 0, 0 FROM ${quarantine} WHERE ${where[1]!} GROUP BY partition
UNION ALL SELECT _partition AS partition, if(why = 'late', 'lateDropped', 'duplicates') AS what, count(), 0, 0 FROM ${discarded} WHERE ${where[2]!} GROUP BY partition, what`,
    },
    SLOW,
  );
  const found = new Map<number, Held>();
  for (const row of rows) {
    const before = found.get(Number(row.partition)) ?? NOTHING_HELD;
    const counted = { ...before, [row.what]: Number(row.n) };
    found.set(
      Number(row.partition),
      row.what === 'stored'
        ? { ...counted, withUnknownFields: Number(row.extra), latestMs: Number(row.latest) }
        : counted,
    );
  }
  return found;
}

/** From the first to the last event time of the range, in the live table and in its shadow; null when neither has any. */
export async function timesOf(
  engine: Hands,
  { events }: Places,
  where: string,
): Promise<{ readonly fromMs: number; readonly toMs: number } | null> {
  const of = (table: string) =>
    `SELECT count() AS n, min(toUnixTimestamp64Milli(_time)) AS first, max(toUnixTimestamp64Milli(_time)) AS last FROM ${table} WHERE ${where}`;
  const rows = await engine.rows<{ first: string; last: string }>(
    { text: `SELECT * FROM (${of(events.live)} UNION ALL ${of(events.shadow)}) WHERE n > 0` },
    SLOW,
  );
  if (rows.length === 0) return null;
  const [first, last] = [rows.map((row) => Number(row.first)), rows.map((row) => Number(row.last))];
  return { fromMs: Math.min(...first), toMs: Math.max(...last) };
}

/**
 * As long as nothing was forgotten the totals are what the tables hold; else what was known of the forgotten stays in
 * them. How many were late is a fact of their coming and stays. The watermark never falls.
 */
export function restated(state: IngestState, before: Held, after: Held): Restated {
  const { totals, watermarkMs, applied } = state;
  const isWhole = after.stored + after.duplicates + after.quarantined + after.lateDropped === applied;
  const of = (key: Exclude<keyof IngestTotals, 'late'>): number =>
    isWhole ? after[key] : totals[key] + after[key] - before[key];
  const times = [watermarkMs, after.latestMs].filter((ms) => ms !== undefined);
  return {
    totals: {
      ...{ stored: of('stored'), duplicates: of('duplicates'), quarantined: of('quarantined') },
      ...{ lateDropped: of('lateDropped'), late: totals.late, withUnknownFields: of('withUnknownFields') },
    },
    watermarkMs: times.length === 0 ? undefined : Math.max(...times),
  };
}

export function addCounts(all: Iterable<ReplayCounts>): ReplayCounts {
  const sum = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0 };
  for (const one of all) for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += one[key];
  return sum;
}
