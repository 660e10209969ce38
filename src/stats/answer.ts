/**
 * From the engine's rows to the rows of the answer: empty buckets are filled, the series is ordered and cut, and
 * every value stays the JSON text that the engine wrote.
 */
import { MillraceError } from '../base/errors.ts';
import type { Field } from '../define/model.ts';
import { bucketEnd } from './calendar.ts';
import { compareJson } from './compare.ts';
import { answerType, type StatFunction } from './functions.ts';
import { type OrderKey, type Question, ROWS_MAX } from './parse.ts';
import type { StatsColumn } from './port.ts';
import { formatMoment } from './time.ts';

/** Rows of a filled series that are put in order in memory. */
export const SERIES_ROWS_MAX = 250_000;

/** One row of the engine: JSON texts of the bucket (if any), the dimensions, the functions. */
export type EngineRow = readonly string[];

export function readEngineRows(bytes: Uint8Array): EngineRow[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const rows: EngineRow[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [row] = JSON.parse(line) as [(string | null)[]];
    rows.push(row.map((value) => value ?? 'null'));
  }
  return rows;
}

/** How the rows of an answer look. */
export interface Layout {
  readonly columns: readonly StatsColumn[];
  /** The columns' names, as JSON. */
  readonly names: readonly string[];
  /** What is left to do with the engine's text of each column (the bucket's column apart). */
  readonly finish: readonly Finish[];
}

export function layoutOf({ functions, by, every }: Pick<Question, 'functions' | 'by' | 'every'>): Layout {
  const columns = [
    ...(every ? [{ name: 'time', type: 'timestamp' }] : []),
    ...by.map((field) => ({ name: field.name, type: field.type.kind })),
    ...functions.map((one) => ({ name: one.name, type: answerType(one) })),
  ];
  return {
    columns,
    names: columns.map((column) => JSON.stringify(column.name)),
    finish: [...by.map(() => asIs), ...functions.map(finishOf)],
  };
}

export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The rows of a question without `every`; the engine has ordered and cut them. */
export function totalRows({ names, finish }: Layout, rows: readonly EngineRow[], range: Range): string[] {
  const seconds = (range.toMs - range.fromMs) / 1_000;
  return rows.map((row) =>
    objectJson(
      names,
      row.map((value, index) => finish[index]!(value, seconds)),
    ),
  );
}

interface Cell {
  readonly bucket: number;
  /** Place of the row's dimensions among all, in their order. */
  readonly group: number;
  readonly values: readonly string[];
}

/** The rows of a series: one per bucket and combination of dimensions that occurs. */
export function seriesRows(
  question: Question,
  { names, finish }: Layout,
  rows: readonly EngineRow[],
  starts: readonly number[],
  range: Range,
): string[] {
  const { by, functions, every } = question;
  const found = new Map<
    string,
    { readonly key: readonly string[]; readonly at: Map<number, readonly string[]> }
  >();
  if (by.length === 0) found.set('[]', { key: [], at: new Map() });
  for (const row of rows) {
    const key = row.slice(1, 1 + by.length);
    const text = JSON.stringify(key);
    let group = found.get(text);
    if (!group) {
      group = { key, at: new Map() };
      found.set(text, group);
    }
    group.at.set(Number(row[0]), row.slice(1 + by.length));
  }
  const filled = found.size * starts.length;
  refuseIfTooMany(filled, question.limit);
  const groups = [...found.values()].sort((a, b) => compareKeys(a.key, b.key));
  const empty = functions.map((one) =>
    ZERO_WHEN_EMPTY.includes(one.fn) ? '0' : one.fn === 'top' ? '[]' : 'null',
  );
  const seconds = starts.map((start, index) => {
    const end = starts[index + 1] ?? bucketEnd(every!, start, question.zone);
    return (Math.min(end, range.toMs) - Math.max(start, range.fromMs)) / 1_000;
  });
  const cells: Cell[] = [];
  for (let bucket = 0; bucket < starts.length; bucket += 1) {
    for (let group = 0; group < groups.length; group += 1) {
      const values = groups[group]!.at.get(starts[bucket]!) ?? empty;
      const finished = values.map((value, index) => finish[by.length + index]!(value, seconds[bucket]!));
      cells.push({ bucket, group, values: finished });
    }
  }
  // Already by time, then dimensions; the sort is stable.
  if (question.order.length > 0) {
    cells.sort((a, b) => compareCells(question.order, a, b, (cell) => groups[cell.group]!.key));
  }
  const times = starts.map((start) => `"${formatMoment(start)}"`);
  return cells
    .slice(0, question.limit ?? ROWS_MAX)
    .map((cell) => objectJson(names, [times[cell.bucket]!, ...groups[cell.group]!.key, ...cell.values]));
}

export function refuseIfTooMany(rows: number, limit: number | undefined): void {
  const most = limit === undefined ? ROWS_MAX : SERIES_ROWS_MAX;
  if (rows <= most) return;
  const message = `the series has more than ${most} rows; ask for wider buckets, fewer dimensions or a narrower where${limit === undefined ? ', or give a limit' : ''}`;
  throw new MillraceError('bad-question', `by: ${message}`, { issues: [{ path: 'by', message }] });
}

const ZERO_WHEN_EMPTY: readonly StatFunction['fn'][] = ['count', 'rate', 'sum', 'unique'];

function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i += 1) {
    const order = compareJson(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
}

function compareCells(
  keys: readonly OrderKey[],
  a: Cell,
  b: Cell,
  dimensions: (cell: Cell) => readonly string[],
): number {
  for (const { of, descending } of keys) {
    const order =
      of === 'time'
        ? (a.bucket - b.bucket) * (descending ? -1 : 1)
        : 'dimension' in of
          ? compareJson(dimensions(a)[of.dimension]!, dimensions(b)[of.dimension]!, descending)
          : compareJson(a.values[of.function]!, b.values[of.function]!, descending);
    if (order !== 0) return order;
  }
  return 0;
}

type Finish = (value: string, seconds: number) => string;
const asIs: Finish = (value) => value;

function finishOf(one: StatFunction): Finish {
  if (one.fn === 'rate') return (value, seconds) => (seconds > 0 ? String(Number(value) / seconds) : '0');
  return one.fn === 'top' ? topFinish(one.field) : asIs;
}

function topFinish(field: Field): Finish {
  if (field.type.kind === 'ip') {
    return (value) => value.replaceAll(/"value":"::ffff:(\d+\.\d+\.\d+\.\d+)"/g, '"value":"$1"');
  }
  if (field.type.kind === 'timestamp') {
    return (value) => value.replaceAll(/"value":"([\d-]{10}) ([\d:.]{12})"/g, '"value":"$1T$2Z"');
  }
  return asIs;
}

function objectJson(names: readonly string[], values: readonly string[]): string {
  let text = '{';
  for (let i = 0; i < names.length; i += 1) text += `${i > 0 ? ',' : ''}${names[i]}:${values[i]}`;
  return `${text}}`;
}
