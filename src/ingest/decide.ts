/**
 * Decides what becomes of every record of a batch: the engine parses and types the lines into a staging table in
 * memory, the dedup index says which ids were seen. The staging table can be made again from the log at any time.
 */

import type { FileSystem } from '../base/files.ts';
import type { StreamDefinition } from '../define/model.ts';
import {
  databaseOf,
  type Engine,
  fieldColumnType,
  quoteIdentifier,
  quoteText,
  type Statement,
} from '../store/index.ts';
import type { Batch } from './batch.ts';
import { type Classifier, DROPPED_CODE } from './classify.ts';
import type { DedupIndex } from './dedup-index.ts';
import type { BatchOutcome } from './outcomes.ts';

/** A batch whose every record has its place. */
export interface Decided {
  readonly batch: Batch;
  readonly outcome: BatchOutcome;
  readonly watermarkMs: number | undefined;
  readonly watermarkAfterMs: number | undefined;
  readonly withUnknownFields: number;
  readonly stage: Stage;
}

/** The staged records of one batch; `storable` is the SQL condition for those that go to raw and rollups. */
export interface Stage {
  readonly table: string;
  readonly storable: string;
}

export interface StageArea {
  readonly engine: Engine;
  readonly files: FileSystem;
  /** Absolute path of a directory for files that are made anew at each batch. */
  readonly directory: string;
}

/** Bytes of one row of the answer that tells codes and hashes: offset u64, hash u128, code u16, late u8. */
const ROW_BYTES = 27;
const NO_WATERMARK = -(2 ** 53);

/** An empty staging table with the columns of this version of the stream. */
export async function createStage(
  area: StageArea,
  batch: Batch,
  stream: StreamDefinition,
  slot: number,
): Promise<string> {
  const table = `${databaseOf(batch.key.tenant)}.${quoteIdentifier(`stage_${stream.name}_${slot}`)}`;
  const fields = stream.fields.map((field) => `${quoteIdentifier(field.name)} ${fieldColumnType(field)}, `);
  await area.engine.execute({
    text: `CREATE OR REPLACE TABLE ${table} (${fields.join('')}_id String, _id_hash UInt128, _time DateTime64(3, 'UTC'), _received DateTime64(3, 'UTC'), _partition UInt16, _offset UInt64, _extra String, _code UInt16, _late UInt8, _line String) ENGINE = Memory`,
  });
  return table;
}

/** Gives the staged rows' memory back. */
export function clearStage(area: StageArea, table: string): Promise<void> {
  return area.engine.execute({ text: `TRUNCATE TABLE ${table}` });
}

/** A file for the engine to read; it need not survive anything. */
async function writeScratch(area: StageArea, path: string, chunks: readonly Uint8Array[]): Promise<void> {
  const file = await area.files.open(path, 'create');
  try {
    await file.writev(chunks, 0);
  } finally {
    await file.close();
  }
}

/** Writes the batch's lines to a file and lets the engine classify them into the staging table. */
export async function fillStage(
  area: StageArea,
  batch: Batch,
  classifier: Classifier,
  table: string,
  watermarkMs: number | undefined,
): Promise<void> {
  const path = `${area.directory}/lines-${batch.key.stream}-${batch.key.partition}-${batch.from}`;
  await writeScratch(
    area,
    path,
    batch.blocks.map((block) => block.payload),
  );
  try {
    await area.engine.execute(stageStatement(batch, classifier, table, path, watermarkMs));
  } finally {
    await area.files.unlink(path);
  }
}

function stageStatement(
  batch: Batch,
  classifier: Classifier,
  table: string,
  path: string,
  watermarkMs: number | undefined,
): Statement {
  const columns = [...classifier.columns, '_code', '_late', '_line'].map(quoteIdentifier).join(', ');
  return {
    text: `INSERT INTO ${table} (${columns}) ${classifier.select(path)} SETTINGS min_insert_block_size_rows = 1, max_insert_threads = 2`,
    params: {
      partition: batch.key.partition,
      from: BigInt(batch.from),
      starts: batch.blocks.map((block) => BigInt(block.baseOffset - batch.from)),
      received: batch.blocks.map((block) => BigInt(block.receivedAtMs)),
      idHigh: batch.blocks.map((block) => viewOf(block.idBase).getBigUint64(0)),
      idLow: batch.blocks.map((block) => viewOf(block.idBase).getBigUint64(8)),
      watermark: BigInt(watermarkMs ?? NO_WATERMARK),
    },
  };
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads codes and id hashes of the staged rows in log order, and finds the duplicates. */
export async function classifyRows(
  area: StageArea,
  batch: Batch,
  table: string,
  index: DedupIndex | undefined,
): Promise<BatchOutcome> {
  const bytes = await area.engine.query(
    {
      text: `SELECT _offset, _id_hash, _code, _late FROM ${table} WHERE _code != 0 OR _late != 0${index ? ' OR _id_hash != 0' : ''} ORDER BY _offset`,
    },
    'RowBinary',
  );
  const view = viewOf(bytes);
  const receivedAt = arrivals(batch);
  const outcome = {
    from: batch.from as number,
    to: batch.to as number,
    duplicates: [] as number[],
    quarantined: [] as number[],
    dropped: [] as number[],
    late: [] as number[],
  };
  for (let at = 0; at < bytes.byteLength; at += ROW_BYTES) {
    const offset = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    const code = view.getUint16(at + 24, true);
    if (view.getUint8(at + 26) !== 0) outcome.late.push(offset);
    if (code === DROPPED_CODE) outcome.dropped.push(offset);
    else if (code !== 0) outcome.quarantined.push(offset);
    else if (index) {
      const a = view.getUint32(at + 8, true);
      const b = view.getUint32(at + 12, true);
      const c = view.getUint32(at + 16, true);
      const d = view.getUint32(at + 20, true);
      if (a === 0 && b === 0 && c === 0 && d === 0) continue;
      const arrivedAt = receivedAt(offset);
      if (index.has(a, b, c, d, arrivedAt)) outcome.duplicates.push(offset);
      else index.add(a, b, c, d, arrivedAt);
    }
  }
  return outcome;
}

/** Arrival of each offset of the batch; asked in ascending order. */
function arrivals(batch: Batch): (offset: number) => number {
  let at = 0;
  return (offset) => {
    while (offset >= batch.blocks[at]!.baseOffset + batch.blocks[at]!.count) at += 1;
    return batch.blocks[at]!.receivedAtMs;
  };
}

export interface StageFacts {
  /** Greatest event time of the storable rows; undefined when there are none. */
  readonly latestMs: number | undefined;
  readonly withUnknownFields: number;
}

/** Facts of the storable rows as a whole. */
export async function measureStage(area: StageArea, stage: Stage): Promise<StageFacts> {
  const [row] = await area.engine.rows<{ rows: string; latest: string; extra: string }>({
    text: `SELECT count() AS rows, max(toUnixTimestamp64Milli(_time)) AS latest, countIf(_extra != '') AS extra FROM ${stage.table} WHERE ${stage.storable}`,
  });
  const rows = Number(row?.rows ?? 0);
  return {
    latestMs: rows === 0 ? undefined : Number(row!.latest),
    withUnknownFields: Number(row?.extra ?? 0),
  };
}

/** The condition for rows that are stored; many duplicates are handed over as a file. */
export async function stageWithout(
  area: StageArea,
  batch: Batch,
  staged: Stage,
  duplicates: readonly number[],
): Promise<{ readonly stage: Stage; readonly release: () => Promise<void> }> {
  if (duplicates.length === 0) return { stage: staged, release: async () => undefined };
  const path = `${area.directory}/duplicates-${batch.key.stream}-${batch.key.partition}-${batch.from}`;
  const offsets = new BigUint64Array(duplicates.length);
  duplicates.forEach((offset, i) => {
    offsets[i] = BigInt(offset);
  });
  await writeScratch(area, path, [new Uint8Array(offsets.buffer)]);
  return {
    stage: {
      table: staged.table,
      storable: `${staged.storable} AND _offset NOT IN (SELECT o FROM file(${quoteText(path)}, 'RowBinary', 'o UInt64'))`,
    },
    release: () => area.files.unlink(path),
  };
}
