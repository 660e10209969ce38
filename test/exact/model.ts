/** What a question's answer must be, by a plain loop over the events that a stream holds. */
import { Temporal } from 'temporal-polyfill';
import type { StatsRequest } from '../../src/stats/index.ts';

export type Value = bigint | number | string | boolean | null;

/** An event by the columns that its fields were made with, `id` and `at` among them; `at` and `day` as epoch ms. */
export type Stored = Readonly<Record<string, Value>> & { readonly id: number; readonly at: number };

export interface Fields {
  /** Of the column, by the name that the field has now. */
  readonly columnOf: Readonly<Record<string, string>>;
  /** Columns with digits behind the point: values are in units of the last. */
  readonly scales: Readonly<Record<string, number>>;
  readonly moments: ReadonlySet<string>;
}

export interface Asked {
  readonly request: StatsRequest;
  readonly fn: readonly (readonly [fn: string, field: string])[];
  readonly by: readonly string[];
  /** Conditions by field, those of the row filter among them. */
  readonly accepts: readonly (readonly [field: string, test: (value: Value) => boolean])[];
  readonly filter: readonly (readonly [field: string, test: (value: Value) => boolean])[];
  readonly order: readonly (readonly [name: string, descending: boolean])[];
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly limit: number | undefined;
}

type Row = { readonly time: number; readonly dims: readonly Value[]; readonly values: readonly Value[] };

/** The rows as JSON text, in order. */
export function expected(events: readonly Stored[], asked: Asked, nowMs: number, fields: Fields): string {
  const column = (name: string): string => fields.columnOf[name]!;
  const fits = (tests: Asked['accepts']) => (one: Stored) =>
    tests.every(([field, test]) => {
      const value = one[column(field)] ?? null;
      return value !== null && test(value);
    });
  const { every, tz = 'UTC' } = asked.request;
  const visible = events.filter(fits(asked.filter));
  let fromMs = asked.fromMs;
  let toMs = asked.toMs ?? nowMs;
  if (fromMs === undefined) {
    fromMs = Math.min(toMs, ...visible.map(({ at }) => at));
    const latest = Math.max(fromMs, ...visible.map(({ at }) => at));
    if (asked.toMs === undefined && every) toMs = Math.min(toMs, latest + 1);
  }
  const starts: number[] = [];
  if (every)
    for (let at = startOf(fromMs, every, tz); at < toMs; at = startAfter(at, every, tz)) starts.push(at);
  if (every && starts.length === 0) return '[]';
  const endMs =
    asked.toMs !== undefined
      ? asked.toMs
      : every
        ? Math.max(toMs, startAfter(starts.at(-1)!, every, tz))
        : Number.POSITIVE_INFINITY;
  const groups = new Map<string, { dims: Value[]; buckets: Map<number, Stored[]> }>();
  if (asked.by.length === 0) groups.set('[]', { dims: [], buckets: new Map() });
  for (const one of events.filter(fits(asked.accepts))) {
    if (one.at < fromMs || one.at >= endMs) continue;
    const dims = asked.by.map((name) => one[column(name)] ?? null);
    const key = JSON.stringify(dims.map((value) => (typeof value === 'bigint' ? [String(value)] : value)));
    const group = groups.get(key) ?? { dims, buckets: new Map<number, Stored[]>() };
    groups.set(key, group);
    const bucket = every ? startOf(one.at, every, tz) : 0;
    group.buckets.set(bucket, [...(group.buckets.get(bucket) ?? []), one]);
  }
  const rows: Row[] = [];
  for (const { dims, buckets } of groups.values()) {
    for (const time of every ? starts : [0]) {
      const end = every ? Math.min(startAfter(time, every, tz), toMs) : toMs;
      const seconds = (end - (every ? Math.max(time, fromMs) : fromMs)) / 1_000;
      const own = buckets.get(time) ?? [];
      const values = asked.fn.map(([fn, field]) =>
        resultOf(
          fn,
          own.map((one) => (field === '' ? null : (one[column(field)] ?? null))),
          { seconds, scale: fields.scales[column(field)] ?? 0, floats: column(field) === 'score' },
        ),
      );
      rows.push({ time, dims, values });
    }
  }
  const names = asked.fn.map(([fn, field]) => (field === '' ? fn : `${fn}(${field})`));
  const ordered = rows.toSorted(by(asked, names, every !== undefined));
  const limit = asked.limit ?? (every ? rows.length : 1_000);
  const text = ({ time, dims, values }: Row): string => {
    const cells = [
      ...(every ? [`"time":"${new Date(time).toISOString()}"`] : []),
      ...dims.map(
        (value, i) => `${JSON.stringify(asked.by[i])}:${json(value, column(asked.by[i]!), fields)}`,
      ),
      ...values.map((value, i) => {
        const [fn, field] = asked.fn[i]!;
        const of = ['sum', 'min', 'max'].includes(fn) ? column(field) : '';
        return `${JSON.stringify(names[i])}:${json(value, of, fields)}`;
      }),
    ];
    return `{${cells.join(',')}}`;
  };
  return `[${ordered.slice(0, limit).map(text).join(',')}]`;
}

function by(asked: Asked, names: readonly string[], isSeries: boolean): (a: Row, b: Row) => number {
  const first = asked.by.length > 0 && !isSeries ? [[names[0]!, true] as const] : [];
  const keys = [
    ...(asked.order.length > 0 ? asked.order : first),
    ...(isSeries ? [['time', false] as const] : []),
    ...asked.by.map((name) => [name, false] as const),
  ];
  const of = (row: Row, name: string): Value =>
    name === 'time'
      ? row.time
      : names.includes(name)
        ? row.values[names.indexOf(name)]!
        : row.dims[asked.by.indexOf(name)]!;
  return (a, b) => {
    for (const [name, descending] of keys) {
      const [left, right] = [of(a, name), of(b, name)];
      const order = compare(left, right);
      if (order === 0) continue;
      return left === null || right === null || !descending ? order : -order;
    }
    return 0;
  };
}

function compare(a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  return a < b ? -1 : a > b ? 1 : 0;
}

function resultOf(
  fn: string,
  all: readonly Value[],
  of: { readonly seconds: number; readonly scale: number; readonly floats: boolean },
): Value {
  const values = all.filter((value) => value !== null);
  switch (fn) {
    case 'count':
      return all.length;
    case 'rate':
      return of.seconds > 0 ? all.length / of.seconds : 0;
    case 'unique':
      return new Set(values).size;
    case 'sum':
      return sumOf(values, of.floats);
    case 'avg': {
      const sum = Number(sumOf(values, of.floats));
      return values.length === 0
        ? null
        : (of.scale > 0 ? sum / Number(`1e${of.scale}`) : sum) / values.length;
    }
    default: {
      const sorted = values.toSorted(compare);
      // The least and the greatest of zeros have no sign.
      const value = (fn === 'min' ? sorted[0] : sorted.at(-1)) ?? null;
      return value === 0 ? 0 : value;
    }
  }
}

const sumOf = (values: readonly Value[], floats: boolean): Value =>
  floats
    ? values.reduce<number>((sum, value) => sum + (value as number), 0)
    : values.reduce<bigint>((sum, value) => sum + BigInt(value as bigint), 0n);

function json(value: Value, column: string, { scales, moments }: Fields): string {
  if (value === null) return 'null';
  if (moments.has(column)) return `"${new Date(value as number).toISOString()}"`;
  const scale = scales[column];
  if (scale !== undefined) return decimalText(value as bigint, scale);
  if (typeof value === 'number') return String(value).replace('e+', 'e');
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

export function decimalText(units: bigint, scale: number): string {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -scale)}${fraction === '' ? '' : `.${fraction}`}`;
}

const FIXED: Readonly<Record<string, number>> = {
  ...{ '10s': 10_000, '1m': 60_000, '7m': 420_000, '15m': 900_000, '1h': 3_600_000 },
};

/** By the local date, found through the zone's calendar and not through a list of boundaries. */
function startOf(ms: number, every: string, zone: string): number {
  const width = FIXED[every];
  if (width) return Math.floor(ms / width) * width;
  return firstDate(ms, every, zone).toZonedDateTime(zone).startOfDay().epochMilliseconds;
}

function startAfter(start: number, every: string, zone: string): number {
  const width = FIXED[every];
  if (width) return start + width;
  const step = every === '1mo' ? { months: 1 } : { days: every === '1w' ? 7 : 1 };
  return firstDate(start, every, zone).add(step).toZonedDateTime(zone).startOfDay().epochMilliseconds;
}

function firstDate(ms: number, every: string, zone: string): Temporal.PlainDate {
  const date = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone).toPlainDate();
  if (every === '1mo') return date.with({ day: 1 });
  return every === '1w' ? date.subtract({ days: date.dayOfWeek - 1 }) : date;
}
