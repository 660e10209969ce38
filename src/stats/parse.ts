/**
 * A question as it was written becomes a question that can be answered, or the list of all its mistakes.
 *
 * Where the request is silent: `fn` is count; `to` is now; `from` is the earliest event; the order of a series is
 * time, then the dimensions; without `every` the greatest first value of the first function comes first. `limit`
 * counts rows, after empty buckets are filled: 1 000 without `every`, everything with it.
 */
import { type Issue, MillraceError } from '../base/errors.ts';
import type { Field, StreamDefinition } from '../define/model.ts';
import { fieldOf } from '../define/model.ts';
import { BUCKETS_MAX, bucketsAtLeast, EVERY_FORMS, type Every, parseEvery } from './calendar.ts';
import { DIMENSIONS, fieldsOf, parseFunction, type StatFunction, splitList } from './functions.ts';
import { isJoined, parseJoined, type TableOf } from './joins.ts';
import type { RowFilter, StatsRequest } from './port.ts';
import { isZone, MOMENT_FORMS, parseMoment } from './time.ts';
import { type Condition, parseCondition } from './where.ts';

export interface Question {
  readonly functions: readonly StatFunction[];
  /** Epoch ms; undefined: from the earliest event. */
  readonly fromMs: number | undefined;
  readonly toMs: number;
  /** No `to` was given: whatever is stored after `from` counts, and the last bucket counts as far as it is. */
  readonly openEnd: boolean;
  readonly every: Every | undefined;
  readonly zone: string;
  /** Fields of the stream, and columns of tables (joins.ts). */
  readonly by: readonly Field[];
  /** Columns of tables are those that were valid at the events' times. */
  readonly asOfEvent: boolean;
  /** Those of the asker's key among them. */
  readonly where: readonly Condition[];
  /** Those of the asker's key alone. */
  readonly rowFilter: readonly Condition[];
  readonly order: readonly OrderKey[];
  /** Undefined: every row of a series, if they are not too many. */
  readonly limit: number | undefined;
}

export interface OrderKey {
  /** `time`, or an index into `by` or `functions`. */
  readonly of: 'time' | { readonly dimension: number } | { readonly function: number };
  readonly descending: boolean;
}

export const ROWS_MAX = 100_000;
export const ROWS_DEFAULT = 1_000;
const FUNCTIONS_MAX = 50;
const DIMENSIONS_MAX = 8;
const CONDITIONS_MAX = 50;

type Note = (path: string, message: string) => void;

/** @throws MillraceError `bad-question` with every mistake, the parameter's name as its path. */
export function parseQuestion(
  request: StatsRequest,
  stream: StreamDefinition,
  nowMs: number,
  tables: TableOf = () => undefined,
): Question {
  const issues: Issue[] = [];
  const note: Note = (path, message) => issues.push({ path, message });

  const zone = parseZone(request.tz, note);
  const functions = parseFunctions(request.fn, stream, note);
  // A key that sees only some rows sees no table: what it says of the rows of others cannot be told apart.
  const tableOf: TableOf = request.rowFilter === undefined ? tables : () => undefined;
  const by = parseBy(request.by, stream, tableOf, note);
  const asked = parseWhere(request.where, stream, nowMs, zone, tableOf, note);
  const asOfEvent = parseAsOf(request.asof, [...by, ...asked.map(({ field }) => field)], note);
  const rowFilter = parseRowFilter(request.rowFilter, stream, nowMs);
  const where = [...asked, ...rowFilter];
  const every = parseWidth(request.every, note);
  const { fromMs, toMs } = parseRange(request, every, nowMs, zone, note);
  const order = parseOrder(request.order, functions, by, every !== undefined, note);
  const limit = parseLimit(request.limit, note) ?? (every ? undefined : ROWS_DEFAULT);
  if (Number.isNaN(parseMaxAge(request.max_age))) note('max_age', 'must be a number of seconds, such as 10');
  noteDoubleNames(functions, by, every !== undefined, note);

  throwIfAny(issues);
  const openEnd = request.to === undefined;
  return { functions, fromMs, toMs, openEnd, every, zone, by, asOfEvent, where, rowFilter, order, limit };
}

/** Milliseconds of staleness that the caller tolerates; NaN for what is no number of seconds. */
export function parseMaxAge(written: string | undefined): number {
  if (written === undefined) return 0;
  const text = written.trim();
  return /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1_000) : Number.NaN;
}

export const tooManyBuckets = (): string =>
  `the range has more than ${BUCKETS_MAX} buckets; ask for wider buckets or a shorter range`;

export function throwIfAny(issues: readonly Issue[]): void {
  if (issues.length === 0) return;
  const words = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new MillraceError('bad-question', words, { issues });
}

function parseZone(written: string | undefined, note: Note): string {
  const zone = written?.trim() || 'UTC';
  if (isZone(zone)) return zone;
  note('tz', `"${zone}" is not an IANA time zone; write one such as Europe/Berlin or UTC`);
  return 'UTC';
}

function parseFunctions(
  written: readonly string[] | undefined,
  stream: StreamDefinition,
  note: Note,
): readonly StatFunction[] {
  const texts = (written ?? []).flatMap(splitList);
  if (texts.length > FUNCTIONS_MAX) {
    note('fn', `at most ${FUNCTIONS_MAX} functions, these are ${texts.length}`);
    return [];
  }
  const functions = new Map<string, StatFunction>();
  for (const text of texts.length > 0 ? texts : ['count']) {
    const one = parseFunction(text, stream);
    if (typeof one === 'string') note('fn', one);
    else functions.set(one.name, one);
  }
  return [...functions.values()];
}

/** True when what is joined is to be as it was at the events' times. */
function parseAsOf(written: string | undefined, fields: readonly Field[], note: Note): boolean {
  const text = written?.trim() || 'now';
  if (text !== 'now' && text !== 'event') {
    note('asof', `"${written}" is neither now nor event`);
    return false;
  }
  const joined = fields.filter(isJoined);
  const without = joined.find(({ join }) => !join.table.history);
  if (text === 'event' && without) note('asof', `the table "${without.join.table.name}" keeps no history`);
  return text === 'event' && joined.length > 0;
}

function parseBy(
  written: string | undefined,
  stream: StreamDefinition,
  tableOf: TableOf,
  note: Note,
): readonly Field[] {
  const names = [...new Set(splitList(written ?? ''))];
  if (names.length > DIMENSIONS_MAX) {
    note('by', `at most ${DIMENSIONS_MAX} dimensions, these are ${names.length}`);
    return [];
  }
  const fields: Field[] = [];
  for (const name of names) {
    const joined = parseJoined(name, stream, tableOf);
    if (typeof joined === 'string') {
      note('by', joined);
      continue;
    }
    const field = joined ?? fieldOf(stream, name);
    if (!field) {
      const why = name.includes('.')
        ? `there is no dimension table for "${name}"`
        : `stream ${stream.name} has no field "${name}"`;
      note('by', `${why}; ${fieldsOf(stream, DIMENSIONS)}`);
    } else if (!DIMENSIONS.includes(field.type.kind)) {
      note(
        'by',
        `${field.type.kind} fields such as "${name}" cannot be dimensions; ${fieldsOf(stream, DIMENSIONS)}`,
      );
    } else fields.push(field);
  }
  return fields;
}

function parseWhere(
  written: readonly string[] | undefined,
  stream: StreamDefinition,
  nowMs: number,
  zone: string,
  tableOf: TableOf,
  note: Note,
): readonly Condition[] {
  const texts = written ?? [];
  if (texts.length > CONDITIONS_MAX) {
    note('where', `at most ${CONDITIONS_MAX} conditions, these are ${texts.length}`);
    return [];
  }
  const conditions: Condition[] = [];
  for (const text of texts) {
    const one = parseCondition(text, stream, nowMs, zone, (name) => parseJoined(name, stream, tableOf));
    if (typeof one === 'string') note('where', one);
    else conditions.push(one);
  }
  return conditions;
}

export const FILTER_ZONE = 'UTC';

/**
 * The filter of a key is read in UTC whatever zone is asked in, for it must not depend on the question. One that does not
 * fit the stream any more lets nothing through.
 */
export function parseRowFilter(
  written: RowFilter | undefined,
  stream: StreamDefinition,
  nowMs: number,
): readonly Condition[] {
  return (written ?? []).map((text) => {
    const condition = parseCondition(text, stream, nowMs, FILTER_ZONE);
    if (typeof condition !== 'string') return condition;
    const message = `a condition of your key does not fit the stream ${stream.name} any more; have the key changed`;
    throw new MillraceError('bad-question', message, { issues: [{ path: 'rowFilters', message }] });
  });
}

function parseWidth(written: string | undefined, note: Note): Every | undefined {
  if (written === undefined || written.trim() === '') return undefined;
  const every = parseEvery(written);
  if (!every) note('every', `"${written}" is not the width of a bucket; write ${EVERY_FORMS}`);
  return every;
}

/** The span of time that is asked about; what is wrong with it is noted. */
export function parseRange(
  { from, to }: Pick<StatsRequest, 'from' | 'to'>,
  every: Every | undefined,
  nowMs: number,
  zone: string,
  note: Note,
): Pick<Question, 'fromMs' | 'toMs'> {
  let isRead = true;
  const noteTime: Note = (path, message) => {
    isRead = false;
    note(path, message);
  };
  const toMs = parseTime('to', to, nowMs, zone, noteTime) ?? nowMs;
  const fromMs = parseTime('from', from, nowMs, zone, noteTime);
  if (isRead && fromMs !== undefined && fromMs >= toMs)
    note('from', 'must lie before "to", which is not part of the range');
  if (every && fromMs !== undefined && bucketsAtLeast(every, fromMs, toMs) > BUCKETS_MAX)
    note('every', tooManyBuckets());
  return { fromMs, toMs };
}

export function parseTime(
  name: 'from' | 'to' | 'time',
  written: string | undefined,
  nowMs: number,
  zone: string,
  note: Note,
): number | undefined {
  if (written === undefined || written.trim() === '') return undefined;
  const ms = parseMoment(written, nowMs, zone);
  if (ms === undefined) {
    note(name, `"${written}" is not a time between the years 1900 and 2299; write ${MOMENT_FORMS}`);
  }
  return ms;
}

function parseOrder(
  written: string | undefined,
  functions: readonly StatFunction[],
  by: readonly Field[],
  series: boolean,
  note: Note,
): readonly OrderKey[] {
  const keys: OrderKey[] = [];
  for (const text of splitList(written ?? '')) {
    const match = /^(-?)\s*(.*?)(?:\s+(asc|desc))?$/i.exec(text)!;
    const [, minus, spaced = '', direction] = match;
    const name = spaced.replaceAll(/\s+/g, '').replace(/^(count|rate)\(\)$/, '$1');
    const descending = (minus === '-') !== (direction?.toLowerCase() === 'desc');
    const dimension = by.findIndex((field) => field.name === name);
    const fn = functions.findIndex((one) => one.name === name);
    if (name === 'time' && series) keys.push({ of: 'time', descending });
    else if (dimension >= 0) keys.push({ of: { dimension }, descending });
    else if (fn >= 0 && functions[fn]!.fn !== 'top') keys.push({ of: { function: fn }, descending });
    else if (fn >= 0) note('order', `"${name}" is a list and has no order`);
    else {
      const columns = [
        ...(series ? ['time'] : []),
        ...by.map((field) => field.name),
        ...functions.filter((one) => one.fn !== 'top').map((one) => one.name),
      ];
      note(
        'order',
        `"${spaced}" is not a column of the answer; use one of ${columns.join(', ')}, with - in front for descending`,
      );
    }
  }
  return keys;
}

function parseLimit(written: string | undefined, note: Note): number | undefined {
  if (written === undefined || written.trim() === '') return undefined;
  const limit = /^\d{1,9}$/.test(written.trim()) ? Number(written) : 0;
  if (limit >= 1 && limit <= ROWS_MAX) return limit;
  note('limit', `must be a whole number of rows from 1 to ${ROWS_MAX}`);
  return undefined;
}

function noteDoubleNames(
  functions: readonly StatFunction[],
  by: readonly Field[],
  series: boolean,
  note: Note,
): void {
  const taken = new Set([...functions.map((one) => one.name), ...(series ? ['time'] : [])]);
  for (const { name } of by) {
    if (taken.has(name))
      note('by', `the answer already has a column "${name}"; ask for the two one after the other`);
  }
}
