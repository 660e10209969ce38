/** A prepared question put to the recent buckets in memory; whoever cannot be answered there is left to the engine. */
import { columnOf } from '../define/model.ts';
import type { HotEdge, HotGroup, HotQuestion, HotReader, HotValue } from '../hot/index.ts';
import type { Ingest } from '../ingest/port.ts';
import type { StateColumn } from '../store/index.ts';
import type { EngineRow } from './answer.ts';
import { compareJson } from './compare.ts';
import type { StatFunction } from './functions.ts';
import { joins } from './joins.ts';
import { dimensionJson, floatJson, valueJson } from './memory-text.ts';
import { memoryWhere } from './memory-where.ts';
import type { Piece } from './plan.ts';
import type { PreparedQuestion } from './prepare.ts';

/** More rows of a total are put in order by the engine. */
const ORDERED_MAX = 5_000;

/** A piece of events lies in buckets of which memory may know the events, or that they hold nothing of what is asked for. */
function edgeOf({ fromMs, toMs }: Piece, everySeconds: number): HotEdge {
  const widthMs = everySeconds * 1_000;
  return {
    fromSeconds: Math.floor(fromMs / widthMs) * everySeconds,
    toSeconds: Math.ceil(toMs / widthMs) * everySeconds,
    fromMs,
    toMs,
  };
}

/** The rows that `askEngine` would give, or undefined. */
export function askMemory(
  hot: HotReader,
  ingest: Pick<Ingest, 'state'>,
  prepared: PreparedQuestion,
): readonly EngineRow[] | undefined {
  const { tenant, stream, question, plan } = prepared;
  const { rollup } = plan;
  // Tables lie in the engine, and so do sketches.
  if (!rollup || joins(question) || !plan.states.every(mergesInMemory)) return undefined;
  const asked = hotQuestionOf(prepared, rollup.definition.everySeconds);
  if (!asked) return undefined;
  const found = hot.answer(
    { tenant, stream, rollup },
    (partition) => ingest.state({ tenant, stream: stream.name, partition }).applied,
    asked,
  );
  if (!found || (question.every === undefined && found.length > ORDERED_MAX)) return undefined;
  const rows: EngineRow[] = [];
  for (const group of found) {
    const row = rowOf(prepared, group);
    if (!row) return undefined;
    rows.push(row);
  }
  return question.every === undefined ? ordered(prepared, rows) : rows;
}

const mergesInMemory = ({ type }: StateColumn): boolean => type.startsWith('SimpleAggregateFunction');

function hotQuestionOf(
  { question, starts, plan }: PreparedQuestion,
  everySeconds: number,
): HotQuestion | undefined {
  let first: Piece | undefined;
  let last: Piece | undefined;
  const edges: HotEdge[] = [];
  for (const piece of plan.pieces) {
    if (piece.tierSeconds === undefined) edges.push(edgeOf(piece, everySeconds));
    else {
      first ??= piece;
      last = piece;
    }
  }
  const conditions = memoryWhere(question.where);
  if (!first || !last || !conditions) return undefined;
  return {
    fromSeconds: first.fromMs / 1_000,
    toSeconds: last.toMs / 1_000,
    edges,
    starts,
    equal: conditions.equal,
    tests: conditions.tests,
    by: question.by.map(columnOf),
    states: plan.states.map((state) => state.name),
  };
}

function rowOf({ question, plan }: PreparedQuestion, group: HotGroup): EngineRow | undefined {
  const row: string[] = group.startMs === undefined ? [] : [String(group.startMs)];
  for (const [index, field] of question.by.entries()) row.push(dimensionJson(field, group.by[index]!));
  for (const [index, one] of question.functions.entries()) {
    const [first = -1, second = -1] = plan.placesOf[index]!;
    const text = functionJson(one, group.states[first] ?? null, group.states[second] ?? null);
    if (text === undefined) return undefined;
    row.push(text);
  }
  return row;
}

function functionJson(one: StatFunction, first: HotValue, second: HotValue): string | undefined {
  switch (one.fn) {
    case 'count':
    case 'rate':
      return String(first);
    case 'sum':
    case 'min':
    case 'max':
      // Zeros have no sign, as in statement.ts.
      if (one.field.type.kind === 'float64' && typeof first === 'number') return finiteJson(first + 0);
      return valueJson(one.field.type, first);
    case 'avg': {
      if (second === 0) return 'null';
      // A sum that no double holds is turned into one by the engine's own rounding.
      if (typeof first !== 'number' || typeof second !== 'number') return undefined;
      const { type } = one.field;
      return finiteJson((type.kind === 'decimal' ? first / powerOfTen(type.scale) : first) / second);
    }
    default:
      return undefined;
  }
}

/** What is infinite is shown as null and yet ordered as the greatest, by the engine alone. */
const finiteJson = (value: number): string | undefined =>
  Number.isFinite(value) ? floatJson(value) : undefined;

/** The nearest double, which `10 ** n` is not from 26 on. */
const powerOfTen = (exponent: number): number => Number(`1e${exponent}`);

/** As the statement would order and cut them. */
function ordered(
  { question, totalOrder }: PreparedQuestion,
  rows: readonly EngineRow[],
): readonly EngineRow[] {
  if (question.by.length === 0) return rows.slice(0, question.limit);
  const keys = [
    ...totalOrder.flatMap(({ of, descending }) => {
      if (of === 'time') return [];
      return { at: 'dimension' in of ? of.dimension : question.by.length + of.function, descending };
    }),
    ...question.by.map((_, at) => ({ at, descending: false })),
  ];
  return rows
    .toSorted((a, b) => {
      for (const { at, descending } of keys) {
        const order = compareJson(a[at]!, b[at]!, descending);
        if (order !== 0) return order;
      }
      return 0;
    })
    .slice(0, question.limit);
}
