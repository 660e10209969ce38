/** Which span of time a question means, and the buckets of its answer. */
import type { TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import { type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import { type Engine, eventsTable, rollupTable } from '../store/index.ts';
import type { Range } from './answer.ts';
import { BUCKETS_MAX, bucketEnd, bucketStarts, bucketsAtLeast } from './calendar.ts';
import { type Question, throwIfAny, tooManyBuckets } from './parse.ts';
import { conditionSql, Parameters } from './where.ts';

const DAY_MS = 86_400_000;

/**
 * An open end reaches as far as events can lie, in whole buckets of every tier: the current minute then comes from
 * the rollup too.
 */
export function plannedEnd(
  { openEnd, every, zone }: Question,
  stream: StreamDefinition,
  toMs: number,
  starts: readonly number[],
): number {
  if (!openEnd) return toMs;
  const lastStart = starts.at(-1);
  if (every) return lastStart === undefined ? toMs : Math.max(toMs, bucketEnd(every, lastStart, zone));
  return floorToDay(toMs + stream.futureAllowedMs) + DAY_MS;
}

export const floorToDay = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/**
 * Without `from`: from the earliest event, which the engine knows without reading any. Rollups outlive events that
 * a stream forgets; then the earliest day of a rollup counts too. For a key with a row filter, from the earliest of its rows.
 */
export async function rangeOf(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: StreamDefinition,
  rollups: readonly Versioned<RollupDefinition>[],
  { fromMs, toMs, openEnd, every, rowFilter }: Question,
): Promise<Range> {
  if (fromMs !== undefined) return { fromMs, toMs };
  const parameters = new Parameters();
  const filter = rowFilter.map((condition) => conditionSql(condition, parameters)).join(' AND ');
  // No field begins with an underscore: an alias must not stand in for one in the filter.
  const earliest = [
    `SELECT toUnixTimestamp64Milli(min(_time)) AS _at, toUnixTimestamp64Milli(max(_time)) AS _latest, count() AS _found FROM ${eventsTable(tenant, stream.name)}${filter === '' ? '' : ` WHERE ${filter}`}`,
  ];
  if (stream.retention.hotMs !== undefined) {
    const columns = rowFilter.map(({ field }) => field.name);
    // A rollup that cannot tell the asker's rows from others' tells nothing about when they begin.
    const fitting = rollups.filter(({ definition }) => columns.every((name) => definition.by.includes(name)));
    for (const { definition, version } of fitting) {
      const widest = tiersOf(definition.everySeconds).at(-1)!;
      earliest.push(
        `SELECT min(_bucket) * 1000 AS _at, max(_bucket) * 1000 AS _latest, count() AS _found FROM ${rollupTable(tenant, definition.name, version)} WHERE _tier = ${widest}${filter === '' ? '' : ` AND ${filter}`}`,
      );
    }
  }
  const text = earliest.join(' UNION ALL ');
  // With a filter the events themselves are read.
  const reading = filter === '' ? 'rollup' : 'scan';
  const rows = await engine.rows<{ _at: string; _latest: string; _found: string }>(
    { text, params: parameters.values },
    { reading, tenant },
  );
  const some = rows.filter(({ _found }) => Number(_found) > 0);
  const first = Math.min(toMs, ...some.map(({ _at }) => Number(_at)));
  // A series of everything ends with the last event: history is not followed by empty years.
  const last = Math.max(first, ...some.map(({ _latest }) => Number(_latest))) + 1;
  return { fromMs: first, toMs: openEnd && every ? Math.min(toMs, last) : toMs };
}

export function startsOf({ every, zone }: Question, { fromMs, toMs }: Range): number[] {
  if (!every) return [];
  const tooMany = [{ path: 'every', message: tooManyBuckets() }];
  if (bucketsAtLeast(every, fromMs, toMs) > BUCKETS_MAX) throwIfAny(tooMany);
  const starts = bucketStarts(every, fromMs, toMs, zone);
  if (starts.length > BUCKETS_MAX) throwIfAny(tooMany);
  return starts;
}
