/** The late lane: what came late, by the time at which it happened, and what became of it. */
import type { TenantId } from '../base/brand.ts';
import { parseDuration } from '../base/duration.ts';
import type { Issue } from '../base/errors.ts';
import { fieldOf, namesOf, type StreamDefinition } from '../define/model.ts';
import { LATE_REASON } from '../ingest/index.ts';
import { discardedTable, quarantineTable } from '../store/index.ts';
import type { LateArrivals } from '../watermarks/index.ts';
import type { ListingOptions } from './events.ts';
import { parsePage } from './listing.ts';
import { throwIfAny } from './parse.ts';
import type { Late, LateBucket } from './port.ts';
import { streamOf } from './prepare.ts';
import { listingOf } from './reading.ts';
import { formatMoment } from './time.ts';
import { Parameters } from './where.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Buckets of an answer; of more, the newest. */
export const LATE_BUCKETS_MAX = 1_000;

export interface LateOptions extends ListingOptions {
  readonly watermarks?: Pick<LateArrivals, 'lateMinutes'> | undefined;
}

interface Counted {
  readonly bucket: string;
  readonly what: 'quarantined' | 'dropped';
  readonly n: string;
}

interface Row {
  readonly what: 'quarantined' | 'dropped';
  readonly partition: number;
  readonly offset: string;
  readonly received: string;
  readonly time: string | null;
  readonly line: string;
}

export function createLate({ engine, catalog, clock, watermarks }: LateOptions): Late {
  return {
    async list(tenant, streamName, request = {}, signal) {
      const stream = streamOf(catalog, tenant, streamName);
      const issues: Issue[] = [];
      const page = parsePage(request, clock.now(), issues);
      const everyMs = widthOf(request.every ?? '1h', issues);
      throwIfAny(issues);
      const [fromMs, toMs] = [page.fromMs ?? -Infinity, page.toMs ?? Infinity];

      const parameters = new Parameters();
      const source = lateRows(tenant, stream, parameters);
      const moment = (ms: number) => parameters.bind('Int64', ms);
      const within = [
        ...(page.fromMs === undefined ? [] : [`ms >= ${moment(page.fromMs)}`]),
        ...(page.toMs === undefined ? [] : [`ms < ${moment(page.toMs)}`]),
      ];
      const where = within.length === 0 ? '' : ` WHERE ${within.join(' AND ')}`;
      const width = parameters.bind('Int64', everyMs);
      const counted = {
        text: `SELECT floor(ms / ${width}) AS bucket, what, count() AS n FROM (${source})${where} GROUP BY bucket, what ORDER BY bucket DESC LIMIT ${2 * LATE_BUCKETS_MAX}`,
        params: { ...parameters.values },
      };
      const sampled = {
        text: `SELECT what, _partition AS partition, toString(_offset) AS offset, toString(toUnixTimestamp64Milli(_received)) AS received, toString(ms) AS time, line FROM (${source})${where} ORDER BY _received DESC, _partition DESC, _offset DESC LIMIT ${parameters.bind('UInt64', page.limit)}`,
        params: parameters.values,
      };
      const limits = listingOf(tenant, signal);
      const [counts, sample] = await Promise.all([
        engine.rows<Counted>(counted, limits),
        engine.rows<Row>(sampled, limits),
      ]);
      const buckets = new Map<number, { counted: number; quarantined: number; dropped: number }>();
      const bucketOf = (number: number) => {
        const bucket = buckets.get(number) ?? { counted: 0, quarantined: 0, dropped: 0 };
        buckets.set(number, bucket);
        return bucket;
      };
      for (const { bucket, what, n } of counts) bucketOf(Number(bucket))[what] += Number(n);
      for (const [minute, events] of watermarks?.lateMinutes(tenant, stream.name) ?? []) {
        const atMs = minute * MINUTE_MS;
        if (atMs >= fromMs && atMs < toMs) bucketOf(Math.floor(atMs / everyMs)).counted += events;
      }
      return {
        counts: [...buckets]
          .sort(([a], [b]) => b - a)
          .slice(0, LATE_BUCKETS_MAX)
          .map(([number, bucket]): LateBucket => ({ time: formatMoment(number * everyMs), ...bucket })),
        sample: sample.map(({ what, partition, offset, received, time, line }) => ({
          ...{ what, partition, offset: Number(offset), line },
          received: formatMoment(Number(received)),
          time: time === null ? null : formatMoment(Number(time)),
        })),
      };
    },
  };
}

/** Rows of `what`, where and when they arrived, `ms` (their event time) and `line`. */
function lateRows(tenant: TenantId, stream: StreamDefinition, parameters: Parameters): string {
  const reason = parameters.bind('String', LATE_REASON);
  const field = stream.eventTime === undefined ? undefined : fieldOf(stream, stream.eventTime);
  // Quarantined records are kept as they were sent; a late one could be typed, so its time is there.
  const told = (field ? namesOf(field) : []).flatMap((name) => {
    const key = parameters.bind('String', name);
    return [
      `toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(JSONExtractString(line, ${key}), 3, 'UTC'))`,
      `JSONExtract(line, ${key}, 'Nullable(Int64)')`,
    ];
  });
  return `SELECT 'dropped' AS what, _partition, _offset, _received, CAST(toUnixTimestamp64Milli(_time), 'Nullable(Int64)') AS ms, line FROM ${discardedTable(tenant, stream.name)} WHERE why = 'late'
UNION ALL SELECT 'quarantined', _partition, _offset, _received, coalesce(${[...told, 'toUnixTimestamp64Milli(_received)'].join(', ')}), line FROM ${quarantineTable(tenant, stream.name)} WHERE reason = ${reason}`;
}

function widthOf(every: string, issues: Issue[]): number {
  const ms = parseDuration(every);
  if (ms !== undefined && ms >= MINUTE_MS && ms <= DAY_MS && DAY_MS % ms === 0) return ms;
  issues.push({
    path: 'every',
    message: 'must be a duration from 1m to 1d of which a day is a multiple, for example 1h',
  });
  return MINUTE_MS;
}
