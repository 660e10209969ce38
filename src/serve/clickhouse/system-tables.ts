/** `system.…` as clients of ClickHouse read it when they connect and browse. What is not kept here is empty. */
import { quoteIdentifier } from '../../store/index.ts';
import { HONOURED_SETTINGS } from './settings.ts';
import { type TableFact, table, type VirtualTable } from './virtual-table.ts';

const createStatement = ({ database, name, engine, columns }: TableFact): string =>
  `CREATE ${engine === 'View' ? 'VIEW' : 'TABLE'} ${quoteIdentifier(database)}.${quoteIdentifier(name)} (${columns
    .map((column) => `${quoteIdentifier(column.name)} ${column.type}`)
    .join(', ')}) ENGINE = ${engine}`;

const precisionOf = (type: string): { readonly precision: number | null; readonly scale: number | null } => {
  const decimal = /Decimal\((\d+), (\d+)\)/.exec(type);
  if (decimal) return { precision: Number(decimal[1]), scale: Number(decimal[2]) };
  const integer = /\bU?Int(\d+)\b/.exec(type);
  return integer ? { precision: Number(integer[1]), scale: 0 } : { precision: null, scale: null };
};

export const SYSTEM_TABLES: Readonly<Record<string, VirtualTable>> = {
  one: table('dummy UInt8', () => [{ dummy: 0 }]),
  databases: table(
    'name String, engine String, data_path String, metadata_path String, uuid String, engine_full String, comment String, is_external UInt8',
    ({ databases }) => databases.map((name) => ({ name, engine: 'Atomic', engine_full: 'Atomic' })),
  ),
  tables: table(
    `database String, name String, uuid String, engine String, is_temporary UInt8, data_paths Array(String), metadata_path String,
     metadata_modification_time DateTime, metadata_version Int32, dependencies_database Array(String), dependencies_table Array(String),
     create_table_query String, engine_full String, as_select String, partition_key String, sorting_key String, primary_key String,
     sampling_key String, storage_policy String, total_rows Nullable(UInt64), total_bytes Nullable(UInt64), parts Nullable(UInt64),
     active_parts Nullable(UInt64), total_marks Nullable(UInt64), lifetime_rows Nullable(UInt64), lifetime_bytes Nullable(UInt64),
     comment String, has_own_data UInt8, table String`,
    ({ tables }) =>
      tables.map((one) => ({
        ...{ database: one.database, name: one.name, table: one.name },
        ...{ engine: one.engine, engine_full: one.engine },
        create_table_query: createStatement(one),
        // Drivers take a table without a place for one that lies elsewhere. It is no path of the machine.
        data_paths: one.engine === 'View' ? [] : [`${one.database}/${one.name}/`],
        has_own_data: one.engine === 'View' ? 0 : 1,
      })),
  ),
  columns: table(
    `database String, table String, name String, type String, position UInt64, default_kind String, default_expression String,
     data_compressed_bytes UInt64, data_uncompressed_bytes UInt64, marks_bytes UInt64, comment String, is_in_partition_key UInt8,
     is_in_sorting_key UInt8, is_in_primary_key UInt8, is_in_sampling_key UInt8, compression_codec String,
     character_octet_length Nullable(UInt64), numeric_precision Nullable(UInt64), numeric_precision_radix Nullable(UInt64),
     numeric_scale Nullable(UInt64), datetime_precision Nullable(UInt64)`,
    ({ tables }) =>
      tables.flatMap(({ database, name: of, columns }) =>
        columns.map(({ name, type }, index) => {
          const { precision, scale } = precisionOf(type);
          return {
            ...{ database, table: of, name, type, position: index + 1 },
            numeric_precision: precision,
            numeric_precision_radix: precision === null ? null : scale === 0 ? 2 : 10,
            numeric_scale: scale,
            datetime_precision: /DateTime64\((\d)/.exec(type)
              ? Number(/DateTime64\((\d)/.exec(type)![1])
              : null,
          };
        }),
      ),
  ),
  functions: table(
    `name String, is_aggregate UInt8, is_deterministic Nullable(UInt8), case_insensitive UInt8, alias_to String, create_query String,
     origin String, description String, syntax String, arguments String, parameters String, returned_value String, examples String,
     introduced_in String, categories String`,
    ({ facts }) =>
      facts.functions.map(({ name, is_aggregate, case_insensitive, alias_to }) => ({
        ...{ name, is_aggregate: Number(is_aggregate), case_insensitive: Number(case_insensitive), alias_to },
        origin: 'System',
      })),
  ),
  settings: table(
    `name String, value String, changed UInt8, description String, min Nullable(String), max Nullable(String),
     disallowed_values Array(String), readonly UInt8, type String, default String, alias_for String, is_obsolete UInt8, tier String`,
    () => [
      { name: 'readonly', value: '1', type: 'UInt64', default: '1', readonly: 1, tier: 'Production' },
      ...HONOURED_SETTINGS.map((name) => ({ name, type: 'String', tier: 'Production' })),
    ],
  ),
  data_type_families: table('name String, case_insensitive UInt8, alias_to String', ({ facts }) =>
    facts.types.map(({ name, case_insensitive, alias_to }) => ({
      ...{ name, alias_to, case_insensitive: Number(case_insensitive) },
    })),
  ),
  formats: table('name String, is_input UInt8, is_output UInt8', ({ facts }) =>
    facts.formats.map((name) => ({ name, is_input: 0, is_output: 1 })),
  ),
  time_zones: table('time_zone String', ({ facts }) => facts.zones.map((time_zone) => ({ time_zone }))),
  table_engines: table(
    'name String, supports_settings UInt8, supports_skipping_indices UInt8, supports_projections UInt8, supports_sort_order UInt8, supports_ttl UInt8, supports_replication UInt8, supports_deduplication UInt8, supports_parallel_insert UInt8',
    () => ['MergeTree', 'AggregatingMergeTree', 'View'].map((name) => ({ name })),
  ),
  database_engines: table('name String, description String', () => [{ name: 'Atomic' }]),
  table_functions: table('name String, description String, allow_readonly UInt8'),
  current_roles: table('role_name String, with_admin_option UInt8, is_default UInt8'),
  enabled_roles: table('role_name String, with_admin_option UInt8, is_current UInt8, is_default UInt8'),
  roles: table('name String, id String, storage String'),
  users: table('name String, id String, storage String'),
  grants: table(
    'user_name Nullable(String), role_name Nullable(String), access_type String, database Nullable(String), table Nullable(String), column Nullable(String), is_partial_revoke UInt8, grant_option UInt8',
  ),
  role_grants: table('user_name Nullable(String), role_name Nullable(String), granted_role_name String'),
  quotas: table('name String, id String, storage String'),
  row_policies: table('name String, short_name String, database String, table String'),
  settings_profiles: table('name String, id String, storage String'),
  parts: table(
    `partition String, name String, uuid String, part_type String, active UInt8, marks UInt64, rows UInt64, bytes UInt64,
     bytes_on_disk UInt64, data_compressed_bytes UInt64, data_uncompressed_bytes UInt64, modification_time DateTime, min_date String,
     max_date String, min_time DateTime, max_time DateTime, partition_id String, level UInt32, database String, table String, engine String,
     disk_name String, path String`,
  ),
  processes: table(
    'query_id String, user String, query String, elapsed UInt64, read_rows UInt64, read_bytes UInt64, memory_usage UInt64, is_initial_query UInt8',
  ),
  query_log: table(
    'type String, event_time DateTime, query_id String, query String, user String, query_duration_ms UInt64, read_rows UInt64, read_bytes UInt64, result_rows UInt64, memory_usage UInt64, exception String',
  ),
  mutations: table(
    'database String, table String, mutation_id String, command String, create_time DateTime, is_done UInt8, latest_fail_reason String',
  ),
  merges: table('database String, table String, elapsed UInt64, progress UInt64'),
  replicas: table('database String, table String, is_leader UInt8, is_readonly UInt8'),
  clusters: table(
    'cluster String, shard_num UInt32, shard_weight UInt32, replica_num UInt32, host_name String, host_address String, port UInt16, is_local UInt8, user String, default_database String, name String',
  ),
  dictionaries: table(
    'database String, name String, uuid String, status String, origin String, type String, comment String, loading_start_time DateTime, last_exception String',
  ),
  data_skipping_indices: table(
    'database String, table String, name String, type String, type_full String, expr String, granularity UInt64, data_compressed_bytes UInt64',
  ),
  projections: table('database String, table String, name String, type String, query String'),
  disks: table('name String, path String, free_space UInt64, total_space UInt64, type String'),
  storage_policies: table('policy_name String, volume_name String'),
  macros: table('macro String, substitution String'),
  metrics: table('metric String, value Int64, description String'),
  events: table('event String, value UInt64, description String'),
  asynchronous_metrics: table('metric String, value UInt64, description String'),
  errors: table('name String, code Int32, value UInt64, last_error_message String'),
  warnings: table('message String'),
  build_options: table('name String, value String', ({ facts }) => [
    { name: 'VERSION_FULL', value: `ClickHouse ${facts.version}` },
    { name: 'VERSION_DESCRIBE', value: facts.version },
  ]),
  collations: table('name String, language Nullable(String)'),
  keywords: table('keyword String'),
};
