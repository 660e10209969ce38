/**
 * The statement that finds the buckets of a rollup that are not what the events come to. Both sides are merged by
 * bucket and dimensions, every state is finalised to something that does not depend on how it was made:
 *
 *   counts, sums, min, max      exactly; sums of float64 within 1e-9, for they depend on the order of additions
 *   unique                      the number
 *   quantile                    five levels
 *   top                         the greatest counts, and the values that no tie can exchange; only in buckets with no more
 *                               events than the sketch has counters, or with fewer values than it keeps: beyond that a
 *                               sketch depends on how it was merged
 */
import { columnOf, fieldOf, type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import {
  inPeriodsSql,
  quoteIdentifier,
  rollupDelta,
  rollupStates,
  type StateColumn,
} from '../store/index.ts';

export const DAY_SECONDS = 86_400;
/** Event times lie between 1900 and 2299. */
const FIRST_DAY = Date.UTC(1900, 0, 1) / 86_400_000;
const LAST_DAY = Date.UTC(2299, 11, 31) / 86_400_000 + 1;

/** Buckets of all tiers that begin in [fromDay, toDay), days of event time since 1970. */
export interface BucketSlice {
  readonly fromDay: number;
  readonly toDay: number;
  /** Of them those whose dimensions hash to this part of `of`. */
  readonly part?: number;
  readonly of?: number;
}

/** The columns of a rollup's dimensions: a field that was renamed stays where it is. */
export const dimensionColumns = (stream: StreamDefinition, rollup: RollupDefinition): readonly string[] =>
  rollup.by.map((name) => columnOf(fieldOf(stream, name)!));

export interface BucketSides {
  readonly stream: StreamDefinition;
  readonly rollup: RollupDefinition;
  /** The rollup's table, or a shadow of it. */
  readonly table: string;
  /** SQL conditions on the rows that can be read. */
  readonly readableRows: string;
  /** The events table, and the same for it. */
  readonly events: string;
  readonly readableEvents: string;
  readonly completeSinceMs: number | undefined;
  /** Greatest magnitude of each field whose sum is a float64. */
  readonly magnitudes: Readonly<Record<string, number>>;
}

/** Start (epoch seconds) of the first bucket of a tier of which raw holds every event. */
export const firstComparable = (tierSeconds: number, completeSinceMs: number): number =>
  Math.ceil(completeSinceMs / 1_000 / tierSeconds) * tierSeconds;

/** SQL: is it a row of a bucket in the slice that can be compared? In the words of the table's key, so that little is read. */
export function bucketsOf(
  { rollup, completeSinceMs }: Pick<BucketSides, 'rollup' | 'completeSinceMs'>,
  { fromDay, toDay }: BucketSlice,
): string {
  const conditions = tiersOf(rollup.everySeconds).flatMap((tier) => {
    const first = completeSinceMs === undefined ? -Infinity : firstComparable(tier, completeSinceMs);
    const from = Math.max(fromDay * DAY_SECONDS, first);
    const to = toDay * DAY_SECONDS;
    if (from >= to) return [];
    return `(${inPeriodsSql(tier, from, to)} AND _bucket >= ${from} AND _bucket < ${to})`;
  });
  return conditions.length === 0 ? 'false' : `(${conditions.join(' OR ')})`;
}

/** SQL: events of the slice. */
export function eventsOf(sides: BucketSides, slice: BucketSlice): string {
  const { events, readableEvents } = sides;
  const moment = (day: number) => {
    const known = Math.min(Math.max(day, FIRST_DAY), LAST_DAY);
    return `fromUnixTimestamp64Milli(toInt64(${known * DAY_SECONDS * 1_000}), 'UTC')`;
  };
  return `(SELECT * FROM ${events} WHERE ${readableEvents} AND _time >= ${moment(slice.fromDay)} AND _time < ${moment(slice.toDay)} AND ${hashPart(sides, slice)})`;
}

function hashPart({ stream, rollup }: BucketSides, { part, of }: BucketSlice): string {
  const columns = dimensionColumns(stream, rollup);
  if (part === undefined || of === undefined || columns.length === 0) return 'true';
  const texts = columns.map((name) => `ifNull(toString(${quoteIdentifier(name)}), '')`);
  return `sipHash64(${texts.join(', ')}) % ${of} = ${part}`;
}

const isFloatSum = (state: StateColumn): boolean => state.type === 'SimpleAggregateFunction(sum, Float64)';

/** Names of the states, in the order in which they are compared. */
export function comparedStates(stream: StreamDefinition, rollup: RollupDefinition) {
  const states = rollupStates(stream, rollup);
  return {
    exact: states.filter((state) => state.name !== '_count' && !isFloatSum(state)),
    floats: states.filter(isFloatSum),
  };
}

/** Columns whose sums are float64. */
export const floatColumns = (stream: StreamDefinition, rollup: RollupDefinition): readonly string[] =>
  comparedStates(stream, rollup).floats.map((state) => state.name.replace(/^sum\./, ''));

/** SQL: the greatest magnitude of each of those columns in the slice, one row. */
export const magnitudesStatement = (sides: BucketSides, slice: BucketSlice): string =>
  `SELECT ${floatColumns(sides.stream, sides.rollup)
    .map((field) => `toFloat64(max(abs(ifNull(${quoteIdentifier(field)}, 0)))) AS ${quoteIdentifier(field)}`)
    .join(', ')} FROM ${eventsOf(sides, slice)}`;

/** SQL: the state, merged and as a text. */
function finalised(state: StateColumn): string {
  const column = quoteIdentifier(state.name);
  const [kind] = state.name.split('.', 1);
  switch (kind) {
    case 'unique':
      return `toString(uniqCombined64Merge(14)(${column}))`;
    case 'quantile':
      return `toString(arrayMap(x -> x + 0, quantilesDDMerge(0.01, 0.01, 0.25, 0.5, 0.75, 0.99)(${column})))`;
    case 'top':
      return finalisedTop(state);
    default:
      return `ifNull(toString(${/Float64/.test(state.type) ? `${state.merge} + 0` : state.merge}), 'null')`;
  }
}

function finalisedTop(state: StateColumn): string {
  const [, k = '1', counters = '10'] = /approx_top_k\((\d+), (\d+)\)/.exec(state.type) ?? [];
  const list = `arrayMap(x -> (x.1, x.2), approx_top_kMerge(${k}, ${counters})(${quoteIdentifier(state.name)}))`;
  const isExact = `sum(_count) <= ${counters} OR length(${list}) < ${k}`;
  const counts = `arrayReverseSort(arrayMap(x -> x.2, ${list}))`;
  const certain = `arraySort(arrayFilter(x -> length(${list}) < ${k} OR x.2 > arrayMin(arrayMap(y -> y.2, ${list})), ${list}))`;
  return `if(${isExact}, toString((${counts}, ${certain})), '')`;
}

function folded({ stream, rollup }: BucketSides, source: string, where: string, side: 0 | 1): string {
  const { exact, floats } = comparedStates(stream, rollup);
  const keys = keysOf(stream, rollup);
  const texts = exact.map(finalised);
  const sums = floats.map((state) => state.merge);
  return `SELECT ${keys}, toUInt8(${side}) AS _side, sum(_count) AS _n, ${arrayOf(texts, 'String')} AS _exact, ${arrayOf(sums, 'Float64')} AS _floats FROM ${source} WHERE ${where} GROUP BY ${keys}`;
}

const arrayOf = (values: readonly string[], type: string): string =>
  values.length === 0 ? `CAST([], 'Array(${type})')` : `[${values.join(', ')}]`;

export const keysOf = (stream: StreamDefinition, rollup: RollupDefinition): string =>
  ['_tier', '_bucket', ...dimensionColumns(stream, rollup).map(quoteIdentifier)].join(', ');

/**
 * SQL: a row for each bucket of the slice that differs: `_tier`, `_bucket`, the dimensions, `_wn` and `_fn` (events by
 * the events and by the rollup), `_we`, `_fe` (texts of the exact states), `_wf`, `_ff` (sums of floats).
 */
export function differingBuckets(sides: BucketSides, slice: BucketSlice): string {
  const { stream, rollup, magnitudes } = sides;
  const where = `${bucketsOf(sides, slice)} AND ${hashPart(sides, slice)}`;
  const wanted = folded(sides, `(${rollupDelta(stream, rollup, eventsOf(sides, slice))})`, where, 0);
  const found = folded(sides, sides.table, `${sides.readableRows} AND ${where}`, 1);
  const fields = floatColumns(stream, rollup);
  // Sums that nearly cancel out have no relative precision: what counts is the size of what was added.
  const tolerances = fields.map((field) => `${(magnitudes[field] ?? 0) * 1e-12}`);
  const close =
    'a = b OR (isNaN(a) AND isNaN(b)) OR abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) + t * toFloat64(_wn)';
  const floats =
    fields.length === 0
      ? ''
      : ` OR arrayExists((a, b, t) -> NOT (${close}), arrayResize(_wf, ${fields.length}), arrayResize(_ff, ${fields.length}), [${tolerances.map((one) => `toFloat64(${one})`).join(', ')}])`;
  return `SELECT ${keysOf(stream, rollup)}, sumIf(_n, _side = 0) AS _wn, sumIf(_n, _side = 1) AS _fn,
  anyIf(_exact, _side = 0) AS _we, anyIf(_exact, _side = 1) AS _fe, anyIf(_floats, _side = 0) AS _wf, anyIf(_floats, _side = 1) AS _ff
FROM (${wanted} UNION ALL ${found})
GROUP BY ${keysOf(stream, rollup)}
HAVING countIf(_side = 0) != countIf(_side = 1) OR _wn != _fn OR _we != _fe${floats}`;
}

/** Days with so many events or rows each, cut into slices. Pure. */
export function cutDays(
  days: readonly { readonly day: number; readonly rows: number }[],
  hasDimensions: boolean,
  rowsMax = 2_000_000,
): readonly BucketSlice[] {
  const slices: (BucketSlice & { toDay: number; rows: number })[] = [];
  const cut: BucketSlice[] = [];
  const flush = () => {
    for (const { fromDay, toDay } of slices.splice(0)) cut.push({ fromDay, toDay });
  };
  for (const { day, rows } of days) {
    const last = slices.at(-1);
    if (rows > 2 * rowsMax && hasDimensions) {
      flush();
      const of = Math.ceil(rows / rowsMax);
      for (let part = 0; part < of; part += 1) cut.push({ fromDay: day, toDay: day + 1, part, of });
    } else if (last && last.rows + rows <= rowsMax) {
      last.toDay = day + 1;
      last.rows += rows;
    } else slices.push({ fromDay: day, toDay: day + 1, rows });
  }
  flush();
  return cut;
}
