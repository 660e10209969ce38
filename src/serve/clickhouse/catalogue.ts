/**
 * The databases of whoever asks, as he may see them: his own with his streams and rollups, and those that clients of
 * ClickHouse look into, which here are made of his own things alone.
 */

import { DEFAULT_TENANT } from '../../base/brand.ts';
import type { Clock } from '../../base/clock.ts';
import type { Catalog } from '../../catalog/port.ts';
import { relationOf } from '../../questions/index.ts';
import type { Relation } from '../../sql/index.ts';
import type { Engine } from '../../store/index.ts';
import { historyName } from '../../tables/index.ts';
import type { Principal } from '../../tenants/index.ts';
import type { Facts } from './facts.ts';
import { INFORMATION_TABLES } from './information-schema.ts';
import { SYSTEM_TABLES } from './system-tables.ts';
import {
  type ColumnFact,
  type Listing,
  relationOfRows,
  type TableFact,
  type VirtualTable,
} from './virtual-table.ts';

/** Information schemas go by two names. */
const INFORMATION = ['information_schema', 'INFORMATION_SCHEMA'];

export interface CatalogueParts {
  readonly catalog: Pick<Catalog, 'stream' | 'streams' | 'rollup' | 'rollups' | 'object' | 'objects'>;
  readonly engine: Pick<Engine, 'rows'>;
  readonly facts: Facts;
  readonly columnsOf: ColumnsOf;
  readonly clock: Pick<Clock, 'now'>;
}

/** Columns of a relation, by its statement. */
export type ColumnsOf = (sql: string) => Promise<readonly ColumnFact[]>;

export class Catalogue {
  readonly #parts: CatalogueParts;
  readonly #principal: Principal;
  #listing: Promise<Listing> | undefined;

  constructor(parts: CatalogueParts, principal: Principal) {
    this.#parts = parts;
    this.#principal = principal;
  }

  /** The name under which a database is listed; `default` is everybody's own. */
  readonly database = (name: string): string | undefined => {
    const { tenant } = this.#principal;
    if (name === tenant || name === DEFAULT_TENANT) return tenant;
    return name === 'system' || INFORMATION.includes(name) ? name : undefined;
  };

  readonly isRelation = (database: string, table: string): boolean => {
    const found = this.database(database);
    if (found === undefined) return false;
    return found === this.#principal.tenant
      ? this.own(table) !== undefined
      : this.#virtual(found, table) !== undefined;
  };

  own(table: string): Relation | undefined {
    const { catalog, clock } = this.#parts;
    return relationOf(catalog, this.#principal, table, clock.now());
  }

  /** Whether it is one of the databases that are made of the listing. */
  isVirtual(database: string): boolean {
    return this.database(database) !== this.#principal.tenant;
  }

  /** What stands behind a name. The tables of a server are made of the listing: their statement holds their rows. */
  relation(database: string, table: string, listing: Listing | undefined): Relation | undefined {
    const found = this.database(database);
    if (found === undefined) return undefined;
    if (found === this.#principal.tenant) return this.own(table);
    const virtual = this.#virtual(found, table);
    if (virtual === undefined || listing === undefined) return undefined;
    return relationOfRows(virtual, virtual.rows(listing));
  }

  #virtual(database: string, table: string): VirtualTable | undefined {
    const isSystem = database === 'system';
    const tables = isSystem ? SYSTEM_TABLES : INFORMATION_TABLES;
    const name = isSystem ? table : table.toLowerCase();
    return Object.hasOwn(tables, name) ? tables[name] : undefined;
  }

  listing(): Promise<Listing> {
    this.#listing ??= this.#list();
    return this.#listing;
  }

  async #list(): Promise<Listing> {
    const { catalog, facts, columnsOf } = this.#parts;
    const { tenant, key } = this.#principal;
    const tables: TableFact[] = [];
    const named = [
      ...catalog.streams(tenant).map((one) => ({ ...one, engine: 'MergeTree' })),
      ...catalog.rollups(tenant).map((one) => ({ ...one, engine: 'AggregatingMergeTree' })),
      ...catalog.objects(tenant, 'table').flatMap(({ definition }) =>
        [definition.name, ...(definition.history ? [historyName(definition.name)] : [])].map((name) => ({
          ...{ definition: { name }, engine: 'ReplacingMergeTree' },
        })),
      ),
    ];
    for (const { definition, engine } of named) {
      const { name } = definition;
      const relation = this.own(name);
      // A rollup of a stream's name stands behind the stream, a table behind both.
      if (relation === undefined || tables.some((table) => table.name === name)) continue;
      tables.push({ database: tenant, name, engine, columns: await columnsOf(relation.sql) });
    }
    const virtual = (database: string, set: Readonly<Record<string, VirtualTable>>): readonly TableFact[] =>
      Object.entries(set).map(([name, { columns }]) => ({
        ...{ database, name, engine: 'View' },
        columns: Object.entries(columns).map(([column, type]) => ({ name: column, type })),
      }));
    return {
      databases: [tenant, 'system', ...INFORMATION],
      tables: [
        ...tables,
        ...virtual('system', SYSTEM_TABLES),
        ...INFORMATION.flatMap((name) => virtual(name, INFORMATION_TABLES)),
      ],
      user: key,
      facts,
    };
  }
}
