/** The functions of a question: `count`, `sum(price)`, `p99.9(delay)`, `top(city,5)`. */
import type { Field, FieldType, Measure, StreamDefinition } from '../define/model.ts';
import { fieldOf } from '../define/model.ts';

type Kind = FieldType['kind'];

export type StatFunction =
  | { readonly name: string; readonly fn: 'count' | 'rate' }
  | { readonly name: string; readonly fn: 'sum' | 'avg' | 'min' | 'max' | 'unique'; readonly field: Field }
  /** `level` lies strictly between 0 and 1. */
  | { readonly name: string; readonly fn: 'quantile'; readonly field: Field; readonly level: number }
  | { readonly name: string; readonly fn: 'top'; readonly field: Field; readonly k: number };

export const TOP_K_MAX = 1_000;
const TOP_K_DEFAULT = 10;

const NUMBERS: readonly Kind[] = ['int32', 'int64', 'uint64', 'float64', 'decimal'];
const ORDERED: readonly Kind[] = [...NUMBERS, 'timestamp', 'string'];
const SCALARS: readonly Kind[] = [...ORDERED, 'bool', 'enum', 'uuid', 'ip'];
/** Kinds by which events can be grouped: a float is not a key. */
export const DIMENSIONS: readonly Kind[] = SCALARS.filter((kind) => kind !== 'float64');
export const COMPARABLE: readonly Kind[] = SCALARS;

const KINDS: Readonly<
  Record<'sum' | 'avg' | 'quantile' | 'min' | 'max' | 'unique' | 'top', readonly Kind[]>
> = {
  sum: NUMBERS,
  avg: NUMBERS,
  quantile: NUMBERS,
  min: ORDERED,
  max: ORDERED,
  unique: SCALARS,
  top: SCALARS,
};

const FORMS = 'count, rate, sum(f), avg(f), min(f), max(f), unique(f), p95(f) or top(f,k)';

/** One function, or what is wrong with the text. */
export function parseFunction(text: string, stream: StreamDefinition): StatFunction | string {
  const name = text.replaceAll(/\s+/g, '');
  if (/^(?:count|rate)(?:\(\))?$/.test(name)) {
    const fn = name.startsWith('count') ? 'count' : 'rate';
    return { name: fn, fn };
  }
  const call = /^([a-z]+|p[\d.]+)\(([^(),]*)(?:,([^(),]*))?\)$/.exec(name);
  if (!call) return `"${text}" is not a function; write ${FORMS}`;
  const [, written = '', fieldName = '', argument] = call;
  const fn = written.startsWith('p') ? 'quantile' : written;
  if (!(fn in KINDS)) return `there is no function "${written}"; write ${FORMS}`;
  const known = fn as keyof typeof KINDS;
  if (argument !== undefined && known !== 'top') return `write ${written}(${fieldName}), with one field`;
  const field = fieldOf(stream, fieldName);
  if (!field) return `stream ${stream.name} has no field "${fieldName}"; ${fieldsOf(stream, KINDS[known])}`;
  if (!KINDS[known].includes(field.type.kind)) {
    return `${written}() does not take ${field.type.kind} fields such as "${fieldName}"; ${fieldsOf(stream, KINDS[known])}`;
  }
  if (known === 'quantile') {
    const level = parseLevel(written);
    return level === undefined
      ? `"${written}" is not a percentile; write p and a number between 0 and 100, such as p50(${fieldName}) or p99.9(${fieldName})`
      : { name, fn: known, field, level };
  }
  if (known !== 'top') return { name, fn: known, field };
  const k = argument === undefined ? TOP_K_DEFAULT : /^\d{1,6}$/.test(argument) ? Number(argument) : 0;
  if (k < 1 || k > TOP_K_MAX) return `k of top(${fieldName},k) must be a whole number from 1 to ${TOP_K_MAX}`;
  return { name, fn: known, field, k };
}

/** `p99.9` → 0.999: by shifting the point, since 99.9 / 100 is not the nearest double. */
function parseLevel(written: string): number | undefined {
  const digits = /^p(\d{1,2}(?:\.\d{1,6})?)$/.exec(written)?.[1];
  if (digits === undefined || Number(digits) <= 0) return undefined;
  return Number(`${digits}e-2`);
}

/** `use one of a, b, c`: the fields that would do. */
export function fieldsOf(stream: Pick<StreamDefinition, 'fields'>, kinds: readonly Kind[]): string {
  const names = stream.fields
    .filter((field) => kinds.includes(field.type.kind) && !field.retired)
    .map((field) => field.name);
  if (names.length === 0) return 'no field of this stream would do';
  return `use one of ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}`;
}

/** The kind of the values that the function answers with. */
export function answerType(one: StatFunction): string {
  switch (one.fn) {
    case 'count':
    case 'unique':
      return 'uint64';
    case 'rate':
    case 'avg':
    case 'quantile':
      return 'float64';
    case 'sum': {
      const kind = one.field.type.kind;
      return kind === 'float64' || kind === 'decimal' ? kind : 'int128';
    }
    case 'top':
      return 'array';
    default:
      return one.field.type.kind;
  }
}

/** The measure whose states answer the function; `topK` is the size of the sketch to use for `top`. */
export function measureOf(one: StatFunction, topK: (field: string, k: number) => number): Measure {
  switch (one.fn) {
    case 'count':
    case 'rate':
      return { fn: 'count' };
    case 'top':
      return { fn: 'top', field: one.field.name, k: topK(one.field.name, one.k) };
    default:
      return { fn: one.fn, field: one.field.name };
  }
}

/** Splits at commas that are not inside parentheses. */
export function splitList(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
