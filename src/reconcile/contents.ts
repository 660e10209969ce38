/**
 * What is stored against what the log says: every record is parsed again and held against its row. Rows were made under
 * the definition of their time, so a row is wrong only when it fits no version.
 */
import { columnOf, type StreamDefinition } from '../define/model.ts';
import type { Batch } from '../ingest/index.ts';
import { quoteIdentifier } from '../store/index.ts';
import {
  BOUNDED,
  type BrokenParts,
  LISTED_MAX,
  type Pulse,
  type ReconcileParts,
  rangesOf,
  readable,
} from './parts.ts';
import type { Difference, Unverifiable } from './port.ts';
import { batchAt, keepingLines, openRestage, type Restage } from './restage.ts';
import type { PartitionScope, RawTable, Scope } from './scope.ts';

const VERSIONS_MAX = 20;

export interface WrongRows {
  readonly partition: PartitionScope;
  readonly table: RawTable;
  /** Ascending. */
  readonly offsets: readonly number[];
}

export interface ContentFindings {
  readonly count: number;
  readonly listed: readonly Difference[];
  readonly unverifiable: readonly Unverifiable[];
  readonly remarks: readonly string[];
}

export async function compareContents(
  parts: ReconcileParts,
  run: string,
  scope: Scope,
  broken: BrokenParts,
  pulse: Pulse,
): Promise<ContentFindings> {
  const listed: Difference[] = [];
  let count = 0;
  for await (const { partition, table, offsets } of wrongRows(parts, run, scope, broken, pulse)) {
    count += offsets.length;
    for (const { from, to } of rangesOf(offsets)) {
      if (listed.length >= LISTED_MAX) break;
      listed.push({
        ...{ kind: 'content', where: table, partition: partition.key.partition, from, to },
        ...{ expected: 'what the log says', found: 'something else' },
        why: `the log was parsed again under every version of the definition, and none gives the row that the ${table} table has: it was changed by hand or on disk`,
      });
    }
  }
  const unverifiable = scope.partitions
    .filter(({ from, cut, logStart }) => from < Math.min(cut, logStart))
    .map(({ key, from, cut, logStart }) => ({
      ...{ where: 'contents', partition: key.partition, from, to: Math.min(cut, logStart) },
      why: 'the log has forgotten these records, so their rows cannot be held against it',
    }));
  return { count, listed, unverifiable, remarks: [] };
}

/** Rows of one batch and table at a time. */
export async function* wrongRows(
  parts: ReconcileParts,
  run: string,
  scope: Scope,
  broken: BrokenParts,
  pulse: Pulse,
): AsyncIterable<WrongRows> {
  const restage = await openRestage(parts, run);
  try {
    for (const partition of scope.partitions) {
      let at = Math.max(partition.from, partition.logStart);
      while (at < partition.cut) {
        pulse.throwIfEnding();
        pulse.step(`comparing contents: partition ${partition.key.partition}, offset ${at}`);
        const batch = await batchAt(parts, partition.key, at);
        for (const table of ['events', 'quarantine', 'discarded'] as const) {
          const to = Math.min(batch.to, partition.cut);
          const offsets = await wrongIn(parts, restage, scope, broken, batch, table, at, to);
          if (offsets.length > 0) yield { partition, table, offsets };
        }
        at = batch.to;
      }
    }
  } finally {
    await restage.close();
  }
}

async function wrongIn(
  { catalog }: Pick<ReconcileParts, 'catalog'>,
  restage: Restage,
  scope: Scope,
  broken: BrokenParts,
  batch: Batch,
  table: RawTable,
  from: number,
  to: number,
): Promise<readonly number[]> {
  const { version: newest, definition } = scope.stream;
  let wrong: readonly number[] | undefined;
  for (let version = newest; version > Math.max(0, newest - VERSIONS_MAX); version -= 1) {
    const then =
      version === newest ? definition : catalog.streamVersion(scope.tenant, definition.name, version);
    if (!then) continue;
    const found = new Set(await wrongUnder(restage, scope, broken, batch, table, from, to, then, version));
    wrong = wrong === undefined ? [...found] : wrong.filter((offset) => found.has(offset));
    // A line is the same under every definition.
    if (wrong.length === 0 || table === 'quarantine') break;
  }
  return wrong ?? [];
}

async function wrongUnder(
  { area, batches }: Restage,
  scope: Scope,
  broken: BrokenParts,
  batch: Batch,
  table: RawTable,
  from: number,
  to: number,
  definition: StreamDefinition,
  version: number,
): Promise<readonly number[]> {
  const live = scope.raw[table];
  const range = `${readable(broken, live)} AND _partition = ${batch.key.partition} AND _offset >= ${from} AND _offset < ${to}`;
  const [there] = await area.engine.rows({ text: `SELECT 1 FROM ${live} WHERE ${range} LIMIT 1` }, BOUNDED);
  if (there === undefined) return [];
  const staged = await batches.stage(batch, keepingLines(definition), version);
  try {
    const [kept, parsed] = hashesOf(table, definition);
    const rows = await area.engine.rows<{ o: string }>(
      {
        text: `SELECT DISTINCT _offset AS o FROM ${live} WHERE ${range} AND (_offset, ${kept}) NOT IN (SELECT _offset, ${parsed} FROM ${staged.table}${table === 'quarantine' ? '' : ' WHERE _code = 0'}) ORDER BY o`,
      },
      BOUNDED,
    );
    return rows.map(({ o }) => Number(o));
  } finally {
    await batches.release(staged);
  }
}

/** SQL: a hash of what a row says, and of what the staged row says. */
function hashesOf(table: RawTable, definition: StreamDefinition): readonly [string, string] {
  if (table === 'quarantine') return ['sipHash64(line, _received)', 'sipHash64(_line, _received)'];
  const common = ['_id', '_id_hash', '_time', '_received'];
  if (table === 'discarded') {
    const hash = `sipHash64(${common.join(', ')})`;
    return [hash, hash];
  }
  const fields = definition.fields.map(
    (field) => `ifNull(toString(${quoteIdentifier(columnOf(field))}), '\\\\N')`,
  );
  const hash = `sipHash64(${[...common, '_extra', ...fields].join(', ')})`;
  return [hash, hash];
}
