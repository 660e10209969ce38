/**
 * The statement of a change: one insert, one block, one part. What is staged is compared with the version that is in force
 * at the moment from which it is to be valid, and only what differs is written: the same change again writes nothing.
 *
 *   staged row (key, at) ──ASOF JOIN── versions of the staged keys ──▶ differs? ──▶ (key, fields, at, seq)
 */
import type { TenantId } from '../base/brand.ts';
import type { Field, TableDefinition } from '../define/model.ts';
import {
  dimensionColumnType,
  dimensionTable,
  quoteIdentifier,
  quoteText,
  type Statement,
} from '../store/index.ts';
import { versionRows } from './rows.ts';
import { stageName, VALID_FROM } from './stage.ts';

export interface Change {
  readonly table: TableDefinition;
  /** Rows of the staged keys are to be gone. */
  readonly removes: boolean;
  readonly seq: number;
  readonly nowMs: number;
  readonly validFromMs: number | undefined;
}

/** Behind every moment that a version can have: who names none means what is in force last. */
const LAST = "toDateTime64('2299-12-31 23:59:59.999', 3, 'UTC')";

export function changeStatement(tenant: TenantId, change: Change): Statement {
  const { table, removes, seq, nowMs, validFromMs } = change;
  const { history, fields } = table;
  const key = quoteIdentifier(table.key);
  const others = fields.filter((field) => field.name !== table.key);
  const stage = stageName(tenant, table.name);
  const own = history && !removes ? VALID_FROM : 'NULL';
  const asked = validFromMs === undefined ? 'NULL' : "fromUnixTimestamp64Milli({at:Int64}, 'UTC')";
  const moment = `CAST(coalesce(${own}, ${asked}), ${quoteText("Nullable(DateTime64(3, 'UTC'))")})`;
  const newOf = (field: Field): string =>
    removes
      ? `CAST(${field.type.kind === 'array' ? '[]' : 'NULL'}, ${quoteText(dimensionColumnType(table, field))})`
      : quoteIdentifier(field.name);
  // Names of our own throughout: a field may be called like anything but an underscore.
  const staged = `SELECT ${key} AS _k, ${others.map((field, at) => `${newOf(field)} AS _n${at}, `).join('')}${moment} AS _at, ifNull(_at, ${LAST}) AS _until FROM ${stage} ORDER BY _offset DESC LIMIT 1 BY _k, _at`;
  const versions = versionRows(tenant, table, undefined, `${key} IN (SELECT ${key} FROM ${stage})`);
  const before = `SELECT ${key} AS _k, ${others.map((field, at) => `${quoteIdentifier(field.name)} AS _o${at}, `).join('')}_valid_from AS _since, _deleted AS _gone, _seq AS _was FROM (${versions})`;
  const differs = others.map((_, at) => `NOT (_n${at} <=> _o${at})`);
  const isThere = '(_was != 0 AND NOT _gone)';
  const changes = removes ? isThere : [`NOT ${isThere}`, ...differs].join(' OR ');
  const now = '{now:Int64}';
  // A version may not begin before the one that it follows, whatever the clock says.
  const begins = history
    ? `if(isNull(_at), greatest(${now}, if(_was = 0, ${now}, toUnixTimestamp64Milli(_since))), toUnixTimestamp64Milli(ifNull(_at, ${LAST})))`
    : 'toInt64(0)';
  const columns = [key, ...others.map((field) => quoteIdentifier(field.name))];
  return {
    text: `INSERT INTO ${dimensionTable(tenant, table.name)} (${columns.join(', ')}, _valid_from, _rank, _deleted, _seq)
SELECT _k, ${others.map((_, at) => `_n${at}, `).join('')}fromUnixTimestamp64Milli(_ms, 'UTC'), -_ms, ${removes}, {seq:UInt64} FROM (
SELECT *, toInt64(${begins}) AS _ms FROM (
SELECT _s._k AS _k, ${others.map((_, at) => `_s._n${at} AS _n${at}, _v._o${at} AS _o${at}, `).join('')}_s._at AS _at, _v._since AS _since, _v._gone AS _gone, _v._was AS _was
FROM (${staged}) AS _s ASOF LEFT JOIN (${before}) AS _v ON _s._k = _v._k AND _s._until >= _v._since
) WHERE ${changes})`,
    params: { now: nowMs, seq, ...(validFromMs === undefined ? {} : { at: validFromMs }) },
  };
}
