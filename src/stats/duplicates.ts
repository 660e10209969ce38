/** Which arrivals were not counted because their id was stored before, and which one was the first. */

import type { TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { StreamDefinition } from '../define/model.ts';
import { discardedTable, type Engine, eventsTable } from '../store/index.ts';
import { behind, encodeCursor } from './cursor.ts';
import type { ListingOptions } from './events.ts';
import { parsePage } from './listing.ts';
import { throwIfAny } from './parse.ts';
import type { Arrival, Duplicates } from './port.ts';
import { streamOf } from './prepare.ts';
import { listingOf } from './reading.ts';
import { formatMoment } from './time.ts';
import { Parameters } from './where.ts';

interface Row {
  readonly partition: number;
  readonly offset: string;
  readonly ms: string;
  readonly time: string;
  readonly id: string;
  readonly hash: string;
}

interface Candidate {
  readonly hash: string;
  readonly partition: number;
  readonly offset: string;
  readonly ms: string;
}

/** The scan for first arrivals reads 16 bytes of each event within the horizon; it gets no longer than this. */
const SCAN_SECONDS = 2;
const CANDIDATES_BY_ID = 10;

export function createDuplicates({ engine, catalog, clock }: ListingOptions): Duplicates {
  return {
    async list(tenant, streamName, request = {}, signal) {
      const stream = streamOf(catalog, tenant, streamName);
      const issues: Issue[] = [];
      const page = parsePage(request, clock.now(), issues);
      throwIfAny(issues);

      const table = discardedTable(tenant, stream.name);
      const parameters = new Parameters();
      const moment = (ms: number) => `fromUnixTimestamp64Milli(${parameters.bind('Int64', ms)}, 'UTC')`;
      const filters = ["why = 'duplicate'"];
      if (page.fromMs !== undefined) filters.push(`_received >= ${moment(page.fromMs)}`);
      if (page.toMs !== undefined) filters.push(`_received < ${moment(page.toMs)}`);
      const counted = {
        text: `SELECT count() AS n FROM ${table} WHERE ${filters.join(' AND ')}`,
        params: { ...parameters.values },
      };
      if (page.after) filters.push(behind(page.after, '_received', parameters));
      const limits = listingOf(tenant, signal);
      const [rows, [count]] = await Promise.all([
        engine.rows<Row>(
          {
            text: `SELECT _partition AS partition, _offset AS offset, toUnixTimestamp64Milli(_received) AS ms, toUnixTimestamp64Milli(_time) AS time, _id AS id, toString(_id_hash) AS hash FROM ${table} WHERE ${filters.join(' AND ')} ORDER BY _received DESC, _partition DESC, _offset DESC LIMIT ${parameters.bind('UInt64', page.limit + 1)}`,
            params: parameters.values,
          },
          limits,
        ),
        engine.rows<{ n: string }>(counted, limits),
      ]);
      const shown = rows.slice(0, page.limit);
      const firsts = await firstArrivals(engine, tenant, stream, shown, signal);
      const last = shown.at(-1);
      return {
        count: Number(count?.n ?? 0),
        records: shown.map((row) => {
          const first = firsts.found.get(row);
          return {
            partition: row.partition,
            offset: Number(row.offset),
            received: formatMoment(Number(row.ms)),
            time: formatMoment(Number(row.time)),
            id: row.id,
            first: first ?? null,
            ...(first ? {} : { firstUnknown: firsts.why }),
          };
        }),
        next:
          last && rows.length > page.limit
            ? encodeCursor({ ms: Number(last.ms), partition: last.partition, offset: BigInt(last.offset) })
            : null,
      };
    },
  };
}

/** A copy mostly has the same event time, by which the table is sorted; only the others are searched for. */
async function firstArrivals(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: StreamDefinition,
  rows: readonly Row[],
  signal: AbortSignal | undefined,
): Promise<{ readonly found: ReadonlyMap<Row, Arrival>; readonly why: string }> {
  const found = new Map<Row, Arrival>();
  if (rows.length === 0) return { found, why: '' };
  const table = eventsTable(tenant, stream.name);
  const columns = `toString(_id_hash) AS hash, _partition AS partition, _offset AS offset, toUnixTimestamp64Milli(_received) AS ms FROM ${table}`;
  const byId = '_id_hash IN (SELECT toUInt128(arrayJoin({hashes:Array(String)})))';
  const newest = `ORDER BY _received DESC, _offset DESC LIMIT ${CANDIDATES_BY_ID} BY hash`;
  const limits = { timeoutSeconds: SCAN_SECONDS, ...listingOf(tenant, signal) };
  const take = (candidates: readonly Candidate[]): void => {
    for (const row of rows) {
      if (found.has(row)) continue;
      const first = candidates.find((one) => one.hash === row.hash && isBefore(one, row));
      if (first) {
        found.set(row, {
          partition: first.partition,
          offset: Number(first.offset),
          received: formatMoment(Number(first.ms)),
        });
      }
    }
  };
  const distinct = (values: readonly string[]) => [...new Set(values)];
  try {
    take(
      await engine.rows<Candidate>(
        {
          text: `SELECT ${columns} WHERE _time IN (SELECT fromUnixTimestamp64Milli(arrayJoin({times:Array(Int64)}), 'UTC')) AND ${byId} ${newest}`,
          params: {
            times: distinct(rows.map((row) => row.time)).map(Number),
            hashes: distinct(rows.map((row) => row.hash)),
          },
        },
        limits,
      ),
    );
    const rest = rows.filter((row) => !found.has(row));
    if (rest.length > 0) {
      const arrivals = rest.map((row) => Number(row.ms));
      take(
        await engine.rows<Candidate>(
          {
            text: `SELECT ${columns} WHERE _received >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND _received <= fromUnixTimestamp64Milli({to:Int64}, 'UTC') AND ${byId} ${newest}`,
            params: {
              from: Math.min(...arrivals) - stream.dedupeWithinMs,
              to: Math.max(...arrivals),
              hashes: distinct(rest.map((row) => row.hash)),
            },
          },
          limits,
        ),
      );
    }
  } catch (error) {
    if (error instanceof MillraceError && (error.code === 'query-timeout' || error.code === 'bad-question')) {
      return { found, why: `too many events within the horizon to look through in ${SCAN_SECONDS} s` };
    }
    throw error;
  }
  return {
    found,
    why: 'not among the stored events of the horizon: removed by retention, or stored no more',
  };
}

const isBefore = (one: Candidate, row: Row): boolean =>
  one.partition === row.partition
    ? Number(one.offset) < Number(row.offset)
    : Number(one.ms) <= Number(row.ms);
