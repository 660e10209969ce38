/** The late lane: what came late, by the time at which it happened, and what became of it. */
import { parseDuration } from '../base/duration.ts';
import type { Issue } from '../base/errors.ts';
import { lateRecords } from '../ingest/index.ts';
import { replayedTable } from '../store/index.ts';
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
  readonly replayed: boolean;
  readonly n: string;
}

interface Row {
  readonly what: 'quarantined' | 'dropped';
  readonly partition: number;
  readonly offset: string;
  readonly received: string;
  readonly time: string | null;
  readonly line: string;
  readonly replayed: boolean;
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
      const source = lateRecords(tenant, stream);
      const isReplayed = `(_partition, _offset) IN (SELECT _partition, _offset FROM ${replayedTable(tenant, stream.name)})`;
      const moment = (ms: number) => parameters.bind('Int64', ms);
      const within = [
        ...(page.fromMs === undefined ? [] : [`ms >= ${moment(page.fromMs)}`]),
        ...(page.toMs === undefined ? [] : [`ms < ${moment(page.toMs)}`]),
      ];
      const whereOf = (filters: readonly string[]) =>
        filters.length === 0 ? '' : ` WHERE ${filters.join(' AND ')}`;
      const width = parameters.bind('Int64', everyMs);
      const counted = {
        text: `SELECT floor(ms / ${width}) AS bucket, what, toBool(${isReplayed}) AS replayed, count() AS n FROM (${source})${whereOf(within)} GROUP BY bucket, what, replayed ORDER BY bucket DESC LIMIT ${4 * LATE_BUCKETS_MAX}`,
        params: { ...parameters.values },
      };
      const state = request.state ?? 'waiting';
      const shown = [
        ...within,
        ...(request.what === undefined ? [] : [`what = ${parameters.bind('String', request.what)}`]),
        ...(state === 'all' ? [] : [state === 'waiting' ? `NOT ${isReplayed}` : isReplayed]),
      ];
      const sampled = {
        text: `SELECT what, toBool(${isReplayed}) AS replayed, _partition AS partition, toString(_offset) AS offset, toString(toUnixTimestamp64Milli(_received)) AS received, toString(ms) AS time, line FROM (${source})${whereOf(shown)} ORDER BY _received DESC, _partition DESC, _offset DESC LIMIT ${parameters.bind('UInt64', page.limit)}`,
        params: parameters.values,
      };
      const limits = listingOf(tenant, signal);
      const [counts, sample] = await Promise.all([
        engine.rows<Counted>(counted, limits),
        engine.rows<Row>(sampled, limits),
      ]);
      const buckets = new Map<number, { -readonly [Name in keyof Omit<LateBucket, 'time'>]: number }>();
      const bucketOf = (number: number) => {
        const bucket = buckets.get(number) ?? { counted: 0, quarantined: 0, dropped: 0, replayed: 0 };
        buckets.set(number, bucket);
        return bucket;
      };
      for (const { bucket, what, replayed, n } of counts)
        bucketOf(Number(bucket))[replayed ? 'replayed' : what] += Number(n);
      for (const [minute, events] of watermarks?.lateMinutes(tenant, stream.name) ?? []) {
        const atMs = minute * MINUTE_MS;
        if (atMs >= fromMs && atMs < toMs) bucketOf(Math.floor(atMs / everyMs)).counted += events;
      }
      return {
        counts: [...buckets]
          .sort(([a], [b]) => b - a)
          .slice(0, LATE_BUCKETS_MAX)
          .map(([number, bucket]): LateBucket => ({ time: formatMoment(number * everyMs), ...bucket })),
        sample: sample.map(({ what, partition, offset, received, time, line, replayed }) => ({
          ...{ what, partition, offset: Number(offset), line, replayed },
          received: formatMoment(Number(received)),
          time: time === null ? null : formatMoment(Number(time)),
        })),
      };
    },
  };
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
