/**
 * What stages remember of a tenant, as JSON by area and key: checkpoints of windows, states of triggers, what waits to be
 * sent. Small things that must outlive a crash, changed together.
 */
import type { Kysely } from 'kysely';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { type CatalogDatabase, ofTenant } from './database.ts';
import type { Tables } from './tables.ts';

/** Parts of a key; one is below another when it begins with its parts. */
export type StateKey = readonly (string | number)[];

export interface StateEntry<Value = unknown> {
  readonly key: StateKey;
  readonly value: Value;
}

/** `value: undefined` removes the entry. */
export interface StateChange {
  readonly area: string;
  readonly key: StateKey;
  readonly value: unknown;
}

export interface StateRecords {
  get<Value>(tenant: TenantId, area: string, key: StateKey): Promise<Value | undefined>;
  /** Those below `prefix`, in the order of their texts; `[]`: all of the area. At most `limit` (default 10 000). */
  list<Value>(
    tenant: TenantId,
    area: string,
    prefix?: StateKey,
    limit?: number,
  ): Promise<readonly StateEntry<Value>[]>;
  /** All or nothing, durable when it resolves. */
  write(tenant: TenantId, changes: readonly StateChange[]): Promise<void>;
  /** Removes what is below `prefix`. */
  clear(tenant: TenantId, area: string, prefix?: StateKey): Promise<void>;
}

const LIST_DEFAULT = 10_000;
const AT_ONCE = 200;

/** Texts of keys below a prefix begin with the prefix's, without its bracket, and a comma or a bracket. */
const textOf = (key: StateKey): string => JSON.stringify(key);
const HIGHEST = '\u{10FFFF}';

export function stateRecords(database: CatalogDatabase, clock: Clock): StateRecords {
  const below = (prefix: StateKey): readonly [string, string] => {
    const text = prefix.length === 0 ? '[' : `${textOf(prefix).slice(0, -1)},`;
    return [text, text + HIGHEST];
  };

  return {
    get: (tenant, area, key) =>
      database.read(async (db) => {
        const row = await db
          .selectFrom('state')
          .select('value')
          .where('tenant', '=', tenant)
          .where('area', '=', area)
          .where('key', '=', textOf(key))
          .executeTakeFirst();
        return row && JSON.parse(row.value);
      }),

    list: (tenant, area, prefix = [], limit = LIST_DEFAULT) =>
      database.read(async (db) => {
        const [from, to] = below(prefix);
        const rows = await db
          .selectFrom('state')
          .select(['key', 'value'])
          .where('tenant', '=', tenant)
          .where('area', '=', area)
          .where('key', '>=', from)
          .where('key', '<', to)
          .orderBy('key')
          .limit(limit)
          .execute();
        return rows.map(({ key, value }) => ({ key: JSON.parse(key), value: JSON.parse(value) }));
      }),

    write: (tenant, changes) =>
      database.write(ofTenant(tenant), async (transaction) => {
        const written = new Map(changes.map((change) => [JSON.stringify([change.area, change.key]), change]));
        for (const { area, key, value } of written.values()) {
          if (value === undefined) await remove(transaction, tenant, area, key);
        }
        const rows = [...written.values()]
          .filter(({ value }) => value !== undefined)
          .map(({ area, key, value }) => ({
            ...{ tenant, area, key: textOf(key), value: JSON.stringify(value), updated_at_ms: clock.now() },
          }));
        for (let at = 0; at < rows.length; at += AT_ONCE) {
          await transaction
            .insertInto('state')
            .values(rows.slice(at, at + AT_ONCE))
            .onConflict((conflict) =>
              conflict.columns(['tenant', 'area', 'key']).doUpdateSet((row) => ({
                value: row.ref('excluded.value'),
                updated_at_ms: row.ref('excluded.updated_at_ms'),
              })),
            )
            .execute();
        }
      }),

    clear: (tenant, area, prefix = []) =>
      database.write(ofTenant(tenant), async (transaction) => {
        const [from, to] = below(prefix);
        await transaction
          .deleteFrom('state')
          .where('tenant', '=', tenant)
          .where('area', '=', area)
          .where((is) =>
            is.or([is('key', '=', textOf(prefix)), is.and([is('key', '>=', from), is('key', '<', to)])]),
          )
          .execute();
      }),
  };
}

const remove = (transaction: Kysely<Tables>, tenant: TenantId, area: string, key: StateKey) =>
  transaction
    .deleteFrom('state')
    .where('tenant', '=', tenant)
    .where('area', '=', area)
    .where('key', '=', textOf(key))
    .execute();
