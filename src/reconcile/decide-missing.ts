/**
 * Decides records again that are in no table, as they would have been decided in their place: lateness by the events
 * that stand before them, and an id that another event has makes them duplicates. A quarantined record of which a copy
 * was replayed goes back to quarantine: its copy counts.
 */
import { judgedLateness } from '../define/model.ts';
import { type Batch, type Decision, decideRows, type Target } from '../ingest/index.ts';
import { replayedTable } from '../store/index.ts';
import { BOUNDED, type ReconcileParts, rangesOf } from './parts.ts';
import { keepingLines, type Restage, type Staged } from './restage.ts';
import type { Scope } from './scope.ts';

export interface DecidedCounts {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly dropped: number;
}

export const REPLAYED_REASON = 'was quarantined, and a copy of it was replayed';

/** One insert for each table; all records of a batch arrived on one day. Call it while nothing is applied. */
export async function decideMissing(
  { engine }: Pick<ReconcileParts, 'engine'>,
  { batches }: Restage,
  scope: Scope,
  batch: Batch,
  wanted: readonly number[],
): Promise<DecidedCounts> {
  const { definition, version } = scope.stream;
  const staged = await batches.stage(batch, keepingLines(definition), version);
  try {
    const copied = await replayedAmong(engine, scope, batch, wanted);
    const typed = typedAmong(staged);
    const back = wanted.filter((offset) => copied.has(offset) && typed.has(offset));
    if (back.length > 0) {
      await engine.execute({
        text: `INSERT INTO ${scope.raw.quarantine} (_partition, _offset, _received, reason, field, line, _id) SELECT _partition, _offset, _received, '${REPLAYED_REASON}', '', _line, _id FROM ${staged.table} WHERE _offset IN (${back.join(', ')})`,
      });
    }
    const isBack = new Set(back);
    const left = wanted.filter((offset) => !isBack.has(offset));
    const none = { stored: 0, duplicates: 0, quarantined: back.length, dropped: 0 };
    if (left.length === 0) return none;
    if (left.length < batch.to - batch.from) {
      await engine.execute({
        text: `ALTER TABLE ${staged.table} DELETE WHERE _offset NOT IN (${left.join(', ')}) SETTINGS mutations_sync = 2`,
      });
    }
    const decision = await decide(engine, scope, staged, left);
    const { duplicates, quarantined, dropped } = decision;
    const stored = left.length - duplicates.length - quarantined.length - dropped.length;
    const targets: readonly (readonly [Target, number])[] = [
      [{ kind: 'events', table: scope.raw.events }, stored],
      [{ kind: 'quarantine', table: scope.raw.quarantine }, quarantined.length],
      [{ kind: 'discarded', table: scope.raw.discarded }, duplicates.length + dropped.length],
    ];
    for (const [target, rows] of targets) if (rows > 0) await batches.insert(target, staged, decision);
    return {
      ...{ stored, duplicates: duplicates.length, dropped: dropped.length },
      quarantined: quarantined.length + back.length,
    };
  } finally {
    await batches.release(staged);
  }
}

type Rows = Pick<ReconcileParts['engine'], 'rows'>;

async function decide(
  engine: Rows,
  scope: Scope,
  staged: Staged,
  wanted: readonly number[],
): Promise<Decision> {
  const { batch, rows } = staged;
  const { dedupeWithinMs } = scope.stream.definition;
  const lateness = judgedLateness(scope.stream.definition);
  const stands = dedupeWithinMs > 0 ? await idsThatStand(engine, scope, staged) : new Set<number>();
  const taken = new Set<string>();
  const before = lateness ? await storedAround(engine, scope, batch) : [];
  let next = 0;
  let watermarkMs: number | undefined;
  const parts: Decision[] = [];
  for (const { from, to } of rangesOf(wanted)) {
    for (; next < before.length && before[next]!.offset < from; next += 1) {
      watermarkMs = Math.max(watermarkMs ?? Number.NEGATIVE_INFINITY, before[next]!.timeMs);
    }
    const part = decideRows({
      ...{ from, to, blocks: batch.blocks, rows: rows.between(from, to), lateness, watermarkMs },
      seen: (a, b, c, d, _atMs, offset) => {
        if (dedupeWithinMs === 0) return false;
        const id = `${a} ${b} ${c} ${d}`;
        if (stands.has(offset) || taken.has(id)) return true;
        taken.add(id);
        return false;
      },
    });
    watermarkMs = part.watermarkMs ?? watermarkMs;
    parts.push(part);
  }
  const all = (of: (part: Decision) => readonly number[]): number[] => parts.flatMap(of);
  return {
    ...{ from: batch.from, to: batch.to, watermarkMs },
    ...{ duplicates: all((part) => part.duplicates), quarantined: all((part) => part.quarantined) },
    quarantinedLate: all((part) => part.quarantinedLate),
    ...{ dropped: all((part) => part.dropped), late: all((part) => part.late) },
  };
}

function typedAmong({ rows }: Staged): ReadonlySet<number> {
  const typed = new Set<number>();
  for (let row = 0; row < rows.count; row += 1) if (rows.code(row) === 0) typed.add(rows.offset(row));
  return typed;
}

/** Of which of the records a copy was appended to the log. */
async function replayedAmong(
  engine: Rows,
  scope: Scope,
  { key, from, to }: Batch,
  wanted: readonly number[],
): Promise<ReadonlySet<number>> {
  const found = await engine.rows<{ o: string }>(
    {
      text: `SELECT DISTINCT _offset AS o FROM ${replayedTable(scope.tenant, scope.stream.definition.name)} WHERE _partition = ${key.partition} AND _offset >= ${from} AND _offset < ${to}`,
    },
    BOUNDED,
  );
  const copied = new Set(found.map(({ o }) => Number(o)));
  return new Set(wanted.filter((offset) => copied.has(offset)));
}

/** Staged records whose ids stored events have. */
async function idsThatStand(engine: Rows, scope: Scope, { table }: Staged): Promise<ReadonlySet<number>> {
  const own = `SELECT _id_hash FROM ${table} WHERE _id_hash != 0`;
  const rows = await engine.rows<{ o: string }>(
    {
      text: `SELECT _offset AS o FROM ${table} WHERE _id_hash != 0 AND _id_hash IN (SELECT _id_hash FROM ${scope.raw.events} WHERE _id_hash IN (${own}))`,
    },
    BOUNDED,
  );
  return new Set(rows.map(({ o }) => Number(o)));
}

/** The greatest event time stored before the batch, and those of the events that stand in its range, by offset. */
async function storedAround(
  engine: Rows,
  scope: Scope,
  { key, from, to }: Batch,
): Promise<readonly { readonly offset: number; readonly timeMs: number }[]> {
  const of = `FROM ${scope.raw.events} WHERE _partition = ${key.partition}`;
  const time = 'toUnixTimestamp64Milli(_time)';
  const rows = await engine.rows<{ o: string; at: string }>(
    {
      text: `SELECT o, at FROM (SELECT toInt64(-1) AS o, max(${time}) AS at ${of} AND _offset < ${from} HAVING count() > 0 UNION ALL SELECT toInt64(_offset) AS o, ${time} AS at ${of} AND _offset >= ${from} AND _offset < ${to}) ORDER BY o`,
    },
    BOUNDED,
  );
  return rows.map(({ o, at }) => ({ offset: Number(o), timeMs: Number(at) }));
}
