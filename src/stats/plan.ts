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
import type { Condition } from './where.ts';

/** `[fromMs, toMs)`, answered by a tier of the chosen rollup or by the events (`tierSeconds` undefined). */
export interface Piece {
  readonly tierSeconds: number | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Plan {
  readonly rollup: Versioned<RollupDefinition> | undefined;
  /** By time. At least one. */
  readonly pieces: readonly Piece[];
  /** The states that every piece yields, each once. */
  readonly states: readonly StateColumn[];
  /** The states behind each function of the question, by name. */
  readonly statesOf: readonly (readonly string[])[];
  /** The same by their places in `states`. */
  readonly placesOf: readonly (readonly number[])[];
  /** `rollup NAME`, `events`, or both. */
  readonly source: string;
}

export interface PlanFacts {
  readonly stream: StreamDefinition;
  readonly question: PlannedQuestion;
  readonly fromMs: number;
  readonly toMs: number;
  /** Starts of the answer's buckets; empty for one total. */
  readonly starts: readonly number[];
  /** The rollups of the stream. */
  readonly rollups: readonly Versioned<RollupDefinition>[];
  /**
   * Event time from which on the events are all there; what lies before only rollups can answer. Asked only when the events are
   * to answer. Absent: they all are.
   */
  readonly eventsCompleteSinceMs?: (() => number | undefined) | undefined;
}

type Needs = Pick<Plan, 'states' | 'statesOf' | 'placesOf'>;

/** What of a question decides which rollups can answer it. */
export type PlannedQuestion = Pick<Question, 'functions' | 'by'> & {
  readonly where: readonly Pick<Condition, 'field'>[];
  readonly asOfEvent?: boolean;
};

/** A rollup that has what a question needs, whatever time it asks about. */
export interface Fit {
  readonly rollup: Versioned<RollupDefinition>;
  readonly needs: Needs;
  /** Widest first. */
  readonly tiers: readonly number[];
  /** Columns of the table. */
  readonly width: number;
}

export function planQuestion(facts: PlanFacts): Plan {
  return planWithFits(facts, fitsOf(facts));
}

/** The rollups that can answer, for questions that are asked again of other times. */
export function fitsOf({
  stream,
  question,
  rollups,
}: Pick<PlanFacts, 'stream' | 'question' | 'rollups'>): Fit[] {
  // The time of an event is known of events alone.
  return question.asOfEvent ? [] : rollups.flatMap((rollup) => fitOf(stream, question, rollup) ?? []);
}

/** As `planQuestion`, with the fits of its question. */
export function planWithFits(facts: PlanFacts, fits: readonly Fit[]): Plan {
  let best: Candidate | undefined;
  for (const fit of fits) {
    const candidate = planWith(facts, fit);
    if (candidate && (!best || isBetter(candidate, best))) best = candidate;
  }
  if (best) return best.plan;
  const plan = planEvents(facts);
  if (plan.pieces.every((piece) => isComplete(facts, piece))) return plan;
  const since = new Date(facts.eventsCompleteSinceMs!()!).toISOString();
  throw new MillraceError(
    'bad-question',
    `the events before ${since} are no longer kept, and no rollup answers this question exactly; begin at ${since} or later, or ask for whole buckets of a rollup`,
    { issues: [{ path: 'from', message: `must not lie before ${since} for this question` }] },
  );
}

const isBetter = (a: Candidate, b: Candidate): boolean => {
  const order = a.cost - b.cost || a.width - b.width;
  return order < 0 || (order === 0 && a.plan.source < b.plan.source);
};

/** Events that retention has forgotten must not be counted as none. */
const isComplete = (facts: PlanFacts, piece: Piece): boolean =>
  piece.tierSeconds !== undefined ||
  piece.fromMs >= (facts.eventsCompleteSinceMs?.() ?? Number.NEGATIVE_INFINITY);

interface Candidate {
  readonly plan: Plan;
  readonly cost: number;
  /** Columns of the table. */
  readonly width: number;
}

function fitOf(
  stream: StreamDefinition,
  question: PlannedQuestion,
  rollup: Versioned<RollupDefinition>,
): Fit | undefined {
  const { definition } = rollup;
  const needed = [...question.by, ...question.where.map((condition) => condition.field)].map(readBy);
  if (!needed.every((field) => definition.by.includes(field.name))) return undefined;
  const needs = statesFor(stream, question, (field, k) => keptTop(definition, field, k) ?? Number.NaN);
  if (!needs) return undefined;
  const kept = rollupStates(stream, definition);
  const isKept = needs.states.every((state) =>
    kept.some((one) => one.name === state.name && one.type === state.type),
  );
  if (!isKept) return undefined;
  const tiers = tiersOf(definition.everySeconds).toReversed();
  return { rollup, needs, tiers, width: definition.by.length + kept.length };
}

function planWith(facts: PlanFacts, { rollup, needs, tiers, width }: Fit): Candidate | undefined {
  const { definition } = rollup;
  const pieces = cut(facts.fromMs, facts.toMs, usableTiers(tiers, facts));
  if (pieces.every((piece) => piece.tierSeconds === undefined)) return undefined;
  if (!pieces.every((piece) => isComplete(facts, piece))) return undefined;
  const events = pieces.some((piece) => piece.tierSeconds === undefined);
  const source = `rollup ${definition.name}${events ? ' + events' : ''}`;
  return {
    plan: { rollup, pieces, ...needs, source },
    cost: pieces.reduce((sum, piece) => sum + costOf(piece, definition.by.length), 0),
    width,
  };
}

function planEvents(facts: PlanFacts): Plan {
  const needs = statesFor(facts.stream, facts.question, (field, k) => {
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
  stream: StreamDefinition,
  question: PlannedQuestion,
  topK: (field: string, k: number) => number,
): Needs | undefined {
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
  const names = [...states.keys()];
  const placesOf = statesOf.map((those) => those.map((name) => names.indexOf(name)));
  return { states: [...states.values()], statesOf, placesOf };
}

/** A sum needs no count of its values, a mean does. */
const neededBy = (one: StatFunction, column: StateColumn): boolean =>
  one.fn !== 'sum' || !column.name.startsWith('n.');

/** Tiers, widest first, whose buckets never straddle a boundary of the answer's buckets. */
function usableTiers(tiers: readonly number[], { starts, fromMs }: PlanFacts): readonly number[] {
  if (starts.length === 0) return tiers;
  return tiers.filter((tier) => starts.every((start) => start <= fromMs || start % (tier * 1_000) === 0));
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
