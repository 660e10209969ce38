/** Answers questions: parse, plan, ask the engine once, fill, order. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { type Catalog, eventsCompleteSince, type Versioned } from '../catalog/port.ts';
import { type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { type Engine, eventsTable, rollupTable } from '../store/index.ts';
import {
  columnsOf,
  readEngineRows,
  refuseIfTooMany,
  SERIES_ROWS_MAX,
  seriesRows,
  totalRows,
} from './answer.ts';
import { BUCKETS_MAX, bucketEnd, bucketStarts, bucketsAtLeast } from './calendar.ts';
import { freshnessOf } from './freshness.ts';
import { type OrderKey, parseQuestion, type Question, throwIfAny, tooManyBuckets } from './parse.ts';
import { planQuestion } from './plan.ts';
import type { Stats, StatsAnswer, StatsRequest } from './port.ts';
import { toSql } from './statement.ts';
import { formatMoment } from './time.ts';

export interface StatsOptions {
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  readonly catalog: Pick<Catalog, 'stream' | 'rollups' | 'setting'>;
  readonly log: Pick<Log, 'state'>;
  readonly ingest: Pick<Ingest, 'state'>;
  readonly clock: Clock;
}

/**
 * The numbers of a stream. Sums, counts, least and greatest values are exact; the same question has the same
 * answer whether a rollup or the events give it.
 *
 * @example
 * const stats = createStats({ engine, catalog, log, ingest, clock });
 * const answer = await stats.ask(tenant, 'clicks', { fn: ['count'], every: '1h', from: '-1d' });
 * answer.rowsJson; // [{"time":"2024-01-01T00:00:00.000Z","count":3},…
 */
export function createStats(options: StatsOptions): Stats {
  const { engine, catalog, log, ingest, clock } = options;

  return {
    ask: async (tenant, streamName, request, signal) => {
      const before = standing(tenant, streamName);
      try {
        return await answer(tenant, streamName, request, signal);
      } catch (error) {
        // The table of a rollup that was replaced between plan and answer is gone: the plan is made once more.
        const isOfStore = error instanceof MillraceError && error.code === 'store-unavailable';
        if (!isOfStore || standing(tenant, streamName) === before) throw error;
        return answer(tenant, streamName, request, signal);
      }
    },
  };

  /** The versions of the rollups that may answer. */
  function standing(tenant: TenantId, stream: string): string {
    const rollups = catalog.rollups(tenant).filter(({ definition }) => definition.from === stream);
    return JSON.stringify(rollups.map(({ definition, version }) => [definition.name, version]));
  }

  async function answer(
    tenant: TenantId,
    streamName: string,
    request: StatsRequest,
    signal: AbortSignal | undefined,
  ): Promise<StatsAnswer> {
    const startedMs = clock.monotonicMs();
    const stream = streamOf(catalog, tenant, streamName);
    const nowMs = clock.now();
    const question = parseQuestion(request, stream, nowMs);
    const freshness = freshnessOf(log, ingest, tenant, stream, nowMs);
    const rollups = catalog.rollups(tenant).filter(({ definition }) => definition.from === stream.name);
    const range = await rangeOf(engine, tenant, stream, rollups, question);
    const starts = startsOf(question, range);
    // What lies before the earliest event may be counted too: whole buckets of the widest tier are cheaper.
    const plannedFromMs =
      question.fromMs === undefined ? Math.min(range.toMs, floorToDay(range.fromMs)) : range.fromMs;
    const plan = planQuestion({
      stream,
      question,
      fromMs: plannedFromMs,
      toMs: plannedEnd(question, stream, range.toMs, starts),
      starts,
      rollups,
      eventsCompleteSinceMs: eventsCompleteSince(catalog, tenant, stream.name),
    });
    const series = question.every !== undefined;
    let rows: string[] = [];
    if (!series || starts.length > 0) {
      const rowsMax = series ? SERIES_ROWS_MAX + 1 : question.limit!;
      const order = series ? undefined : totalOrder(question);
      const statement = toSql({ tenant, stream, question, plan, starts, order, rowsMax });
      const bytes = await engine.query(statement, 'JSONCompactEachRow', signal ? { signal } : {});
      const found = readEngineRows(bytes);
      if (series) refuseIfTooMany(found.length, SERIES_ROWS_MAX);
      rows = series ? seriesRows(question, found, starts, range) : totalRows(question, found, range);
    }
    return {
      columns: columnsOf(question),
      rowsJson: `[${rows.join(',')}]`,
      rowCount: rows.length,
      meta: {
        source: plan.source,
        ...freshness,
        cached: false,
        elapsed_ms: Math.round((clock.monotonicMs() - startedMs) * 100) / 100,
        from: formatMoment(range.fromMs),
        to: formatMoment(range.toMs),
      },
    };
  }
}

export function streamOf(catalog: Pick<Catalog, 'stream'>, tenant: TenantId, name: string): StreamDefinition {
  const found = catalog.stream(tenant, name);
  if (found) return found.definition;
  throw new MillraceError(
    'unknown-stream',
    `There is no stream "${name}". PUT /v1/streams/${name} makes it.`,
  );
}

const DAY_MS = 86_400_000;

/**
 * An open end reaches as far as events can lie, in whole buckets of every tier: the current minute then comes from
 * the rollup too.
 */
function plannedEnd(
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

const floorToDay = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/**
 * Without `from`: from the earliest event, which the engine knows without reading any. Rollups outlive events that
 * a stream forgets; then the earliest day of a rollup counts too.
 */
async function rangeOf(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: StreamDefinition,
  rollups: readonly Versioned<RollupDefinition>[],
  { fromMs, toMs, openEnd, every }: Question,
): Promise<{ fromMs: number; toMs: number }> {
  if (fromMs !== undefined) return { fromMs, toMs };
  const earliest = [
    `SELECT toUnixTimestamp64Milli(min(_time)) AS at, toUnixTimestamp64Milli(max(_time)) AS latest, count() AS found FROM ${eventsTable(tenant, stream.name)}`,
  ];
  if (stream.retention.hotMs !== undefined) {
    for (const { definition, version } of rollups) {
      const widest = tiersOf(definition.everySeconds).at(-1)!;
      earliest.push(
        `SELECT min(_bucket) * 1000 AS at, max(_bucket) * 1000 AS latest, count() AS found FROM ${rollupTable(tenant, definition.name, version)} WHERE _tier = ${widest}`,
      );
    }
  }
  const text = earliest.join(' UNION ALL ');
  const rows = await engine.rows<{ at: string; latest: string; found: string }>({ text });
  const some = rows.filter(({ found }) => Number(found) > 0);
  const first = Math.min(toMs, ...some.map(({ at }) => Number(at)));
  // A series of everything ends with the last event: history is not followed by empty years.
  const last = Math.max(first, ...some.map(({ latest }) => Number(latest))) + 1;
  return { fromMs: first, toMs: openEnd && every ? Math.min(toMs, last) : toMs };
}

function startsOf({ every, zone }: Question, { fromMs, toMs }: { fromMs: number; toMs: number }): number[] {
  if (!every) return [];
  const tooMany = [{ path: 'every', message: tooManyBuckets() }];
  if (bucketsAtLeast(every, fromMs, toMs) > BUCKETS_MAX) throwIfAny(tooMany);
  const starts = bucketStarts(every, fromMs, toMs, zone);
  if (starts.length > BUCKETS_MAX) throwIfAny(tooMany);
  return starts;
}

/** Without `every`, the greatest value of the first function that has an order comes first. */
function totalOrder({ order, functions, by }: Question): readonly OrderKey[] {
  if (order.length > 0 || by.length === 0) return order;
  const first = functions.findIndex((one) => one.fn !== 'top');
  return first < 0 ? [] : [{ of: { function: first }, descending: true }];
}
