/** The rows of a dimension table, in the order of their keys, in pages. */

import type { Clock } from '../base/clock.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { TableDefinition } from '../define/model.ts';
import { type Engine, quoteIdentifier } from '../store/index.ts';
import { currentRows, type Dimensions } from '../tables/index.ts';
import { fieldJson, jsonColumn } from './event-json.ts';
import { PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from './listing.ts';
import { throwIfAny } from './parse.ts';
import type { TableRows } from './port.ts';
import { listingOf } from './reading.ts';
import { BOUNDED } from './statement.ts';
import { MOMENT_FORMS, parseMoment } from './time.ts';
import { type Condition, conditionSql, Parameters, parseCondition } from './where.ts';

export interface TableRowsOptions {
  readonly engine: Pick<Engine, 'query'>;
  readonly tables: Pick<Dimensions, 'definition'>;
  readonly clock: Clock;
}

export function createTableRows({ engine, tables, clock }: TableRowsOptions): TableRows {
  return {
    async list(tenant, name, request = {}, signal) {
      const table = tables.definition(tenant, name)?.definition;
      if (!table) {
        throw new MillraceError(
          'unknown-table',
          `There is no table ${JSON.stringify(name)}. PUT /v1/tables/NAME makes one; GET /v1/tables lists them.`,
        );
      }
      const nowMs = clock.now();
      const issues: Issue[] = [];
      const { limit = PAGE_ROWS_DEFAULT, cursor, at } = request;
      if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX)
        issues.push({ path: 'limit', message: `must be a whole number from 1 to ${PAGE_ROWS_MAX}` });
      const conditions: Condition[] = [];
      for (const text of request.where ?? []) {
        const condition = parseCondition(text, table, nowMs, 'UTC');
        if (typeof condition === 'string') issues.push({ path: 'where', message: condition });
        else conditions.push(condition);
      }
      const after = cursor === undefined ? undefined : openCursor(cursor, table, nowMs);
      if (cursor !== undefined && !after)
        issues.push({
          path: 'cursor',
          message: 'must be the "next_cursor" of an earlier page, as it was given',
        });
      const atMs = at === undefined ? undefined : parseMoment(at, nowMs, 'UTC');
      if (at !== undefined && atMs === undefined)
        issues.push({ path: 'at', message: `"${at}" is not a time; write ${MOMENT_FORMS}` });
      else if (at !== undefined && !table.history)
        issues.push({ path: 'at', message: `the table "${name}" keeps no history` });
      throwIfAny(issues);

      const parameters = new Parameters();
      const before = [
        ...(after ? [conditionSql({ ...after, op: 'gt' }, parameters)] : []),
        ...(atMs === undefined ? [] : [`_rank >= ${parameters.bind('Int64', -atMs)}`]),
      ];
      const where = conditions.map((condition) => conditionSql(condition, parameters));
      const rows = currentRows(
        tenant,
        table,
        undefined,
        before.length > 0 ? before.join(' AND ') : undefined,
      );
      const key = quoteIdentifier(table.key);
      const text = `SELECT [${[...table.fields.map(jsonColumn), 'toJSONString(_valid_from)'].join(', ')}] FROM (${rows})${where.length > 0 ? ` WHERE ${where.join(' AND ')}` : ''} ORDER BY ${key} LIMIT ${parameters.bind('UInt64', limit + 1)} ${BOUNDED}`;
      const bytes = await engine.query(
        { text, params: parameters.values },
        'JSONCompactEachRow',
        listingOf(tenant, signal),
      );
      const found = Buffer.from(bytes)
        .toString('utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as [(string | null)[]])[0]);
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      const keyAt = table.fields.findIndex((field) => field.name === table.key);
      return {
        rowsJson: `[${shown.map((row) => rowJson(table, row)).join(',')}]`,
        count: shown.length,
        next: last && found.length > limit ? closeCursor(last[keyAt]!) : null,
      };
    },
  };
}

function rowJson(table: TableDefinition, row: readonly (string | null)[]): string {
  const members = table.fields.map(
    (field, at) => `${JSON.stringify(field.name)}:${fieldJson(field, row[at] ?? null)}`,
  );
  const from = table.history ? [`"_valid_from":${row[table.fields.length]}`] : [];
  return `{${[...members, ...from].join(',')}}`;
}

/** The last key of a page, as base64url of its JSON text. */
const closeCursor = (keyJson: string): string => Buffer.from(keyJson).toString('base64url');

function openCursor(cursor: string, table: TableDefinition, nowMs: number): Condition | undefined {
  if (!/^[A-Za-z0-9_-]{1,65536}$/.test(cursor)) return undefined;
  const json = Buffer.from(cursor, 'base64url').toString('utf8');
  try {
    const text = json.startsWith('"') ? (JSON.parse(json) as string) : json;
    const condition = parseCondition(`${table.key}:eq:${text}`, table, nowMs, 'UTC');
    return typeof condition === 'string' ? undefined : condition;
  } catch {
    return undefined;
  }
}
