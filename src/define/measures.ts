/** Measures of a rollup: as values for `defineRollup`, and as the text of the JSON documents. */
import type { Measure } from './model.ts';
import { FIELD_NAME, hint } from './names.ts';

type FieldFn = 'sum' | 'avg' | 'min' | 'max' | 'unique' | 'quantile';
export type FieldMeasure<Fn extends FieldFn, Name extends string> = {
  readonly fn: Fn;
  readonly field: Name;
};
export type CountMeasure = { readonly fn: 'count' };
export type TopMeasure<Name extends string> = {
  readonly fn: 'top';
  readonly field: Name;
  readonly k: number;
};

const ofField =
  <Fn extends FieldFn>(fn: Fn) =>
  <const Name extends string>(field: Name): FieldMeasure<Fn, Name> => ({ fn, field });

/** How many events. */
export const count = (): CountMeasure => ({ fn: 'count' });
/** Exact sum of a number; 64-bit integers and decimals cannot overflow. */
export const sum = ofField('sum');
/** Mean of a number, over the events that have it. */
export const avg = ofField('avg');
/** Least value of a number, timestamp or string. */
export const min = ofField('min');
/** Greatest value of a number, timestamp or string. */
export const max = ofField('max');
/** How many different values; a sketch whose error is about 1 %. */
export const unique = ofField('unique');
/** Any quantile of a number, chosen when asked; a sketch with a relative error of 1 %. */
export const quantile = ofField('quantile');
/** The `k` most frequent values (1-1000); a sketch that is exact while there are few values. */
export const top = <const Name extends string>(field: Name, k = 10): TopMeasure<Name> => ({
  fn: 'top',
  field,
  k,
});

export const MEASURE_FNS = ['count', 'sum', 'avg', 'min', 'max', 'unique', 'quantile', 'top'] as const;
export const TOP_K_MAX = 1_000;

/**
 * Reads `"sum(price)"`. `p95(price)` is another way to write `quantile(price)`: the level is chosen when asked.
 * Gives the measure, or what is wrong with the text.
 */
export function parseMeasure(text: string): Measure | { readonly problem: string } {
  const call = /^\s*([A-Za-z][A-Za-z0-9.]*)\s*\(([^()]*)\)\s*$/.exec(text);
  if (!call) {
    return { problem: 'is not a measure; write a function and its field, for example sum(price) or count()' };
  }
  const [, written = '', inside = ''] = call;
  const args = inside.trim() === '' ? [] : inside.split(',').map((arg) => arg.trim());
  const fn = isPercentile(written) ? 'quantile' : written;
  if (fn === 'count') {
    return args.length === 0 ? { fn } : { problem: 'count() takes no field; it counts events' };
  }
  if (!isMeasureFn(fn)) return { problem: `there is no measure "${written}"${hint(written, MEASURE_FNS)}` };
  const [field, k, ...rest] = args;
  if (field === undefined || rest.length > 0 || (k !== undefined && fn !== 'top')) {
    return { problem: fn === 'top' ? 'write top(field, k)' : `write ${written}(field)` };
  }
  if (!FIELD_NAME.test(field)) return { problem: `"${field}" is not the name of a field` };
  if (fn !== 'top') return { fn, field };
  const kept = k === undefined ? 10 : /^\d{1,6}$/.test(k) ? Number(k) : 0;
  if (kept < 1 || kept > TOP_K_MAX) return { problem: `k must be a whole number from 1 to ${TOP_K_MAX}` };
  return { fn, field, k: kept };
}

/** The canonical text of a measure; `parseMeasure` reads it back. */
export function formatMeasure(measure: Measure): string {
  if (measure.fn === 'count') return 'count()';
  if (measure.fn === 'top') return `top(${measure.field},${measure.k})`;
  return `${measure.fn}(${measure.field})`;
}

const isMeasureFn = (fn: string): fn is Measure['fn'] => (MEASURE_FNS as readonly string[]).includes(fn);

function isPercentile(fn: string): boolean {
  const level = /^p(\d{1,3}(?:\.\d{1,6})?)$/.exec(fn)?.[1];
  return level !== undefined && Number(level) <= 100;
}
