import type { DimensionKind } from './kinds.ts';
import { parseObject } from './objects/kinds.ts';
import type { TableDefinition } from './objects/table.ts';
import { type FieldSpecs, type RequiredFieldNames, withoutUndefined } from './stream.ts';

export interface TableSpec<F extends FieldSpecs> {
  readonly fields: F;
  /** The field that tells the rows apart. */
  readonly key: RequiredFieldNames<NoInfer<F>, DimensionKind>;
  /** Keep earlier versions of rows; default true. */
  readonly history?: boolean;
}

const NOTHING = { stream: () => undefined, rollup: () => undefined, object: () => undefined };

/**
 * Defines a dimension table: what the numbers are about, joined with them by its key. Mistakes throw `bad-definition`
 * with every one of them in `issues`, the same as the server would answer.
 *
 * @example
 * export const channels = defineTable('channels', {
 *   key: 'channel_id',
 *   fields: { channel_id: t.string(), country: t.string().optional(), owner: t.string().optional() },
 * });
 */
export function defineTable<F extends FieldSpecs>(name: string, spec: TableSpec<F>): TableDefinition {
  const fields = Object.entries(spec.fields).map(([field, one]) => [field, one.document ?? one]);
  return parseObject(
    'table',
    name,
    withoutUndefined({ ...spec, fields: Object.fromEntries(fields) }),
    NOTHING,
  );
}
