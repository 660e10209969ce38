/** Which kinds of field may stand where. The types of `defineStream` and the checks at run time read the same lists. */
import type { FieldType } from './model.ts';

export type Kind = FieldType['kind'];

export const PLAIN_KINDS = [
  'bool',
  'int32',
  'int64',
  'uint64',
  'float64',
  'string',
  'timestamp',
  'uuid',
  'ip',
  'json',
] as const satisfies readonly Kind[];

/** Everything but json and arrays: what can be counted, compared and kept in an array. */
export const SCALAR_KINDS = [
  'bool',
  'int32',
  'int64',
  'uint64',
  'float64',
  'decimal',
  'string',
  'enum',
  'timestamp',
  'uuid',
  'ip',
] as const satisfies readonly Kind[];

/** Kinds whose text is the same for the same value, whoever writes it: an id must compare as text. */
export const ID_KINDS = ['string', 'int32', 'int64', 'uint64', 'uuid'] as const satisfies readonly Kind[];

/** A float is not a key: 0.1 + 0.2 would open a group of its own. */
export const DIMENSION_KINDS = [
  'bool',
  'int32',
  'int64',
  'uint64',
  'decimal',
  'string',
  'enum',
  'timestamp',
  'uuid',
  'ip',
] as const satisfies readonly Kind[];

export const NUMBER_KINDS = [
  'int32',
  'int64',
  'uint64',
  'float64',
  'decimal',
] as const satisfies readonly Kind[];

/** Kinds with an order that people expect of min and max. */
export const ORDERED_KINDS = [...NUMBER_KINDS, 'timestamp', 'string'] as const satisfies readonly Kind[];

export type ScalarKind = (typeof SCALAR_KINDS)[number];
export type IdKind = (typeof ID_KINDS)[number];
export type DimensionKind = (typeof DIMENSION_KINDS)[number];
export type NumberKind = (typeof NUMBER_KINDS)[number];
export type OrderedKind = (typeof ORDERED_KINDS)[number];
