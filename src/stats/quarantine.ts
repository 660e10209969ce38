/** What could not be stored, and why. */
import type { Issue } from '../base/errors.ts';
import { quarantineTable, replayedTable } from '../store/index.ts';
import { behind, encodeCursor } from './cursor.ts';
import type { ListingOptions } from './events.ts';
import { parsePage } from './listing.ts';
import { throwIfAny } from './parse.ts';
import type { Quarantine } from './port.ts';
import { streamOf } from './prepare.ts';
import { listingOf } from './reading.ts';
import { formatMoment } from './time.ts';
import { Parameters } from './where.ts';

const REASONS_MAX = 1_000;

interface Row {
  readonly partition: number;
  readonly offset: string;
  readonly ms: string;
  readonly reason: string;
  readonly field: string;
  readonly line: string;
  readonly replayed: boolean;
}

export function createQuarantine({ engine, catalog, clock }: ListingOptions): Quarantine {
  return {
    async list(tenant, streamName, request = {}, signal) {
      const stream = streamOf(catalog, tenant, streamName);
      const issues: Issue[] = [];
      const page = parsePage(request, clock.now(), issues);
      throwIfAny(issues);

      const table = quarantineTable(tenant, stream.name);
      const parameters = new Parameters();
      const moment = (ms: number) => `fromUnixTimestamp64Milli(${parameters.bind('Int64', ms)}, 'UTC')`;
      const filters: string[] = [];
      if (request.reason !== undefined) filters.push(`reason = ${parameters.bind('String', request.reason)}`);
      if (request.field !== undefined) filters.push(`field = ${parameters.bind('String', request.field)}`);
      if (page.fromMs !== undefined) filters.push(`_received >= ${moment(page.fromMs)}`);
      if (page.toMs !== undefined) filters.push(`_received < ${moment(page.toMs)}`);
      const counted = { ...parameters.values };
      const replayed = `(_partition, _offset) IN (SELECT _partition, _offset FROM ${replayedTable(tenant, stream.name)})`;
      const state = request.state ?? 'waiting';
      if (state !== 'all') filters.push(state === 'waiting' ? `NOT ${replayed}` : replayed);
      const all = whereOf(filters);
      if (page.after) filters.push(behind(page.after, '_received', parameters));
      const limits = listingOf(tenant, signal);
      const [rows, reasons] = await Promise.all([
        engine.rows<Row>(
          {
            text: `SELECT _partition AS partition, toString(_offset) AS offset, toString(toUnixTimestamp64Milli(_received)) AS ms, reason, field, line, toBool(${state === 'waiting' ? 'false' : replayed}) AS replayed FROM ${table}${whereOf(filters)} ORDER BY _received DESC, _partition DESC, _offset DESC LIMIT ${parameters.bind('UInt64', page.limit + 1)}`,
            params: parameters.values,
          },
          limits,
        ),
        engine.rows<{ reason: string; count: string }>(
          {
            text: `SELECT reason, toString(count()) AS count FROM ${table}${all} GROUP BY reason ORDER BY count() DESC, reason LIMIT ${REASONS_MAX}`,
            params: counted,
          },
          limits,
        ),
      ]);
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      return {
        records: shown.map(({ partition, offset, ms, reason, field, line, replayed }) => ({
          partition,
          offset: Number(offset),
          received: formatMoment(Number(ms)),
          reason,
          field,
          line,
          replayed,
        })),
        reasons: reasons.map(({ reason, count }) => ({ reason, count: Number(count) })),
        next:
          last && rows.length > page.limit
            ? encodeCursor({ ms: Number(last.ms), partition: last.partition, offset: BigInt(last.offset) })
            : null,
      };
    },
  };
}

const whereOf = (filters: readonly string[]): string =>
  filters.length > 0 ? ` WHERE ${filters.join(' AND ')}` : '';
