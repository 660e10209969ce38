/** Events themselves: newest first in pages, or as they come from an offset on. */

import type { Clock } from '../base/clock.ts';
import { type Issue, invariant, MillraceError } from '../base/errors.ts';
import type { Catalog } from '../catalog/port.ts';
import type { Field, StreamDefinition } from '../define/model.ts';
import { type Engine, eventsTable, type QueryLimits, type Statement } from '../store/index.ts';
import { behind, encodeCursor } from './cursor.ts';
import { eventColumns, eventJson } from './event-json.ts';
import { PAGE_ROWS_MAX, parsePage } from './listing.ts';
import { parseRowFilter, throwIfAny } from './parse.ts';
import type { Events } from './port.ts';
import { streamOf } from './prepare.ts';
import { listingOf } from './reading.ts';
import { BOUNDED, RESULT_BYTES_MAX, timeRange } from './statement.ts';
import { MOMENT_MS_MAX, MOMENT_MS_MIN } from './time.ts';
import { type Condition, conditionSql, Parameters, parseCondition } from './where.ts';

export interface ListingOptions {
  readonly engine: Pick<Engine, 'query' | 'rows'>;
  readonly catalog: Pick<Catalog, 'stream'>;
  readonly clock: Clock;
}

const ID_FIELD: Field = { name: '_id', type: { kind: 'string' }, optional: false };

export function createEvents({ engine, catalog, clock }: ListingOptions): Events {
  return {
    async list(tenant, streamName, request = {}, signal) {
      const stream = streamOf(catalog, tenant, streamName);
      const nowMs = clock.now();
      const issues: Issue[] = [];
      const page = parsePage(request, nowMs, issues);
      const conditions = parseEventConditions(request.where ?? [], stream, nowMs, issues);
      throwIfAny(issues);

      const filter = parseRowFilter(request.rowFilter, stream, nowMs);
      const parameters = new Parameters();
      const where = [...conditions, ...filter].map((condition) => conditionSql(condition, parameters));
      if (page.fromMs !== undefined || page.toMs !== undefined) {
        const range = { fromMs: page.fromMs ?? MOMENT_MS_MIN, toMs: page.toMs ?? MOMENT_MS_MAX };
        where.push(timeRange(range, parameters));
      }
      if (page.after) where.push(behind(page.after, '_time', parameters));
      const text = `SELECT ${eventColumns(stream)}, _partition, toString(_offset) FROM ${eventsTable(tenant, stream.name)}${where.length > 0 ? ` WHERE ${where.join(' AND ')}` : ''} ORDER BY _time DESC, _partition DESC, _offset DESC LIMIT ${parameters.bind('UInt64', page.limit + 1)} ${BOUNDED}`;
      const rows = await read(engine, { text, params: parameters.values }, listingOf(tenant, signal));
      const withPlace = filter.length === 0;
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      return {
        eventsJson: `[${shown.map(([row, extra]) => eventJson(stream, row, extra, { withPlace })).join(',')}]`,
        count: shown.length,
        next:
          last && rows.length > page.limit
            ? encodeCursor({ ms: last[2], partition: last[3], offset: BigInt(last[4]) })
            : null,
      };
    },

    async since(tenant, streamName, partition, fromOffset, limit, signal) {
      invariant(limit >= 1 && limit <= PAGE_ROWS_MAX, 'a tail reads 1 to 1000 events at a time');
      const stream = streamOf(catalog, tenant, streamName);
      const between = async (from: number, to: number | undefined, most: number): Promise<Row[]> => {
        const parameters = new Parameters();
        const where = [
          `_partition = ${parameters.bind('UInt16', partition)}`,
          `_offset >= ${parameters.bind('UInt64', from)}`,
          ...(to === undefined ? [] : [`_offset < ${parameters.bind('UInt64', to)}`]),
        ];
        const text = `SELECT ${eventColumns(stream)}, _partition, toString(_offset) FROM ${eventsTable(tenant, stream.name)} WHERE ${where.join(' AND ')} ORDER BY _offset LIMIT ${parameters.bind('UInt64', most)} ${BOUNDED}`;
        return read(engine, { text, params: parameters.values }, listingOf(tenant, signal));
      };
      // Nearly always all are near by; looking there first spares sorting everything that came since.
      const near = fromOffset + TAIL_WINDOW;
      const upTo = async (most: number): Promise<Row[]> => {
        const rows = await between(fromOffset, near, most);
        if (rows.length < most) rows.push(...(await between(near, undefined, most - rows.length)));
        return rows;
      };
      const rows = await inPortions(limit, upTo);
      return rows.map(([row, extra, , , offset]) => ({
        offset: Number(offset),
        json: eventJson(stream, row, extra),
      }));
    },

    async matching(tenant, streamName, { partition, from, to }, where, limit, signal) {
      invariant(limit >= 1 && limit <= PAGE_ROWS_MAX, 'at most 1000 events are read at a time');
      const stream = streamOf(catalog, tenant, streamName);
      const issues: Issue[] = [];
      const conditions = parseEventConditions(where, stream, clock.now(), issues);
      throwIfAny(issues);
      // What comes later is looked at in the next call: a long range is not sorted whole.
      const end = Math.min(to, from + TAIL_WINDOW);
      const parameters = new Parameters();
      const holds = [
        `_partition = ${parameters.bind('UInt16', partition)}`,
        `_offset >= ${parameters.bind('UInt64', from)}`,
        `_offset < ${parameters.bind('UInt64', end)}`,
        ...conditions.map((condition) => conditionSql(condition, parameters)),
      ].join(' AND ');
      const text = `SELECT ${eventColumns(stream)}, _partition, toString(_offset) FROM ${eventsTable(tenant, stream.name)} WHERE ${holds} ORDER BY _offset LIMIT {most:UInt64} ${BOUNDED}`;
      let asked = limit;
      const rows = await inPortions(limit, (most) => {
        asked = most;
        return read(engine, { text, params: { ...parameters.values, most } }, listingOf(tenant, signal));
      });
      const events = rows.map(([row, extra, , , offset]) => ({
        offset: Number(offset),
        json: eventJson(stream, row, extra),
      }));
      return { events, upTo: events.length < asked ? end : events.at(-1)!.offset + 1 };
    },

    async within(tenant, streamName, { partition, from, to }, rowFilter, limit) {
      invariant(rowFilter.length > 0, 'without a filter there is `since`');
      const stream = streamOf(catalog, tenant, streamName);
      const filter = parseRowFilter(rowFilter, stream, clock.now());
      const parameters = new Parameters();
      const where = [
        `_partition = ${parameters.bind('UInt16', partition)}`,
        `_offset >= ${parameters.bind('UInt64', from)}`,
        `_offset < ${parameters.bind('UInt64', to)}`,
        ...filter.map((condition) => conditionSql(condition, parameters)),
      ].join(' AND ');
      const table = eventsTable(tenant, stream.name);
      const text = `SELECT ${eventColumns(stream)}, _partition, toString(_offset) FROM ${table} WHERE ${where} ORDER BY _offset DESC LIMIT {most:UInt64} ${BOUNDED}`;
      const limits = listingOf(tenant, undefined);
      const rows = await inPortions(limit, (most) =>
        read(engine, { text, params: { ...parameters.values, most } }, limits),
      );
      const events = rows.map(([row, extra, , , offset]) => ({
        offset: Number(offset),
        json: eventJson(stream, row, extra, { withPlace: false }),
      }));
      const [counted] = await engine.rows<{ _found: string }>(
        { text: `SELECT count() AS _found FROM ${table} WHERE ${where}`, params: parameters.values },
        limits,
      );
      return { events, count: Number(counted?._found ?? rows.length) };
    },
  };
}

/** Conditions on the fields of a stream, and on `_id`. */
export function parseEventConditions(
  where: readonly string[],
  stream: StreamDefinition,
  nowMs: number,
  issues: Issue[],
): readonly Condition[] {
  const withId = { ...stream, fields: [...stream.fields, ID_FIELD] };
  return where.flatMap((text) => {
    const condition = parseCondition(text, withId, nowMs, 'UTC');
    if (typeof condition !== 'string') return [condition];
    issues.push({ path: 'where', message: condition });
    return [];
  });
}

const TAIL_WINDOW = 100_000;

/** Very large events come in smaller portions: a tail must get past them. */
async function inPortions(limit: number, read: (most: number) => Promise<Row[]>): Promise<Row[]> {
  for (let most = limit; ; most = Math.ceil(most / 2)) {
    try {
      return await read(most);
    } catch (error) {
      if (most > 1 && error instanceof MillraceError && error.code === 'bad-question') continue;
      throw error;
    }
  }
}

type Row = readonly [
  row: readonly (string | null)[],
  extra: string,
  ms: number,
  partition: number,
  offset: string,
];

async function read(
  engine: Pick<Engine, 'query'>,
  statement: Statement,
  limits: QueryLimits,
): Promise<Row[]> {
  const bytes = await engine.query(statement, 'JSONCompactEachRow', limits).catch((error: unknown) => {
    if (!(error instanceof MillraceError) || error.code !== 'bad-question') throw error;
    const message = `the page would be larger than ${RESULT_BYTES_MAX / 2 ** 20} MiB; ask for fewer events`;
    throw new MillraceError('bad-question', message, {
      issues: [{ path: 'limit', message }],
      cause: error,
    });
  });
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}
