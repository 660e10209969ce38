/** `t.*`: the types of fields, as a TypeScript author writes them. */
import type { ElementDocument, FieldDocument } from './document.ts';
import type { Kind, ScalarKind } from './kinds.ts';

declare const value: unique symbol;

/**
 * A field before it has its name: its kind, what a producer may send for it, and whether he may leave it out.
 */
export interface FieldSpec<K extends Kind = Kind, Value = unknown, Optional extends boolean = boolean> {
  readonly kind: K;
  readonly isOptional: Optional;
  /** The field as it stands in the JSON document. */
  readonly document: FieldDocument;
  /** The same field, which an event may leave out (or send as null). */
  optional(): FieldSpec<K, Value, true>;
  /** The same field under a new name: senders and questions may go on using the earlier ones. */
  alias(...names: readonly string[]): FieldSpec<K, Value, Optional>;
  /** The same field, no longer taken from events. What is stored stays. */
  retired(): FieldSpec<K, Value, true>;
  readonly [value]?: Value;
}

/** What a producer may send for a field. */
export type ValueOf<F> = F extends FieldSpec<Kind, infer Value, boolean> ? Value : never;

/** 64-bit integers travel as numbers while they are exact (below 2^53), else as bigint or text. */
export type Integer64 = number | bigint | string;
/** Decimals travel as text to keep every digit; a number is read by its shortest decimal text. */
export type DecimalInput = number | bigint | string;
/** RFC 3339 text, epoch milliseconds, or a Date. */
export type TimestampInput = string | number | Date;

function field<K extends Kind, Value>(kind: K, document: FieldDocument): FieldSpec<K, Value, false> {
  return spec<K, Value, false>(kind, false, document);
}

function spec<K extends Kind, Value, Optional extends boolean>(
  kind: K,
  isOptional: Optional,
  document: FieldDocument,
): FieldSpec<K, Value, Optional> {
  const and = (more: object): FieldDocument =>
    ({ ...(typeof document === 'string' ? { type: document } : document), ...more }) as FieldDocument;
  return {
    kind,
    isOptional,
    document,
    optional: () => spec<K, Value, true>(kind, true, and({ optional: true })),
    alias: (...names) => spec<K, Value, Optional>(kind, isOptional, and({ alias: names })),
    retired: () => spec<K, Value, true>(kind, true, and({ retired: true })),
  };
}

/**
 * Types of fields. Each has `.optional()`, and for later changes `.alias('earlier name')` and `.retired()`.
 *
 * @example
 * const fields = { id: t.uint64(), city: t.string({ maxLength: 200 }).optional(), price: t.decimal(18, 2) };
 */
export const t = {
  bool: () => field<'bool', boolean>('bool', 'bool'),
  /** -2 147 483 648 to 2 147 483 647. */
  int32: () => field<'int32', number>('int32', 'int32'),
  int64: () => field<'int64', Integer64>('int64', 'int64'),
  uint64: () => field<'uint64', Integer64>('uint64', 'uint64'),
  float64: () => field<'float64', number>('float64', 'float64'),
  /** Exact: `precision` digits in all (1-38), `scale` of them after the point. */
  decimal: (precision: number, scale: number) =>
    field<'decimal', DecimalInput>('decimal', { type: 'decimal', precision, scale }),
  /** Text; `maxLength` counts Unicode code points. */
  string: (options: { readonly maxLength?: number } = {}) =>
    field<'string', string>(
      'string',
      options.maxLength === undefined ? 'string' : { type: 'string', maxLength: options.maxLength },
    ),
  /** One of a few texts. */
  enum: <const Values extends readonly [string, ...string[]]>(...values: Values) =>
    field<'enum', Values[number]>('enum', { type: 'enum', values: [...values] }),
  /** A moment, kept in milliseconds, UTC. */
  timestamp: () => field<'timestamp', TimestampInput>('timestamp', 'timestamp'),
  uuid: () => field<'uuid', string>('uuid', 'uuid'),
  /** IPv4 or IPv6 address. */
  ip: () => field<'ip', string>('ip', 'ip'),
  /** Any JSON value, kept as its text. */
  json: <Value = unknown>() => field<'json', Value>('json', 'json'),
  array: <Value>(of: FieldSpec<ScalarKind, Value, false>) =>
    field<'array', readonly Value[]>('array', { type: 'array', of: of.document as ElementDocument }),
};
