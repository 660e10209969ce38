/**
 * Staging: the engine parses and types a batch's lines into a table in memory, from which the batch's inserts are
 * made. It can be made again from the log at any time.
 */
import type { TenantId } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import { columnOf, type StreamDefinition } from '../define/model.ts';
import {
  databaseOf,
  type Engine,
  fieldColumnType,
  quoteIdentifier,
  quoteText,
  type Statement,
} from '../store/index.ts';
import { type Batch, bytesOf } from './batch.ts';
import type { Classifier } from './classify.ts';
import type { Decision } from './decide.ts';
import { StagedRows } from './staged-rows.ts';

export interface StageArea {
  readonly engine: Engine;
  readonly files: FileSystem;
  /** Absolute path of a directory for files that are made anew at each batch. */
  readonly directory: string;
}

/** The engine reads so few lines on one thread in any case. */
const SMALL_BYTES_MAX = 2 ** 20;

export const isSmall = (batch: Pick<Batch, 'blocks'>): boolean => bytesOf(batch) <= SMALL_BYTES_MAX;

/** An empty staging table with the columns of this version of the stream. */
export async function createStage(
  area: StageArea,
  tenant: TenantId,
  stream: StreamDefinition,
  name: string,
): Promise<string> {
  const table = `${databaseOf(tenant)}.${quoteIdentifier(name)}`;
  const fields = stream.fields.map(
    (field) => `${quoteIdentifier(columnOf(field))} ${fieldColumnType(field)}, `,
  );
  await area.engine.execute({
    text: `CREATE OR REPLACE TABLE ${table} (${fields.join('')}_id String, _id_hash UInt128, _time DateTime64(3, 'UTC'), _received DateTime64(3, 'UTC'), _partition UInt16, _offset UInt64, _extra String, _code UInt16, _line String) ENGINE = Memory`,
  });
  return table;
}

/** Gives the staged rows' memory back. */
export function clearStage(area: StageArea, table: string): Promise<void> {
  return area.engine.execute({ text: `TRUNCATE TABLE ${table}` });
}

export function dropStage(area: StageArea, table: string): Promise<void> {
  return area.engine.execute({ text: `DROP TABLE IF EXISTS ${table}` });
}

/** A file for the engine to read; it need not survive anything. */
async function writeScratch(area: StageArea, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const open = () => area.files.open(path, 'create');
  // Somebody may have cleared the scratch directory away.
  const file = await open().catch(async () => {
    await area.files.mkdir(area.directory);
    return open();
  });
  try {
    await file.writev(chunks, 0);
  } finally {
    await file.close();
  }
}

const scratchPath = (area: StageArea, what: string, { key, from }: Batch): string =>
  `${area.directory}/${what}-${key.tenant}-${key.stream}-${key.partition}-${from}`;

/** Writes the batch's lines to a file and lets the engine classify them into the staging table. */
export async function fillStage(
  area: StageArea,
  batch: Batch,
  classifier: Classifier,
  table: string,
): Promise<void> {
  const path = scratchPath(area, table.replaceAll(/\W/g, ''), batch);
  await writeScratch(
    area,
    path,
    batch.blocks.map((block) => block.payload),
  );
  try {
    await area.engine.execute(stageStatement(batch, classifier, table, path));
  } finally {
    await area.files.unlink(path);
  }
}

/** Its many short expressions take the engine's older analyzer two thirds of the time that the newer one needs. */
function stageStatement(batch: Batch, classifier: Classifier, table: string, path: string): Statement {
  const columns = [...classifier.columns, '_code', '_line'].map(quoteIdentifier).join(', ');
  const isNarrow = isSmall(batch);
  const threads = isNarrow ? 1 : 2;
  return {
    text: `INSERT INTO ${table} (${columns}) ${classifier.select(path)} SETTINGS min_insert_block_size_rows = 1, max_insert_threads = ${threads}, input_format_parallel_parsing = ${isNarrow ? 0 : 1}, enable_analyzer = 0`,
    params: {
      partition: batch.key.partition,
      from: BigInt(batch.from),
      starts: batch.blocks.map((block) => BigInt(block.baseOffset - batch.from)),
      received: batch.blocks.map((block) => BigInt(block.receivedAtMs)),
      idHigh: batch.blocks.map((block) => viewOf(block.idBase).getBigUint64(0)),
      idLow: batch.blocks.map((block) => viewOf(block.idBase).getBigUint64(8)),
    },
  };
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What the engine says of each staged record, by offset. */
export async function readStage(area: StageArea, table: string): Promise<StagedRows> {
  // As it lies there: a time is its milliseconds.
  const text = `SELECT _offset, _id_hash, _code, _time, notEmpty(_extra) FROM ${table} ORDER BY _offset`;
  return new StagedRows(await area.engine.query({ text }, 'RowBinary'));
}

/** SQL conditions over the staging table: which rows go where. */
export interface Verdicts {
  readonly storable: string;
  readonly quarantined: string;
  readonly discarded: string;
  /** Of the discarded rows: dropped for lateness. */
  readonly dropped: string;
  /** File that the conditions read; to be removed when they are not needed any more. */
  readonly path: string | undefined;
}

const DUPLICATE = 1;
const DROPPED = 2;
const QUARANTINED_LATE = 3;

/** Hands the decision over to the engine: verdicts that its own classification does not tell go through a file. */
export async function writeVerdicts(area: StageArea, batch: Batch, decision: Decision): Promise<Verdicts> {
  const { duplicates, dropped, quarantinedLate } = decision;
  const count = duplicates.length + dropped.length + quarantinedLate.length;
  if (count === 0)
    return {
      storable: '_code = 0',
      quarantined: '_code != 0',
      discarded: 'false',
      dropped: 'false',
      path: undefined,
    };
  const path = scratchPath(area, 'verdicts', batch);
  const bytes = new DataView(new ArrayBuffer(count * 9));
  let at = 0;
  for (const [offsets, verdict] of [
    [duplicates, DUPLICATE],
    [dropped, DROPPED],
    [quarantinedLate, QUARANTINED_LATE],
  ] as const) {
    for (const offset of offsets) {
      bytes.setBigUint64(at, BigInt(offset), true);
      bytes.setUint8(at + 8, verdict);
      at += 9;
    }
  }
  await writeScratch(area, path, [new Uint8Array(bytes.buffer)]);
  const among = (condition: string) =>
    `_offset IN (SELECT o FROM file(${quoteText(path)}, 'RowBinary', 'o UInt64, v UInt8')${condition})`;
  return {
    storable: `_code = 0 AND NOT ${among('')}`,
    quarantined:
      quarantinedLate.length === 0
        ? '_code != 0'
        : `(_code != 0 OR ${among(` WHERE v = ${QUARANTINED_LATE}`)})`,
    discarded: `_code = 0 AND ${among(` WHERE v != ${QUARANTINED_LATE}`)}`,
    dropped: dropped.length === 0 ? 'false' : among(` WHERE v = ${DROPPED}`),
    path,
  };
}
