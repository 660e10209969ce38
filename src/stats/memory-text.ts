/** Values from memory as the JSON texts that the engine writes of them. */
import type { Field, FieldType } from '../define/model.ts';
import type { HotValue } from '../hot/index.ts';
import { formatMoment } from './time.ts';

/** A dimension's value (hot/port.ts tells how it travels) as it is shown. */
export function dimensionJson({ type }: Field, value: string | null): string {
  if (value === null) return 'null';
  switch (type.kind) {
    case 'string':
    case 'enum':
    case 'uuid':
      return textJson(value);
    case 'timestamp':
      return momentJson(Number(value));
    case 'ip':
      return textJson(value.replace(/^::ffff:([0-9]+[.])/, '$1'));
    default:
      return value;
  }
}

/** Least and greatest values, and sums. */
export function valueJson(type: FieldType, value: HotValue): string {
  if (value === null) return 'null';
  switch (type.kind) {
    case 'string':
      return textJson(value as string);
    case 'timestamp':
      return momentJson(Number(value));
    case 'float64':
      return floatJson(value as number);
    case 'decimal':
      return decimalJson(value as number | bigint, type.scale);
    default:
      return String(value);
  }
}

const momentJson = (ms: number): string => `"${formatMoment(ms)}"`;

/** The shortest text that reads back as the same number; the engine's exponents have no plus. */
export const floatJson = (value: number): string =>
  Object.is(value, -0) ? '-0' : Number.isFinite(value) ? String(value).replace('e+', 'e') : 'null';

/** Units of the last digit as a decimal without needless zeros. */
export function decimalJson(units: number | bigint, scale: number): string {
  if (scale === 0) return String(units);
  const sign = units < 0 ? '-' : '';
  const digits = String(units)
    .replace('-', '')
    .padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -scale)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** The engine escapes slashes, and the two separators of lines that JavaScript once stumbled over. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const SPECIAL = /["\\/\u0000-\u001f\u2028\u2029]/g;
const SHORT: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
};

export const textJson = (text: string): string =>
  `"${text.replace(SPECIAL, (one) => SHORT[one] ?? `\\u${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)}"`;
