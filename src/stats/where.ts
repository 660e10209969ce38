/** Conditions: `field:op:value`, typed by the field, as SQL with bound parameters. */
import { isIP } from 'node:net';
import type { Field, FieldType, StreamDefinition, TableDefinition } from '../define/model.ts';
import { columnOf, fieldOf } from '../define/model.ts';
import { quoteIdentifier, type StatementParam } from '../store/index.ts';
import { COMPARABLE, fieldsOf } from './functions.ts';
import { MOMENT_FORMS, parseMoment } from './time.ts';

export const OPERATORS = ['eq', 'ne', 'in', 'nin', 'gt', 'gte', 'lt', 'lte', 'like'] as const;
export type Operator = (typeof OPERATORS)[number];

/** Values are kept as the text that the engine reads for the field's type (moments: epoch ms). */
export interface Condition {
  readonly field: Field;
  readonly op: Operator;
  readonly values: readonly string[];
}

/** What has fields: a stream, or a dimension table. */
export type Fields = Pick<StreamDefinition | TableDefinition, 'kind' | 'name' | 'fields'>;

const VALUES_MAX = 1_000;
const EQUALITY: readonly string[] = ['eq', 'ne', 'in', 'nin'];
const UNORDERED: readonly FieldType['kind'][] = ['bool', 'enum', 'uuid', 'ip'];

/**
 * Reads a condition, or says what is wrong with it. The value may hold colons; a list is cut at commas.
 * An event that does not have the field satisfies no condition on it.
 */
export function parseCondition(
  text: string,
  stream: Fields,
  nowMs: number,
  zone: string,
  joined: (name: string) => Field | string | undefined = () => undefined,
): Condition | string {
  const match = /^([^:]*):([^:]*):(.*)$/s.exec(text);
  if (!match) return `"${text}" is not a condition; write field:op:value, for example city:eq:Berlin`;
  const [, name = '', written = '', value = ''] = match;
  const column = joined(name);
  if (typeof column === 'string') return column;
  const field = column ?? fieldOf(stream, name.trim());
  if (!field) return `${stream.kind} ${stream.name} has no field "${name}"; ${fieldsOf(stream, COMPARABLE)}`;
  const { kind } = field.type;
  if (!COMPARABLE.includes(kind)) return `${kind} fields such as "${name}" cannot be compared`;
  const op = OPERATORS.find((one) => one === written.trim());
  if (!op) return `there is no operator "${written}"; use one of ${OPERATORS.join(', ')}`;
  if (op === 'like' && kind !== 'string' && kind !== 'enum') {
    return `like compares text; "${name}" is of type ${kind}`;
  }
  if (!EQUALITY.includes(op) && op !== 'like' && UNORDERED.includes(kind)) {
    return `${kind} fields such as "${name}" have no order; use one of ${EQUALITY.join(', ')}`;
  }
  const values = valuesOf(field, op, value, nowMs, zone);
  return typeof values === 'string' ? values : { field, op, values };
}

/** What stands in front of the values: `field:op:`. All of a text that is no condition. */
export function headOf(text: string): string {
  const end = text.indexOf(':', text.indexOf(':') + 1) + 1;
  return end === 0 ? text : text.slice(0, end);
}

/** Reads the values behind `field:op:`, or says what is wrong with them. */
export function valuesOf(
  field: Field,
  op: Operator,
  text: string,
  nowMs: number,
  zone: string,
): readonly string[] | string {
  const list = op === 'in' || op === 'nin' ? text.split(',') : [text];
  if (list.length > VALUES_MAX)
    return `a list holds at most ${VALUES_MAX} values, this one has ${list.length}`;
  const values: string[] = [];
  for (const one of list) {
    const read = op === 'like' ? { value: one } : readValue(field, one, nowMs, zone);
    if ('problem' in read) return `"${one}" does not fit the field "${field.name}": ${read.problem}`;
    values.push(read.value);
  }
  return values;
}

type Read = { readonly value: string } | { readonly problem: string };

const INTEGERS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

function readValue({ type }: Field, written: string, nowMs: number, zone: string): Read {
  const text = type.kind === 'string' || type.kind === 'enum' ? written : written.trim();
  switch (type.kind) {
    case 'string':
      return { value: text };
    case 'enum':
      return type.values.includes(text)
        ? { value: text }
        : { problem: `use one of ${type.values.slice(0, 20).join(', ')}` };
    case 'bool':
      return text === 'true' || text === 'false' ? { value: text } : { problem: 'write true or false' };
    case 'int32':
    case 'int64':
    case 'uint64': {
      const [min, max] = INTEGERS[type.kind]!;
      if (!/^[+-]?\d{1,20}$/.test(text)) return { problem: `write a whole number from ${min} to ${max}` };
      const value = BigInt(text.replace('+', ''));
      return value >= min && value <= max
        ? { value: String(value) }
        : { problem: `write a whole number from ${min} to ${max}` };
    }
    case 'float64': {
      const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
      return Number.isFinite(value) ? { value: String(value) } : { problem: 'write a number' };
    }
    case 'decimal': {
      const match = /^([+-]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text);
      const [, sign = '', whole = '', fraction = ''] = match ?? [];
      const fits = fraction.length <= type.scale && whole.length <= type.precision - type.scale;
      if (!match || !/\d/.test(text) || !fits) {
        return {
          problem: `write a number with at most ${type.precision - type.scale} digits before the point and ${type.scale} after it`,
        };
      }
      return { value: `${sign === '-' ? '-' : ''}${whole || '0'}${fraction ? `.${fraction}` : ''}` };
    }
    case 'timestamp': {
      const ms = parseMoment(text, nowMs, zone);
      return ms === undefined ? { problem: `write ${MOMENT_FORMS}` } : { value: String(ms) };
    }
    case 'uuid':
      return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
        ? { value: text.toLowerCase() }
        : { problem: 'write a UUID such as 61f0c404-5cb3-11e7-907b-a6006ad3dba0' };
    case 'ip':
      return isIP(text) > 0 && !text.includes('%')
        ? { value: text }
        : { problem: 'write an IPv4 or IPv6 address' };
    default:
      return { problem: 'it cannot be compared' };
  }
}

/** Makes of a value what stands for it in a statement. */
export interface Binder {
  bind(type: string, value: StatementParam): string;
}

/** Names parameters `p0`, `p1`, … and keeps their values. */
export class Parameters implements Binder {
  readonly values: Record<string, StatementParam> = {};
  #next = 0;

  /** Placeholder of a new parameter: `{p0:Int64}`. */
  bind(type: string, value: StatementParam): string {
    const name = `p${this.#next}`;
    this.#next += 1;
    this.values[name] = value;
    return `{${name}:${type}}`;
  }
}

const COMPARE = { eq: '=', ne: '!=', gt: '>', gte: '>=', lt: '<', lte: '<=', like: 'LIKE' } as const;

export function conditionSql(condition: Condition, parameters: Binder): string {
  const { field, op, values } = condition;
  const column = quoteIdentifier(columnOf(field));
  if (op === 'in' || op === 'nin') {
    const array = arraySql(field.type, values, parameters);
    if (array) return `${column} ${op === 'in' ? 'IN' : 'NOT IN'} ${array}`;
    const list = values.map((value) => valueSql(field.type, value, parameters)).join(', ');
    return `${column} ${op === 'in' ? 'IN' : 'NOT IN'} (${list})`;
  }
  return `${column} ${COMPARE[op]} ${valueSql(op === 'like' ? { kind: 'string' } : field.type, values[0]!, parameters)}`;
}

/** One parameter for all of a long list: a thousand of them take the engine three times as long to read. */
function arraySql({ kind }: FieldType, values: readonly string[], parameters: Binder): string | undefined {
  switch (kind) {
    case 'string':
    case 'enum':
      return parameters.bind('Array(String)', values);
    case 'int32':
      return parameters.bind('Array(Int32)', values.map(Number));
    case 'int64':
      return parameters.bind('Array(Int64)', values.map(BigInt));
    case 'uint64':
      return parameters.bind('Array(UInt64)', values.map(BigInt));
    default:
      return undefined;
  }
}

function valueSql(type: FieldType, value: string, parameters: Binder): string {
  switch (type.kind) {
    case 'bool':
      return parameters.bind('Bool', value === 'true');
    case 'int32':
      return parameters.bind('Int32', Number(value));
    case 'int64':
      return parameters.bind('Int64', BigInt(value));
    case 'uint64':
      return parameters.bind('UInt64', BigInt(value));
    case 'float64':
      return parameters.bind('Float64', Number(value));
    case 'decimal':
      return parameters.bind(`Decimal(${type.precision}, ${type.scale})`, value);
    case 'timestamp':
      return `fromUnixTimestamp64Milli(${parameters.bind('Int64', Number(value))}, 'UTC')`;
    case 'uuid':
      return `toUUID(${parameters.bind('String', value)})`;
    case 'ip':
      return `toIPv6(${parameters.bind('String', value)})`;
    default:
      return parameters.bind('String', value);
  }
}
