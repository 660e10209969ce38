/**
 * Rows of a request as the engine reads them: typed by the rules for events, with everything that is wrong told. The staging
 * table is in memory, made anew for each request.
 */
import type { StreamName, TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Framed } from '../collect/index.ts';
import type { Field, StreamDefinition, TableDefinition } from '../define/model.ts';
import { classifierOf } from '../ingest/index.ts';
import {
  databaseOf,
  dimensionColumnType,
  type Engine,
  fieldColumnType,
  quoteIdentifier,
} from '../store/index.ts';
import { TOLD_MAX } from './port.ts';

export interface StageParts {
  readonly engine: Pick<Engine, 'execute' | 'rows'>;
  readonly files: FileSystem;
  /** Absolute path of a directory for files that are made anew at each request. */
  readonly directory: string;
}

/** In a row: from when on it is valid. */
export const VALID_FROM = '_valid_from';

/** The rows of a table, read as events would be. */
export function rowsAsStream(table: TableDefinition): StreamDefinition {
  const validFrom: Field = { name: VALID_FROM, type: { kind: 'timestamp' }, optional: true };
  return {
    kind: 'stream',
    name: table.name as StreamName,
    fields: table.history ? [...table.fields, validFrom] : table.fields,
    eventId: table.key,
    eventTime: undefined,
    partitionBy: undefined,
    partitions: 1,
    dedupeWithinMs: 0,
    lateness: undefined,
    futureAllowedMs: 0,
    retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
  };
}

/** A table of which only the key is known. */
export const keyOnly = (table: TableDefinition): TableDefinition => ({
  ...table,
  fields: table.fields.filter((field) => field.name === table.key),
});

export const stageName = (tenant: TenantId, table: string): string =>
  `${databaseOf(tenant)}.${quoteIdentifier(`stage_dimension_${table}`)}`;

/**
 * Stages the lines; the staging table has the fields' columns, `_valid_from` where there is history, `_offset` (the row's
 * number). Fails with `bad-body`, and then nothing of the request may be taken.
 */
export async function stageRows(
  { engine, files, directory }: StageParts,
  tenant: TenantId,
  table: TableDefinition,
  { records, rejections }: Framed,
  nowMs: number,
): Promise<void> {
  refuse(
    rejections.errors.map(({ index, field, reason }) => ({ index, field, reason })),
    rejections.count,
  );
  const stream = rowsAsStream(table);
  const { select, columns, reasons } = classifierOf(stream);
  const name = stageName(tenant, table.name);
  const fields = stream.fields.map((field) => {
    const type = field.name === VALID_FROM ? fieldColumnType(field) : stagedType(table, field);
    return `${quoteIdentifier(field.name)} ${type}, `;
  });
  await engine.execute({
    text: `CREATE OR REPLACE TABLE ${name} (${fields.join('')}_id String, _id_hash UInt128, _time DateTime64(3, 'UTC'), _received DateTime64(3, 'UTC'), _partition UInt16, _offset UInt64, _extra String, _code UInt16, _line String) ENGINE = Memory`,
  });
  const path = `${directory}/rows-${tenant}-${table.name}`;
  await files.mkdir(directory);
  const file = await files.open(path, 'create');
  try {
    await file.writev(records.chunks, 0);
  } finally {
    await file.close();
  }
  try {
    await engine.execute({
      text: `INSERT INTO ${name} (${[...columns, '_code', '_line'].map(quoteIdentifier).join(', ')}) ${select(path)} SETTINGS min_insert_block_size_rows = 1, max_insert_threads = 2`,
      params: { partition: 0, from: 0n, starts: [0n], received: [BigInt(nowMs)], idHigh: [0n], idLow: [0n] },
    });
  } finally {
    await files.unlink(path);
  }
  const tooLate = table.history ? `ifNull(toUnixTimestamp64Milli(${VALID_FROM}), 0) > {now:Int64}` : 'false';
  const bad = await engine.rows<{ row: string; code: string; extra: string; count: string }>({
    text: `SELECT _offset AS row, _code AS code, substring(_extra, 1, 200) AS extra, count() OVER () AS count FROM ${name} WHERE _code != 0 OR _extra != '' OR ${tooLate} ORDER BY _offset LIMIT ${TOLD_MAX}`,
    params: { now: nowMs },
  });
  refuse(
    bad.map(({ row, code, extra }) => {
      const known = reasons.find((one) => one.code === Number(code));
      const index = Number(row);
      if (known) return { index, field: known.field, reason: known.reason.replace('the event', 'the row') };
      const stranger = /^\{"((?:[^"\\]|\\.)*)"/.exec(extra)?.[1];
      return stranger === undefined
        ? { index, field: VALID_FROM, reason: 'must not lie in the future' }
        : { index, field: stranger, reason: 'is no field of the table' };
    }),
    Number(bad[0]?.count ?? 0),
  );
}

/** Required fields come as they are: what the classifier has refused holds a default. */
const stagedType = (table: TableDefinition, field: Field): string =>
  field.optional ? dimensionColumnType(table, field) : fieldColumnType(field);

interface Mistake {
  readonly index: number;
  readonly field: string;
  readonly reason: string;
}

function refuse(mistakes: readonly Mistake[], rows: number): void {
  if (rows === 0) return;
  const issues = mistakes.map(
    ({ index, field, reason }): Issue => ({
      path: field === '' ? `rows.${index}` : `rows.${index}.${field}`,
      message: reason,
    }),
  );
  const [first] = issues;
  throw new MillraceError(
    'bad-body',
    `${rows} of the rows ${rows === 1 ? 'does' : 'do'} not fit the table, so none was taken: ${first?.path} ${first?.message}${issues.length > 1 ? ' …' : ''}`,
    { issues },
  );
}
