/**
 * Which questions can be asked together: they differ in the value of one dimension, and a rollup's buckets answer them.
 * Pure.
 */
import type { Field, FieldType } from '../define/model.ts';
import { columnOf } from '../define/model.ts';
import type { EngineRow } from './answer.ts';
import type { StatFunction } from './functions.ts';
import { joins } from './joins.ts';
import type { PreparedQuestion } from './prepare.ts';
import type { Condition } from './where.ts';

export interface Lookup {
  readonly prepared: PreparedQuestion;
  /** The dimension that is looked up. */
  readonly field: Field;
  /** As the engine writes it in JSON. */
  readonly value: string;
  /** The conditions that all share. */
  readonly others: readonly Condition[];
  /** Equal for questions that one statement answers. */
  readonly shape: string;
}

/** Their values have one spelling, in a condition and in JSON. */
const KINDS: readonly FieldType['kind'][] = ['string', 'enum', 'int32', 'int64', 'uint64', 'uuid'];

/** Undefined: it has to be asked alone. */
export function lookupOf(prepared: PreparedQuestion): Lookup | undefined {
  const { question, plan, tenant, stream, starts } = prepared;
  if (question.by.length > 0 || !plan.rollup || joins(question)) return undefined;
  if (!plan.pieces.every((piece) => piece.tierSeconds !== undefined)) return undefined;
  if (!question.functions.every(isSameInAnyOrder)) return undefined;
  const equal = question.where.filter(({ op, field }) => op === 'eq' && KINDS.includes(field.type.kind));
  const found = equal[0];
  if (!found || question.where.filter(({ field }) => field === found.field).length > 1) return undefined;
  const others = question.where.filter((one) => one !== found);
  const shape = JSON.stringify([
    [tenant, stream.name, plan.rollup.definition.name, plan.rollup.version, columnOf(found.field)],
    // A name may mean another column when the field was renamed meanwhile.
    question.functions.map(({ name }, at) => [name, plan.statesOf[at]]),
    [question.every, question.zone, starts.length, starts[0], starts.at(-1)],
    plan.pieces.map(({ tierSeconds, fromMs, toMs }) => [tierSeconds, fromMs, toMs]),
    others.map(({ field, op, values }) => [columnOf(field), op, values]),
  ]);
  return { prepared, field: found.field, value: found.values[0]!, others, shape };
}

/**
 * Whether reading or merging in another order gives the same bytes. Sums of floats do not, nor do sketches of frequent values
 * that have run full.
 */
export const isSameInAnyOrder = (one: StatFunction): boolean =>
  one.fn !== 'top' && !((one.fn === 'sum' || one.fn === 'avg') && one.field.type.kind === 'float64');

/** One question for all of them; its rows carry the value that was looked up in front of the functions. */
export function together(lookups: readonly Lookup[]): PreparedQuestion {
  const { prepared, field, others } = lookups[0]!;
  const values = lookups.map(({ value }) => value);
  const where: readonly Condition[] = [...others, { field, op: 'in', values }];
  return { ...prepared, question: { ...prepared.question, by: [field], where, order: [] }, totalOrder: [] };
}

/** The same, of no bucket at all: its only row is that of a value that does not occur. */
export function ofNothing({ prepared }: Lookup): PreparedQuestion {
  const { plan } = prepared;
  const pieces = plan.pieces.slice(0, 1).map((piece) => ({ ...piece, toMs: piece.fromMs }));
  return { ...prepared, plan: { ...plan, pieces } };
}

/** The rows of each value, as they would have come if it had been asked for alone. */
export function apart(
  rows: readonly EngineRow[],
  isSeries: boolean,
): ReadonlyMap<string, readonly EngineRow[]> {
  const found = new Map<string, EngineRow[]>();
  const at = isSeries ? 1 : 0;
  for (const row of rows) {
    const text = row[at]!;
    // Texts come quoted, integers as they are.
    const value = text.startsWith('"') ? (JSON.parse(text) as string) : text;
    const own = [...row.slice(0, at), ...row.slice(at + 1)];
    const before = found.get(value);
    if (before) before.push(own);
    else found.set(value, [own]);
  }
  return found;
}
