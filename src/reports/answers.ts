/**
 * Asks the questions of a report about the events of its data version. An answer is kept once, in a file beside the run, and
 * every format is written from it by the engine.
 */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Catalog } from '../catalog/port.ts';
import { fieldOf, fillParameters, type ReportQuestion, type StreamDefinition } from '../define/model.ts';
import { askPinnedSql, type Column, type Visit } from '../questions/index.ts';
import {
  formatMoment,
  type PinnedStats,
  type Pins,
  type StatsColumn,
  type StatsRequest,
} from '../stats/index.ts';
import {
  columnType,
  type Engine,
  type GuestLimits,
  quoteIdentifier,
  quoteText,
  sumType,
} from '../store/index.ts';
import type { Principal } from '../tenants/index.ts';
import type { Cell } from './chart.ts';
import type { ReportRun } from './port.ts';

export interface AnswerParts {
  readonly engine: Pick<Engine, 'query'>;
  readonly pinnedStats: PinnedStats;
  readonly visit: Visit;
  readonly catalog: Pick<Catalog, 'stream' | 'rollup' | 'object'>;
  readonly files: FileSystem;
  /** Emptied at every start. */
  readonly scratch: string;
  readonly timeoutSeconds: number;
}

export interface Answer {
  readonly columns: readonly Column[];
  readonly rows: number;
  /** The answer in one of the engine's formats. */
  write(format: string): Promise<Uint8Array>;
  /** The first rows, for people: numbers of more than 53 bits and decimals are texts, with every digit. */
  cells(limit: number): Promise<readonly (readonly Cell[])[]>;
  remove(): Promise<void>;
}

export const ROWS_MAX = 100_000;
const BYTES_MAX = 2 ** 25;
const MEMORY_BYTES_MAX = 2 ** 30;

export interface Asking {
  readonly tenant: TenantId;
  readonly run: ReportRun;
  readonly pins: Pins;
  readonly signal: AbortSignal;
}

export async function askQuestion(
  parts: AnswerParts,
  asking: Asking,
  question: ReportQuestion,
): Promise<Answer> {
  try {
    return 'sql' in question
      ? await askSql(parts, asking, question.name, question.sql)
      : await askStats(parts, asking, question);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new MillraceError(error.code, `The question "${question.name}": ${error.message}`, {
      cause: error,
    });
  }
}

async function askSql(
  parts: AnswerParts,
  { tenant, run, pins, signal }: Asking,
  name: string,
  query: string,
) {
  const path = pathOf(parts, tenant, run, name);
  const limits = guestLimits(parts);
  const params = sqlParameters(run);
  let columns: readonly Column[] = [];
  const asked = { query, params, pins, limits, signal };
  const blocks = askPinnedSql(parts, reportPrincipal(tenant), asked, (found) => {
    columns = found;
  });
  await writeFile(parts.files, path, blocks);
  return keptAnswer(parts, path, 'Native', columns);
}

export const guestLimits = ({ timeoutSeconds }: Pick<AnswerParts, 'timeoutSeconds'>): GuestLimits => ({
  timeoutSeconds,
  memoryBytesMax: MEMORY_BYTES_MAX,
  resultRowsMax: ROWS_MAX,
  resultBytesMax: BYTES_MAX,
});

/** What a question in SQL knows by name. Moments as seconds: so they mean the same in every zone. */
export const sqlParameters = ({
  parameters,
  fromMs,
  toMs,
}: Pick<ReportRun, 'parameters' | 'fromMs' | 'toMs'>) => ({
  ...parameters,
  from: seconds(fromMs),
  to: seconds(toMs),
});

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);

async function askStats(
  parts: AnswerParts,
  { tenant, run, pins, signal }: Asking,
  { name, stream, stats }: Extract<ReportQuestion, { stream: string }>,
) {
  const definition = parts.catalog.stream(tenant, stream)?.definition;
  if (!pins.streams.has(stream) || definition === undefined)
    throw new MillraceError('bad-question', `there is no stream "${stream}" in the data version`);
  const { columns, rowsJson } = await parts.pinnedStats.ask(tenant, {
    ...{ stream, pins, signal, nowMs: run.toMs, request: statsRequest(stats, run) },
  });
  const path = pathOf(parts, tenant, run, name);
  await writeFile(parts.files, path, [Buffer.from(rowsJson)]);
  const typed = columns.map((column) => ({ name: column.name, type: typeOf(column, definition) }));
  return keptAnswer(parts, path, 'JSONEachRow', typed);
}

const LISTS = new Set(['fn', 'where']);
const TEXTS = new Set(['from', 'to', 'every', 'tz', 'by', 'order', 'limit', 'asof']);

/** The members as an address would hold them; the period stands where the question says no other. */
export function statsRequest(
  stats: Readonly<Record<string, string | readonly string[]>>,
  run: ReportRun,
): StatsRequest {
  const request: Record<string, unknown> = {
    from: formatMoment(run.fromMs),
    to: formatMoment(run.toMs),
    tz: run.timeZone,
  };
  for (const [name, value] of Object.entries(stats)) {
    const filled = [value].flat().map((text) => fillParameters(text, run.parameters));
    if (LISTS.has(name)) request[name] = filled;
    else if (TEXTS.has(name) && filled.length === 1) request[name] = filled[0];
    else
      throw new MillraceError(
        'bad-question',
        `"${name}" is no parameter of a question; use ${[...LISTS, ...TEXTS].join(', ')}`,
      );
  }
  return request as StatsRequest;
}

/** How the engine reads a column of an answer from JSON. */
function typeOf({ name, type }: StatsColumn, stream: StreamDefinition): string {
  switch (type) {
    case 'timestamp':
      return "Nullable(DateTime64(3, 'UTC'))";
    case 'bool':
      return 'Nullable(Bool)';
    case 'int32':
    case 'int64':
    case 'int128':
      return `Nullable(Int${type.slice(3)})`;
    case 'uint64':
      return 'Nullable(UInt64)';
    case 'float64':
      return 'Nullable(Float64)';
    case 'decimal': {
      const [, fn, field] = /^(?:(\w+)\()?([A-Za-z]\w*)\)?$/.exec(name) ?? [];
      const found = field === undefined ? undefined : fieldOf(stream, field);
      if (found === undefined) return 'Nullable(String)';
      return `Nullable(${fn === 'sum' ? sumType(found.type) : columnType(found.type)})`;
    }
    // Lists as the JSON that they are.
    default:
      return 'Nullable(String)';
  }
}

/** Reports ask as their tenant: everything of it, nothing of others. */
export const reportPrincipal = (tenant: TenantId): Principal => ({
  ...{ tenant, key: 'report', isOperator: false, scopes: ['sql:read'] },
  ...{ rowFilters: {}, limits: {} },
});

const pathOf = (
  { scratch }: AnswerParts,
  tenant: TenantId,
  { report, id }: ReportRun,
  question: string,
): string => `${scratch}/report.${tenant}.${report}.${id}.${question}`;

async function writeFile(
  files: FileSystem,
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const file = await files.open(path, 'create');
  try {
    let at = 0;
    for await (const chunk of chunks) {
      await file.writev([chunk], at);
      at += chunk.byteLength;
    }
  } catch (error) {
    await file.close();
    await files.unlink(path);
    throw error;
  }
  await file.close();
}

/** One thread: rows stay in their order, and the same rows become the same bytes. */
const SETTINGS = [
  "max_threads = 1, date_time_input_format = 'best_effort', input_format_parallel_parsing = 0",
  'output_format_parallel_formatting = 0, output_format_parquet_parallel_encoding = 0',
  "format_csv_null_representation = ''",
  'output_format_json_quote_denormals = 1, output_format_json_escape_forward_slashes = 0',
].join(', ');
const QUOTED = ['64bit_integers', 'decimals'].map((kind) => `output_format_json_quote_${kind}`);
const quoting = (value: 0 | 1): string =>
  `SETTINGS ${QUOTED.map((name) => `${name} = ${value}`).join(', ')}, `;
const OF_PROGRAMS = quoting(0);
const OF_PEOPLE = quoting(1);

async function keptAnswer(
  { engine, files }: AnswerParts,
  path: string,
  format: string,
  columns: readonly Column[],
): Promise<Answer> {
  const structure = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(', ');
  const source = `file(${quoteText(path)}, ${quoteText(format)}, ${quoteText(structure)})`;
  const remove = () => files.unlink(path);
  const ask = (text: string, out: string) =>
    engine.query({ text: `${text} ${SETTINGS}` }, out, { reading: 'work' });
  try {
    const counted = await ask(`SELECT count() FROM ${source} ${OF_PROGRAMS}`, 'TSV');
    return {
      columns,
      rows: Number(Buffer.from(counted).toString('utf8')),
      write: (out) => ask(`SELECT * FROM ${source} ${OF_PROGRAMS}`, out),
      cells: async (limit) => {
        const lines = await ask(`SELECT * FROM ${source} LIMIT ${limit} ${OF_PEOPLE}`, 'JSONCompactEachRow');
        const text = Buffer.from(lines).toString('utf8').trim();
        return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Cell[]);
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
