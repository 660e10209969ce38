/**
 * Settings that a question may bring. What only changes how the answer is written is honoured; limits are honoured
 * downwards; what changes neither the answer nor a limit is passed over; everything else is refused, because an answer
 * that ignores it would be another one than was asked for.
 */
import { Refusal } from './refusal.ts';

type Check = (value: string) => string | number | undefined;

const flag: Check = (value) => ({ 0: 0, 1: 1, false: 0, true: 1 })[value.toLowerCase()];
const count =
  (max: number): Check =>
  (value) =>
    /^\d{1,15}$/.test(value) && Number(value) <= max ? Number(value) : undefined;
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value) ? value : undefined;
const text =
  (lengthMax: number): Check =>
  (value) =>
    value.length <= lengthMax && !/[\p{Cc}]/u.test(value) ? value : undefined;
/** The name of a time zone, by its letters: what goes into a header of the answer. */
export const zoneName = (value: string): string | undefined =>
  /^[\w+\-/]{1,64}$/.test(value) ? value : undefined;
const zone: Check = zoneName;

/** How the answer is written, and how values that are missing are counted. */
const HONOURED: Readonly<Record<string, Check>> = {
  date_time_output_format: oneOf('simple', 'iso', 'unix_timestamp'),
  session_timezone: zone,
  join_use_nulls: flag,
  transform_null_in: flag,
  aggregate_functions_null_for_empty: flag,
  bool_true_representation: text(100),
  bool_false_representation: text(100),
  format_csv_delimiter: (value) => (/^[,;|\t]$/.test(value) ? value : undefined),
  format_csv_null_representation: text(100),
  format_tsv_null_representation: text(100),
  output_format_csv_crlf_end_of_line: flag,
  output_format_tsv_crlf_end_of_line: flag,
  output_format_json_quote_64bit_integers: flag,
  output_format_json_quote_64bit_floats: flag,
  output_format_json_quote_decimals: flag,
  output_format_json_quote_denormals: flag,
  output_format_json_escape_forward_slashes: flag,
  output_format_json_named_tuples_as_objects: flag,
  output_format_json_map_as_array_of_tuples: flag,
  output_format_json_skip_null_value_in_named_tuples: flag,
  output_format_decimal_trailing_zeros: flag,
  output_format_float_precision: count(17),
  output_format_pretty_max_rows: count(100_000),
  output_format_pretty_max_value_width: count(1_000_000),
  output_format_pretty_max_column_pad_width: count(10_000),
  output_format_pretty_color: flag,
  output_format_pretty_row_numbers: flag,
  output_format_pretty_grid_charset: oneOf('UTF-8', 'ASCII'),
  output_format_arrow_string_as_string: flag,
  output_format_arrow_fixed_string_as_fixed_byte_array: flag,
  output_format_parquet_string_as_string: flag,
  output_format_parquet_compression_method: oneOf(
    'zstd',
    'lz4',
    'lz4_raw',
    'snappy',
    'gzip',
    'brotli',
    'none',
  ),
};

/** They change nothing that an asker could see. */
const PASSED_OVER = [
  /^(?:session_id|session_timeout|session_check|quota_key|query_id|role|client_protocol_version|close_session)$/,
  /^(?:readonly|enable_http_compression|http_\w+|send_progress_in_http_headers|wait_end_of_query|buffer_size)$/,
  /^(?:send_timeout|receive_timeout|connect_timeout\w*|tcp_keep_alive_timeout|log_\w+|network_\w+)$/,
  /^(?:cancel_http_readonly_queries_on_client_close|stacktrace|priority|load_balancing|send_logs_level)$/,
  /^(?:max_threads|max_block_size|max_insert_\w+|max_memory_usage\w*|max_query_size|max_bytes_\w+|max_rows_\w+)$/,
  /^(?:async_insert\w*|wait_for_async_insert\w*|insert_\w+|input_format_\w+|select_sequential_consistency)$/,
  /^(?:use_query_cache|query_cache_\w+|use_uncompressed_cache|optimize_\w+|allow_experimental_\w+|enable_analyzer)$/,
  /^(?:output_format_parallel_formatting|output_format_compression_\w+|distributed_\w+|prefer_localhost_replica)$/,
  /^(?:output_format_native_\w+|output_format_binary_\w+|output_format_write_statistics|low_cardinality_\w+)$/,
];

export interface ChosenSettings {
  /** For the session of the answer. */
  readonly engine: Readonly<Record<string, string | number>>;
  readonly seconds: number | undefined;
  readonly rowsMax: number | undefined;
  readonly bytesMax: number | undefined;
  /** `limit` and `offset`, over the whole answer. */
  readonly limit: number | undefined;
  readonly offset: number | undefined;
}

const LIMITS = new Set(['max_execution_time', 'max_result_rows', 'max_result_bytes', 'limit', 'offset']);

/** Fails with `READONLY` for a setting that is neither honoured nor harmless, `BAD_ARGUMENTS` for a value that is none. */
export function chooseSettings(given: ReadonlyMap<string, string>): ChosenSettings {
  const engine: Record<string, string | number> = {};
  const limits: Record<string, number | undefined> = {};
  for (const [name, value] of given) {
    if (LIMITS.has(name)) {
      limits[name] = limit(name, value);
    } else if (name === 'result_overflow_mode') {
      if (value !== 'throw') throw forbidden(name);
    } else if (Object.hasOwn(HONOURED, name)) {
      const checked = HONOURED[name]!(value);
      if (checked === undefined) throw badValue(name, value);
      engine[name] = checked;
    } else if (!PASSED_OVER.some((pattern) => pattern.test(name))) {
      throw forbidden(name);
    }
  }
  return {
    engine,
    seconds: limits.max_execution_time,
    rowsMax: limits.max_result_rows,
    bytesMax: limits.max_result_bytes,
    limit: limits.limit,
    offset: limits.offset,
  };
}

/** 0 means none, as it does for ClickHouse. */
function limit(name: string, value: string): number | undefined {
  const number = Number(value);
  if (!/^\d{1,15}(?:\.\d{1,9})?$/.test(value) || !Number.isFinite(number)) throw badValue(name, value);
  if (number === 0) return undefined;
  return name === 'max_execution_time' ? number : Math.ceil(number);
}

const forbidden = (name: string): Refusal =>
  new Refusal('READONLY', `Cannot modify '${name.slice(0, 100)}' setting in readonly mode`);

const badValue = (name: string, value: string): Refusal =>
  new Refusal('BAD_ARGUMENTS', `'${value.slice(0, 100)}' is not a value of the setting '${name}'`);

export const HONOURED_SETTINGS: readonly string[] = [...Object.keys(HONOURED), ...LIMITS].sort();
