/**
 * The statement behind a question. Each piece of the plan selects states: a rollup's rows as they are, the events
 * through the aggregate functions that made the rollup's rows. One GROUP BY merges them, the outermost SELECT
 * finishes them and writes every value as JSON text, so that no digit passes through a JavaScript number.
 *
 *   SELECT [toJSONString(…), …] AS row FROM (
 *     SELECT _b, `d.city`, sum(`_count`) AS `m._count` FROM (
 *       SELECT … FROM rollup WHERE _tier = …  UNION ALL  SELECT … FROM events WHERE _time … GROUP BY …
 *     ) GROUP BY _b, `d.city`
 *   ) ORDER BY … LIMIT …
 */
import type { TenantId } from '../base/brand.ts';
import { columnOf, type Field, type StreamDefinition } from '../define/model.ts';
import {
  eventsTable,
  quoteIdentifier,
  rollupTable,
  type StateColumn,
  type Statement,
} from '../store/index.ts';
import { bucketsSql } from './buckets-sql.ts';
import type { StatFunction } from './functions.ts';
import {
  amongKeys,
  dimensionAlias,
  joinsOf,
  keyAlias,
  pastCondition,
  type TablesUpTo,
  withCurrent,
  withPast,
} from './join-sql.ts';
import { isJoined, type JoinedField } from './joins.ts';
import type { OrderKey, Question } from './parse.ts';
import type { Piece, Plan } from './plan.ts';
import { type Condition, conditionSql, Parameters } from './where.ts';

export interface StatsStatement {
  readonly tenant: TenantId;
  readonly stream: StreamDefinition;
  readonly question: Pick<Question, 'functions' | 'by' | 'where' | 'every'> &
    Partial<Pick<Question, 'asOfEvent'>>;
  readonly plan: Plan;
  /** Starts of the answer's buckets, epoch ms; empty for one total. */
  readonly starts: readonly number[];
  /** Undefined: the rows in no order, for a series that is ordered after it is filled. */
  readonly order: readonly OrderKey[] | undefined;
  readonly rowsMax: number;
  /** Absent: everything as it stands. */
  readonly pinned?: PinnedData;
}

/** What a data version holds. */
export interface PinnedData {
  /** A condition on the events. */
  readonly below: string;
  readonly tables: TablesUpTo;
  /** The answer depends on the order in which events are read, and is to be the same each time. */
  readonly isOrdered: boolean;
}

/** Rows of one array of JSON texts: the bucket (epoch ms) if there is one, the dimensions, the functions. */
export function toSql(asked: StatsStatement): Statement {
  const { question, plan } = asked;
  const parameters = new Parameters();
  const series = asked.starts.length > 0;
  const keys = [...(series ? ['_b'] : []), ...question.by.map(dimensionAlias)];
  const joinsCurrent = !question.asOfEvent && question.by.some(isJoined);
  const found = joinsCurrent ? keysFound(asked) : keys;
  const grouping = keys.length > 0 ? ` GROUP BY ${keys.join(', ')}` : '';
  const bucket = series ? bucketSql(asked, parameters) : undefined;
  const sources = sourcesOf(asked, bucket, found, parameters);
  const merged = plan.states.map(
    (state) => `${mergeSql(state, question.functions)} AS ${mergedAlias(state.name)}`,
  );
  const row = [
    ...(series ? ['_b'] : []),
    ...question.by.map((field) => dimensionOut(field)),
    ...question.functions.map((one, index) => functionSql(one, index, asked)),
  ].map((value) => `toJSONString(${value})`);
  const order = asked.order ? orderSql(asked, asked.order) : '';
  return {
    text: `SELECT [${row.join(', ')}] AS row FROM (
SELECT ${[...keys, ...merged].join(', ')} FROM (
${joinsCurrent ? joinedSql(asked, found, sources, parameters) : sources.join('\nUNION ALL\n')}
)${grouping}
)${order} LIMIT ${asked.rowsMax} ${BOUNDED}${asked.pinned?.isOrdered ? `, ${IN_ONE_ORDER}` : ''}`,
    params: parameters.values,
  };
}

export const RESULT_BYTES_MAX = 64 * 2 ** 20;
/** An answer is held in memory whole. */
export const BOUNDED = `SETTINGS max_result_bytes = ${RESULT_BYTES_MAX}, result_overflow_mode = 'throw'`;

/** One thread over rows that are sorted whole: also the blocks in which they come are the same, whatever parts they lie in. */
const IN_ONE_ORDER = 'max_threads = 1, optimize_read_in_order = 0, query_plan_remove_redundant_sorting = 0';
const ALL_STANDS: TablesUpTo = () => undefined;

/** What the states are merged by before the keys of tables get their columns. */
const keysFound = ({ starts, question }: StatsStatement): readonly string[] => [
  ...(starts.length > 0 ? ['_b'] : []),
  ...question.by.filter((field) => !isJoined(field)).map(dimensionAlias),
  ...joinsOf(question.by).map(([join]) => keyAlias(join)),
];

function joinedSql(
  { tenant, question, plan, starts, pinned }: StatsStatement,
  found: readonly string[],
  sources: readonly string[],
  parameters: Parameters,
): string {
  const between = (state: StateColumn): string => quoteIdentifier(`q.${state.name}`);
  const merged = plan.states.map((state) => `${state.merge} AS ${between(state)}`);
  const rows = `SELECT ${[...found, ...merged].join(', ')} FROM (\n${sources.join('\nUNION ALL\n')}\n) GROUP BY ${found.join(', ')}`;
  const carried = [
    ...(starts.length > 0 ? ['_b'] : []),
    ...question.by.filter((field) => !isJoined(field)).map(dimensionAlias),
    ...plan.states.map(between),
  ];
  const upTo = pinned?.tables ?? ALL_STANDS;
  const joined = withCurrent(tenant, question.by, rows, carried, question.where, parameters, upTo);
  const keys = [...(starts.length > 0 ? ['_b'] : []), ...question.by.map(dimensionAlias)];
  const states = plan.states.map((state) => `${between(state)} AS ${quoteIdentifier(state.name)}`);
  return `SELECT ${[...keys, ...states].join(', ')} FROM (${joined})`;
}

const mergedAlias = (state: string): string => quoteIdentifier(`m.${state}`);

/** How a moment in epoch ms (`x`) becomes the start of its bucket. */
function bucketSql({ question, starts }: StatsStatement, parameters: Parameters): (moment: string) => string {
  if (question.every?.kind === 'fixed') {
    const width = parameters.bind('Int64', question.every.ms);
    return (moment) => `${moment} - positiveModulo(${moment}, ${width})`;
  }
  const boundaries = parameters.bind('Array(Int64)', starts);
  return (moment) => `roundDown(${moment}, ${boundaries})`;
}

function sourcesOf(
  { tenant, stream, question, plan, pinned }: StatsStatement,
  bucket: ((moment: string) => string) | undefined,
  keys: readonly string[],
  parameters: Parameters,
): string[] {
  const upTo = pinned?.tables ?? ALL_STANDS;
  const past = question.asOfEvent ? question.where.filter(isOnTable) : [];
  const conditions = question.where
    .filter((condition) => !past.some((one) => one === condition))
    .map((condition) =>
      isOnTable(condition)
        ? amongKeys(tenant, condition, parameters, upTo)
        : conditionSql(condition, parameters),
    );
  const dimensions = [
    ...question.by.flatMap((field) => {
      if (!isJoined(field)) return `${quoteIdentifier(columnOf(field))} AS ${dimensionAlias(field)}`;
      return question.asOfEvent ? dimensionAlias(field) : [];
    }),
    ...(question.asOfEvent
      ? []
      : joinsOf(question.by).map(([join]) => `${quoteIdentifier(columnOf(join.via))} AS ${keyAlias(join)}`)),
  ];
  const select = (moment: string, states: (state: StateColumn) => string): string =>
    [
      ...(bucket ? [`toInt64(${bucket(moment)}) AS _b`] : []),
      ...dimensions,
      ...plan.states.map((state) => `${states(state)} AS ${quoteIdentifier(state.name)}`),
    ].join(', ');
  const sources: string[] = [];
  const fromRollup = plan.pieces.filter((piece) => piece.tierSeconds !== undefined);
  if (plan.rollup && fromRollup.length > 0) {
    const where = [bucketsSql(fromRollup), ...conditions];
    sources.push(
      `SELECT ${select('_bucket * 1000', (state) => quoteIdentifier(state.name))} FROM ${rollupTable(tenant, plan.rollup.definition.name, plan.rollup.version)} WHERE ${where.join(' AND ')}`,
    );
  }
  const fromEvents = plan.pieces.filter((piece) => piece.tierSeconds === undefined);
  if (fromEvents.length > 0) {
    const where = [
      anyOf(fromEvents.map((piece) => timeRange(piece, parameters))),
      ...(pinned === undefined ? [] : [pinned.below]),
      ...conditions,
    ];
    const grouping = keys.length > 0 ? ` GROUP BY ${keys.join(', ')}` : '';
    let rows = `${eventsTable(tenant, stream.name)} WHERE ${where.join(' AND ')}`;
    if (pinned?.isOrdered) rows = `(SELECT * FROM ${rows} ORDER BY _time, _partition, _offset)`;
    if (question.asOfEvent) {
      const fields = [...question.by, ...past.map(({ field }) => field)];
      const holds = past.map((condition) => pastCondition(condition, parameters));
      rows = `(${withPast(tenant, fields, `SELECT * FROM ${rows}`, upTo)})${holds.length > 0 ? ` WHERE ${holds.join(' AND ')}` : ''}`;
    }
    sources.push(
      `SELECT ${select('toUnixTimestamp64Milli(_time)', (state) => state.fromEvents)} FROM ${rows}${grouping}`,
    );
  }
  return sources;
}

const isOnTable = (condition: Condition): condition is Condition & { readonly field: JoinedField } =>
  isJoined(condition.field);

const anyOf = (ranges: readonly string[]): string =>
  ranges.length === 1 ? ranges[0]! : `(${ranges.map((range) => `(${range})`).join(' OR ')})`;

export function timeRange({ fromMs, toMs }: Omit<Piece, 'tierSeconds'>, parameters: Parameters): string {
  return `_time >= fromUnixTimestamp64Milli(${parameters.bind('Int64', fromMs)}, 'UTC') AND _time < fromUnixTimestamp64Milli(${parameters.bind('Int64', toMs)}, 'UTC')`;
}

/** Merges a state to its final value; percentiles of one field share a single merge. */
function mergeSql(state: StateColumn, functions: readonly StatFunction[]): string {
  const levels = levelsOf(state.name, functions);
  if (levels.length > 0) {
    return `quantilesDDMerge(0.01, ${levels.map(levelText).join(', ')})(${quoteIdentifier(state.name)})`;
  }
  return state.type.startsWith('AggregateFunction') ? `finalizeAggregation(${state.merge})` : state.merge;
}

function levelsOf(state: string, functions: readonly StatFunction[]): number[] {
  const levels = functions.flatMap((one) =>
    one.fn === 'quantile' && state === `quantile.${columnOf(one.field)}` ? [one.level] : [],
  );
  return [...new Set(levels)];
}

/** Never in exponent form, which is no literal of a level. */
const levelText = (level: number): string => level.toFixed(10).replace(/0+$/, '');

/** The value of a function over the merged states. `rate` comes as the count: seconds are divided in later. */
function functionSql(one: StatFunction, index: number, { question, plan }: StatsStatement): string {
  const [first = '', second = ''] = plan.statesOf[index]!.map(mergedAlias);
  switch (one.fn) {
    case 'avg':
      return `if(${second} = 0, NULL, toFloat64(${first}) / ${second})`;
    case 'quantile':
      return `${first}[${levelsOf(plan.statesOf[index]![0]!, question.functions).indexOf(one.level) + 1}]`;
    case 'top': {
      // Equal counts come in the order of the values, so that the same question has one answer.
      const sorted = `arraySort(x -> (-toInt64(x.2), x.1), arrayMap(x -> (x.1, x.2, x.3), ${first}))`;
      return `CAST(arraySlice(${sorted}, 1, ${one.k}), 'Array(Tuple(value String, count UInt64, error UInt64))')`;
    }
    case 'min':
    case 'max':
      // Which of two zeros is less is decided by who comes first: without its sign it is the same from every table.
      return one.field.type.kind === 'float64' ? `${first} + 0` : first;
    default:
      return first;
  }
}

/**
 * A dimension as it is shown and ordered. Ids and addresses sort as the text that people see, not as the engine's
 * bytes; the engine keeps IPv4 addresses inside IPv6.
 */
function dimensionOut(field: Field): string {
  const alias = dimensionAlias(field);
  if (field.type.kind === 'uuid') return `toString(${alias})`;
  if (field.type.kind !== 'ip') return alias;
  return `replaceRegexpOne(toString(${alias}), '^::ffff:([0-9]+[.])', '\\\\1')`;
}

function orderSql(asked: StatsStatement, order: readonly OrderKey[]): string {
  const { by, functions } = asked.question;
  const keys = order.map(({ of, descending }) => {
    if (of === 'time') return '_b';
    const value =
      'dimension' in of
        ? dimensionOut(by[of.dimension]!)
        : functionSql(functions[of.function]!, of.function, asked);
    return `${value} ${descending ? 'DESC' : 'ASC'} NULLS LAST`;
  });
  const ties = by.map((field) => `${dimensionOut(field)} ASC NULLS LAST`);
  return keys.length + ties.length > 0 ? ` ORDER BY ${[...keys, ...ties].join(', ')}` : '';
}
