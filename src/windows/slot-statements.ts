/** Windows of slots in the engine: which slots have events, and the results of some windows. */
import { columnOf } from '../define/model.ts';
import { quoteIdentifier, type Statement } from '../store/index.ts';
import { keyFields } from './keys.ts';
import { digestSql, keyAlias, mergedState, resultFields, windowStates } from './result-stream.ts';
import type { Slots } from './slots.ts';
import { eventsSql, isNew, Parameters, type Prepared, type Reach, statement } from './source.ts';

/** Offsets of zones from UTC are multiples of it, but for those of long ago. */
const QUARTER_MS = 900_000;

const floorDiv = (value: string, by: string): string =>
  `intDiv(${value} - positiveModulo(${value}, ${by}), ${by})`;

/** Slots with events, in units that `slotsOfUnit` reads: at most `limit`, in order, behind `after`. */
export function unitsStatement(
  prepared: Prepared,
  slots: Slots,
  reach: Reach,
  { after, limit }: { readonly after: number | undefined; readonly limit: number },
): Statement {
  const parameters = new Parameters();
  const unit = slots.fixed
    ? floorDiv(
        `(_t - ${parameters.bind('Int64', slots.fixed.baseMs)})`,
        parameters.bind('Int64', slots.fixed.ms),
      )
    : floorDiv('_t', String(QUARTER_MS));
  // Whose they are does not matter here, unless the condition speaks of it.
  const of =
    prepared.where === undefined
      ? { ...prepared, window: { ...prepared.window, by: [], joined: {} } }
      : prepared;
  const found = eventsSql(of, reach, parameters, `DISTINCT ${unit} AS unit`);
  const behind = after === undefined ? '' : ` WHERE unit > ${parameters.bind('Int64', after)}`;
  return statement(
    `SELECT toString(unit) FROM (${found})${behind} ORDER BY unit LIMIT ${parameters.bind('UInt64', limit)}`,
    parameters,
  );
}

export function slotsOfUnit(slots: Slots, unit: number): readonly number[] {
  if (slots.fixed) return [unit];
  const first = slots.at(unit * QUARTER_MS);
  const last = slots.at((unit + 1) * QUARTER_MS - 1);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** Windows of a page, by their numbers; `lateBefore`: those that end by then (Infinity: all) are told only where events are new. */
export interface Page {
  readonly windows: readonly number[];
  readonly lateBeforeMs: number | undefined;
  /** Behind this window and key. */
  readonly after: { readonly startMs: number; readonly key: string } | undefined;
  readonly rowsMax: number;
}

/** A row: start, end, key hash, events, new events, digest, then the JSON texts of the result's fields. */
export type ResultRow = readonly [string, string, string, string, string, string, readonly (string | null)[]];

export function resultsStatement(prepared: Prepared, slots: Slots, reach: Reach, page: Page): Statement {
  const parameters = new Parameters();
  const { sql, start, end } = windowsSql(prepared, slots, reach, page, parameters);
  return statement(
    `SELECT toString(${start}), toString(${end}), _kh, toString(_events), toString(_fresh), toString(_digest), ${rowSql(prepared)} FROM ${sql} ORDER BY ${start}, _kh LIMIT ${parameters.bind('UInt64', page.rowsMax)}`,
    parameters,
  );
}

/** How many results there are, without the results. */
export function countStatement(
  prepared: Prepared,
  slots: Slots,
  reach: Reach,
  page: Omit<Page, 'rowsMax'>,
): Statement {
  const parameters = new Parameters();
  const { sql } = windowsSql(prepared, slots, reach, page, parameters);
  return statement(`SELECT toString(count()) FROM ${sql}`, parameters);
}

/** A relation with a row for each window and key. */
function windowsSql(
  prepared: Prepared,
  slots: Slots,
  reach: Reach,
  { windows, lateBeforeMs, after }: Omit<Page, 'rowsMax'>,
  parameters: Parameters,
): { readonly sql: string; readonly start: string; readonly end: string } {
  const { stream, window } = prepared;
  const first = Math.min(...windows);
  const last = Math.max(...windows) + slots.perWindow;
  const starts = Array.from({ length: last - first + 1 }, (_, index) => slots.start(first + index));
  const boundaries = parameters.bind('Array(Int64)', starts);
  const wanted = parameters.bind(
    'Array(Int64)',
    windows.map((one) => one - first + 1),
  );
  const keys = keyFields(prepared);
  const states = windowStates(stream, window);
  const inner = eventsSql(
    prepared,
    { ...reach, fromMs: starts[0]!, toMs: starts.at(-1)!, onlyNew: false },
    parameters,
    [
      `indexOf(${boundaries}, toInt64(roundDown(_t, ${boundaries}))) AS _slot`,
      '_kh',
      ...keys.map((field) => `${quoteIdentifier(columnOf(field))} AS ${keyAlias(field)}`),
      'count() AS _n',
      `countIf(${isNew(parameters, reach.since)}) AS _new`,
      `${digestSql(stream, window)} AS _part`,
      ...states.map((state) => `${state.fromEvents} AS ${quoteIdentifier(state.name)}`),
    ].join(', '),
  );
  const grouped = ['_kh', ...keys.map(keyAlias)].join(', ');
  const size = slots.perWindow;
  const middle = `SELECT _w, ${grouped}, sum(_n) AS _events, sum(_new) AS _fresh, sumWithOverflow(_part) AS _digest${states.map((state) => `, ${mergedState(state)}`).join('')}
FROM (SELECT *, arrayJoin(range(greatest(toInt64(1), toInt64(_slot) - ${size - 1}), toInt64(_slot) + 1)) AS _w FROM (${inner} GROUP BY _slot, ${grouped}))
WHERE has(${wanted}, toInt64(_w)) GROUP BY _w, ${grouped}`;
  const start = `arrayElement(${boundaries}, _w)`;
  const end = `arrayElement(${boundaries}, _w + ${size})`;
  const conditions = [
    ...(lateBeforeMs === undefined
      ? []
      : Number.isFinite(lateBeforeMs)
        ? [`(${end} > ${parameters.bind('Int64', lateBeforeMs)} OR _fresh > 0)`]
        : ['_fresh > 0']),
    ...(after === undefined
      ? []
      : [
          `(${start}, _kh) > (${parameters.bind('Int64', after.startMs)}, ${parameters.bind('String', after.key)})`,
        ]),
  ];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return { sql: `(\n${middle}\n)${where}`, start, end };
}

/** The result's own fields as an array of JSON texts. */
export const rowSql = (prepared: Prepared): string => {
  const values = resultFields(prepared).map(({ value }) => `toJSONString(${value})`);
  return values.length === 0 ? "CAST([], 'Array(String)')" : `[${values.join(', ')}]`;
};
