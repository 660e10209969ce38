/** The engine's table behind a dimension table; its layout is told in `layout.ts`. */
import type { TenantId } from '../base/brand.ts';
import type { Field, TableDefinition } from '../define/model.ts';
import { databaseOf, dimensionTable, fieldColumnType } from './layout.ts';
import type { Engine } from './port.ts';
import { quoteIdentifier } from './sql.ts';
import { DURABLE } from './tables.ts';

/** Everything but the key may be absent: of a row that is gone, and of one from before the field was declared. */
export const dimensionColumnType = (table: Pick<TableDefinition, 'key'>, field: Field): string =>
  fieldColumnType({ ...field, optional: field.name !== table.key });

const columnSql = (table: TableDefinition, field: Field): string =>
  `${quoteIdentifier(field.name)} ${dimensionColumnType(table, field)}`;

function createDimensionTable(tenant: TenantId, table: TableDefinition): string {
  return `CREATE TABLE IF NOT EXISTS ${dimensionTable(tenant, table.name)} (
  ${table.fields.map((field) => `${columnSql(table, field)},\n  `).join('')}_valid_from DateTime64(3, 'UTC'),
  _rank Int64,
  _deleted Bool,
  _seq UInt64
) ENGINE = ${engineOf(table)}
SETTINGS ${DURABLE}`;
}

/** With history nothing is merged away: what a correction replaced is needed by whoever asks as of before it. */
const engineOf = ({ key, history }: TableDefinition): string =>
  history
    ? `MergeTree ORDER BY (${quoteIdentifier(key)}, _rank, _seq)`
    : `ReplacingMergeTree(_seq) ORDER BY (${quoteIdentifier(key)}, _rank)`;

export class DimensionTables {
  readonly #engine: Pick<Engine, 'execute' | 'rows'>;

  constructor(engine: Pick<Engine, 'execute' | 'rows'>) {
    this.#engine = engine;
  }

  /** Makes it where it is missing. */
  async make(tenant: TenantId, table: TableDefinition): Promise<void> {
    await this.#engine.execute({ text: `CREATE DATABASE IF NOT EXISTS ${databaseOf(tenant)}` });
    await this.#engine.execute({ text: createDimensionTable(tenant, table) });
  }

  /** Adds the columns that are missing. One that was left over from a field of the same name and another type goes first. */
  async widen(tenant: TenantId, table: TableDefinition): Promise<void> {
    const held = await this.#columns(tenant, table.name);
    const changes = table.fields.flatMap((field) => {
      const before = held.get(field.name);
      if (before === dimensionColumnType(table, field)) return [];
      const add = `ADD COLUMN ${columnSql(table, field)}`;
      return before === undefined ? [add] : [`DROP COLUMN ${quoteIdentifier(field.name)}`, add];
    });
    for (const change of changes) await this.#alter(tenant, table, change);
  }

  /** Removes the columns that the definition does not name any more. */
  async narrow(tenant: TenantId, table: TableDefinition): Promise<void> {
    const names = new Set(table.fields.map((field) => field.name));
    const held = await this.#columns(tenant, table.name);
    for (const name of held.keys()) {
      if (!names.has(name)) await this.#alter(tenant, table, `DROP COLUMN ${quoteIdentifier(name)}`);
    }
  }

  async drop(tenant: TenantId, name: string): Promise<void> {
    await this.#engine.execute({ text: `DROP TABLE IF EXISTS ${dimensionTable(tenant, name)}` });
  }

  #alter(tenant: TenantId, table: TableDefinition, change: string): Promise<void> {
    return this.#engine.execute({
      text: `ALTER TABLE ${dimensionTable(tenant, table.name)} ${change} SETTINGS alter_sync = 2, mutations_sync = 1`,
    });
  }

  /** Fields' columns and their types. */
  async #columns(tenant: TenantId, name: string): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#engine.rows<{ name: string; type: string }>({
      text: "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} AND NOT startsWith(name, '_')",
      params: { database: `t_${tenant}`, table: `dimension_${name}` },
    });
    return new Map(rows.map((row) => [row.name, row.type]));
  }
}
