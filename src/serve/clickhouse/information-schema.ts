/** `information_schema.…`, each column under its name in small and in capital letters, as ClickHouse has it. */
import { type Row, table, type Value, type VirtualTable } from './virtual-table.ts';

/** The same columns twice. */
function both(columns: string, rows: VirtualTable['rows'] = () => []): VirtualTable {
  const small = table(columns).columns;
  const capital = Object.fromEntries(Object.entries(small).map(([name, type]) => [name.toUpperCase(), type]));
  const doubled = (row: Row): Row => {
    const values: Record<string, Value> = { ...row };
    for (const [name, value] of Object.entries(row)) values[name.toUpperCase()] = value;
    return values;
  };
  return { columns: { ...small, ...capital }, rows: (listing) => rows(listing).map(doubled) };
}

export const INFORMATION_TABLES: Readonly<Record<string, VirtualTable>> = {
  schemata: both(
    'catalog_name String, schema_name String, schema_owner String, default_character_set_catalog Nullable(String), default_character_set_schema Nullable(String), default_character_set_name Nullable(String), sql_path Nullable(String)',
    ({ databases }) =>
      databases.map((name) => ({ catalog_name: name, schema_name: name, schema_owner: 'default' })),
  ),
  tables: both(
    'table_catalog String, table_schema String, table_name String, table_type String, table_collation Nullable(String), table_comment Nullable(String), table_rows Nullable(UInt64), data_length Nullable(UInt64)',
    ({ tables }) =>
      tables.map(({ database, name, engine }) => ({
        ...{ table_catalog: database, table_schema: database, table_name: name },
        table_type: engine === 'View' ? 'VIEW' : 'BASE TABLE',
      })),
  ),
  columns: both(
    'table_catalog String, table_schema String, table_name String, column_name String, ordinal_position UInt64, column_default String, is_nullable String, data_type String, character_maximum_length Nullable(UInt64), character_octet_length Nullable(UInt64), numeric_precision Nullable(UInt64), numeric_precision_radix Nullable(UInt64), numeric_scale Nullable(UInt64), datetime_precision Nullable(UInt64), column_comment String, column_type String',
    ({ tables }) =>
      tables.flatMap(({ database, name: of, columns }) =>
        columns.map(({ name, type }, index) => ({
          ...{ table_catalog: database, table_schema: database, table_name: of },
          ...{ column_name: name, ordinal_position: index + 1, data_type: type, column_type: type },
          is_nullable: /\bNullable\(/.test(type) ? 'YES' : 'NO',
        })),
      ),
  ),
  views: both(
    'table_catalog String, table_schema String, table_name String, view_definition String, check_option String, is_updatable String',
  ),
  key_column_usage: both(
    'constraint_catalog String, constraint_schema String, constraint_name String, table_catalog String, table_schema String, table_name String, column_name String, ordinal_position UInt32, position_in_unique_constraint Nullable(UInt32), referenced_table_schema Nullable(String), referenced_table_name Nullable(String), referenced_column_name Nullable(String)',
  ),
  referential_constraints: both(
    'constraint_catalog String, constraint_name String, constraint_schema String, unique_constraint_catalog String, unique_constraint_name String, unique_constraint_schema String, match_option String, update_rule String, delete_rule String, table_name String, referenced_table_name String',
  ),
  statistics: both(
    'table_catalog String, table_schema String, table_name String, non_unique Int32, index_schema String, index_name Nullable(String), seq_in_index UInt32, column_name Nullable(String), cardinality Nullable(Int64), index_type String',
  ),
  engines: both('engine String, support String, comment String'),
  character_sets: both(
    'character_set_name String, default_collate_name String, description String, maxlen UInt64',
  ),
};
