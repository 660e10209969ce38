/**
 * Puts a decided batch into the store: one insert per table, each one block, each with its own proof that it is
 * there. After an unknown outcome the proof is read; a table that has it is left alone.
 *
 *   events, quarantine   the rows carry (_partition, _offset): any row of the range proves the whole block
 *   rollups              the row of _tier 0 carries the offset up to which the table is complete
 */
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import {
  type Engine,
  eventsTable,
  markRow,
  quarantineTable,
  quoteIdentifier,
  quoteText,
  readMarks,
  rollupDelta,
  rollupTable,
} from '../store/index.ts';
import { type Classifier, DROPPED_CODE } from './classify.ts';
import type { Decided } from './decide.ts';
import { countRange } from './range.ts';

export interface ApplyPlan {
  readonly engine: Engine;
  readonly stream: StreamDefinition;
  readonly rollups: readonly Versioned<RollupDefinition>[];
  readonly classifier: Classifier;
  readonly decided: Decided;
  /** Rows that the range must not already have: false only when nothing was tried before. */
  readonly checkFirst: boolean;
}

/** Everything that the batch owes to each table. Repeating it is safe when `checkFirst` is true. */
export async function applyBatch(plan: ApplyPlan): Promise<void> {
  const { decided } = plan;
  const stored =
    decided.outcome.to -
    decided.outcome.from -
    decided.outcome.quarantined.length -
    decided.outcome.duplicates.length -
    decided.outcome.dropped.length;
  const steps: Promise<void>[] = [];
  if (stored > 0) steps.push(insertEvents(plan));
  if (decided.outcome.quarantined.length > 0) steps.push(insertQuarantine(plan));
  for (const rollup of plan.rollups) steps.push(insertRollup(plan, rollup));
  // All must end before anything is retried: an insert that is still running could land behind a check.
  const results = await Promise.allSettled(steps);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

async function insertEvents(plan: ApplyPlan): Promise<void> {
  const { engine, decided, classifier, stream } = plan;
  const table = eventsTable(decided.batch.key.tenant, stream.name);
  if (plan.checkFirst && (await holdsRange(plan, table))) return;
  const columns = classifier.columns.map(quoteIdentifier).join(', ');
  await engine.execute({
    text: `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${decided.stage.table} WHERE ${decided.stage.storable}`,
  });
}

async function insertQuarantine(plan: ApplyPlan): Promise<void> {
  const { engine, decided, classifier, stream } = plan;
  const table = quarantineTable(decided.batch.key.tenant, stream.name);
  if (plan.checkFirst && (await holdsRange(plan, table))) return;
  const codes = `[${classifier.reasons.map((reason) => reason.code).join(', ')}]`;
  const texts = (part: 'reason' | 'field') =>
    `[${classifier.reasons.map((reason) => quoteText(reason[part])).join(', ')}]`;
  await engine.execute({
    text: `INSERT INTO ${table} (_partition, _offset, _received, reason, field, line)
SELECT _partition, _offset, _received, transform(_code, ${codes}, ${texts('reason')}, ''), transform(_code, ${codes}, ${texts('field')}, ''), _line
FROM ${decided.stage.table} WHERE _code != 0 AND _code != ${DROPPED_CODE}`,
  });
}

async function insertRollup(plan: ApplyPlan, rollup: Versioned<RollupDefinition>): Promise<void> {
  const { engine, decided, stream } = plan;
  const { key, to } = decided.batch;
  if (plan.checkFirst) {
    const marks = await engine.rows<{ partition: string; applied: string }>({
      text: readMarks(key.tenant, rollup.definition.name, rollup.version),
    });
    const mark = marks.find((one) => Number(one.partition) === key.partition);
    if (mark && Number(mark.applied) >= to) return;
  }
  const source = `(SELECT * FROM ${decided.stage.table} WHERE ${decided.stage.storable})`;
  await engine.execute({
    text: `INSERT INTO ${rollupTable(key.tenant, rollup.definition.name, rollup.version)} ${rollupDelta(stream, rollup.definition, source)} UNION ALL ${markRow(stream, rollup.definition, key.partition, to)}`,
  });
}

/** Inserts are atomic, so one row of the range proves all of them. */
async function holdsRange(plan: ApplyPlan, table: string): Promise<boolean> {
  const { key, from, to } = plan.decided.batch;
  return (await countRange(plan.engine, table, key, from, to)) > 0;
}
