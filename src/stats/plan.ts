/**
 * Which tables answer a question. Pure: facts in, decision out.
 *
 * A rollup can stand in for the events when it keeps every dimension that the question groups or filters by, and a
 * state for every function. Its buckets are used where they lie wholly inside the asked range and inside the
 * buckets of the answer: the widest tier takes the middle of the range, finer tiers what is left at both ends, the
 * events the rest. The pieces are disjoint and their union is the range, so that merging their states gives the
 * number that all the events would give.
 *
 *      from                                                               to
 *       |events|  10 s  |   1 m   |        1 h        |  1 m  | 10 s |events|
 */
import { MillraceError } from '../base/errors.ts';
import type { Versioned } from '../catalog/port.ts';
import { type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import { COUNT_STATE, rollupStates, type StateColumn, stateColumns } from '../store/index.ts';
import { measureOf, type StatFunction } from './functions.ts';
import { readBy } from './joins.ts';
import type { Question } from './parse.ts';

/** `[fromMs, toMs)`, answered by a tier of the chosen rollup or by the events (`tierSeconds` undefined). */
export interface Piece {
  readonly tierSeconds: number | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Plan {
  readonly rollup: { readonly name: string; readonly version: number } | undefined;
  /** By time. At least one. */
  readonly pieces: readonly Piece[];
  /** The states that every piece yields, each once. */
  readonly states: readonly StateColumn[];
  /** The states behind each function of the question, by name. */
  readonly statesOf: readonly (readonly string[])[];
  /** `rollup NAME`, `events`, or both. */
  readonly source: string;
}

export interface PlanFacts {
  readonly stream: StreamDefinition;
  readonly question: Pick<Question, 'functions' | 'by' | 'where'> & Partial<Pick<Question, 'asOfEvent'>>;
  readonly fromMs: number;
  readonly toMs: number;
  /** Starts of the answer's buckets; empty for one total. */
  readonly starts: readonly number[];
  /** The rollups of the stream. */
  readonly rollups: readonly Versioned<RollupDefinition>[];
  /** Event time from which on the events are all there; what lies before only rollups can answer. */
  readonly eventsCompleteSinceMs?: number | undefined;
}

export function planQuestion(facts: PlanFacts): Plan {
  // The time of an event is known of events alone.
  const rollups = facts.question.asOfEvent ? [] : facts.rollups;
  const plans = rollups.flatMap((rollup) => planWith(facts, rollup));
  plans.sort((a, b) => a.cost - b.cost || a.width - b.width || (a.plan.source < b.plan.source ? -1 : 1));
  if (plans[0]) return plans[0].plan;
  const plan = planEvents(facts);
  if (plan.pieces.every((piece) => isComplete(facts, piece))) return plan;
  const since = new Date(facts.eventsCompleteSinceMs!).toISOString();
  throw new MillraceError(
    'bad-question',
    `the events before ${since} are no longer kept, and no rollup answers this question exactly; begin at ${since} or later, or ask for whole buckets of a rollup`,
    { issues: [{ path: 'from', message: `must not lie before ${since} for this question` }] },
  );
}

/** Events that retention has forgotten must not be counted as none. */
const isComplete = (facts: PlanFacts, piece: Piece): boolean =>
  piece.tierSeconds !== undefined ||
  facts.eventsCompleteSinceMs === undefined ||
  piece.fromMs >= facts.eventsCompleteSinceMs;

interface Candidate {
  readonly plan: Plan;
  readonly cost: number;
  /** Columns of the table. */
  readonly width: number;
}

function planWith(
  facts: PlanFacts,
  { definition: rollup, version }: Versioned<RollupDefinition>,
): Candidate[] {
  const { question } = facts;
  const needed = [...question.by, ...question.where.map((condition) => condition.field)].map(readBy);
  if (!needed.every((field) => rollup.by.includes(field.name))) return [];
  const needs = statesFor(facts, (field, k) => keptTop(rollup, field, k) ?? Number.NaN);
  if (!needs) return [];
  const kept = rollupStates(facts.stream, rollup);
  if (
    !needs.states.every((state) => kept.some((one) => one.name === state.name && one.type === state.type))
  ) {
    return [];
  }
  const pieces = cut(facts.fromMs, facts.toMs, usableTiers(rollup, facts));
  if (pieces.every((piece) => piece.tierSeconds === undefined)) return [];
  if (!pieces.every((piece) => isComplete(facts, piece))) return [];
  const events = pieces.some((piece) => piece.tierSeconds === undefined);
  const source = `rollup ${rollup.name}${events ? ' + events' : ''}`;
  return [
    {
      plan: { rollup: { name: rollup.name, version }, pieces, ...needs, source },
      cost: pieces.reduce((sum, piece) => sum + costOf(piece, rollup.by.length), 0),
      width: rollup.by.length + kept.length,
    },
  ];
}

function planEvents(facts: PlanFacts): Plan {
  const needs = statesFor(facts, (field, k) => {
    // The sketch of a rollup that has one, so that both give the same answer.
    const sizes = facts.rollups.flatMap(({ definition }) => keptTop(definition, field, k) ?? []);
    return sizes.length > 0 ? Math.min(...sizes) : Math.max(k, TOP_K_MIN);
  });
  const piece: Piece = { tierSeconds: undefined, fromMs: facts.fromMs, toMs: facts.toMs };
  return { rollup: undefined, pieces: [piece], ...needs!, source: 'events' };
}

/** A sketch for few values is a poor one: it keeps ten counters for each. */
const TOP_K_MIN = 100;

/** The size of the rollup's sketch of the field's frequent values, if it is large enough. */
function keptTop(rollup: RollupDefinition, field: string, k: number): number | undefined {
  for (const { measure } of rollup.measures) {
    if (measure.fn === 'top' && measure.field === field && measure.k >= k) return measure.k;
  }
  return undefined;
}

function statesFor(
  { stream, question }: PlanFacts,
  topK: (field: string, k: number) => number,
): Pick<Plan, 'states' | 'statesOf'> | undefined {
  const states = new Map<string, StateColumn>([[COUNT_STATE.name, COUNT_STATE]]);
  const statesOf: string[][] = [];
  // One sketch of a field serves every top() of it: the largest k decides.
  const largest = (field: string): number =>
    Math.max(...question.functions.map((one) => (one.fn === 'top' && one.field.name === field ? one.k : 0)));
  for (const one of question.functions) {
    const measure = measureOf(one, (field) => topK(field, largest(field)));
    if (measure.fn === 'top' && Number.isNaN(measure.k)) return undefined;
    const columns = measure.fn === 'count' ? [COUNT_STATE] : stateColumns(stream, measure);
    for (const column of columns) if (neededBy(one, column)) states.set(column.name, column);
    statesOf.push(columns.filter((column) => neededBy(one, column)).map((column) => column.name));
  }
  return { states: [...states.values()], statesOf };
}

/** A sum needs no count of its values, a mean does. */
const neededBy = (one: StatFunction, column: StateColumn): boolean =>
  one.fn !== 'sum' || !column.name.startsWith('n.');

/** Tiers, widest first, whose buckets never straddle a boundary of the answer's buckets. */
function usableTiers(rollup: RollupDefinition, { starts, fromMs }: PlanFacts): readonly number[] {
  const aligned = (tier: number) => starts.every((start) => start <= fromMs || start % (tier * 1_000) === 0);
  return tiersOf(rollup.everySeconds).toReversed().filter(aligned);
}

/** Cuts a range: the widest tier takes all that it can, what is left at the ends goes to the finer ones. */
function cut(fromMs: number, toMs: number, tiers: readonly number[]): Piece[] {
  if (fromMs >= toMs) return [];
  const [tier, ...finer] = tiers;
  if (tier === undefined) return [{ tierSeconds: undefined, fromMs, toMs }];
  const widthMs = tier * 1_000;
  const first = Math.ceil(fromMs / widthMs) * widthMs;
  const last = Math.floor(toMs / widthMs) * widthMs;
  if (first >= last) return cut(fromMs, toMs, finer);
  return [
    ...cut(fromMs, first, finer),
    { tierSeconds: tier, fromMs: first, toMs: last },
    ...cut(last, toMs, finer),
  ];
}

const EVENTS_PER_MS_GUESS = 1;
const VALUES_PER_DIMENSION_GUESS = 30;

/**
 * A guess of the rows that a piece reads: 1 000 events a second, 30 values of each dimension, and never more rows
 * in a bucket than events. Only the order of the costs matters, never the answer.
 */
function costOf(piece: Piece, dimensions: number): number {
  const ms = piece.toMs - piece.fromMs;
  const events = ms * EVENTS_PER_MS_GUESS;
  if (piece.tierSeconds === undefined) return events;
  const buckets = ms / (piece.tierSeconds * 1_000);
  return Math.min(events, buckets * VALUES_PER_DIMENSION_GUESS ** dimensions);
}
