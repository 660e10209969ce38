/** A question in SQL: guarded, then run over the tenant's own streams and rollups and nothing else. */
import type { TenantId } from '../../base/brand.ts';
import { MillraceError } from '../../base/errors.ts';
import type { Catalog } from '../../catalog/port.ts';
import { type Engine, quoteIdentifier, type StatementParam } from '../../store/index.ts';
import { checkNodes, checkText, ownRelations } from '../../sql/index.ts';
import { relationSql } from './relations.ts';

export type SqlFormat = 'json' | 'ndjson' | 'csv';

export interface SqlQuestion {
  readonly query: string;
  readonly params?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly format: SqlFormat;
}

const ROWS_MAX = 100_000;
const RESULT_BYTES_MAX = 64 * 2 ** 20;
/** Questions at a time: the others that the store answers must not wait behind them. */
const UNDER_WAY_MAX = 2;
const CHECK_LIMITS = { timeoutSeconds: 5, memoryBytesMax: 2 ** 28 };

const LIMITS = [
  `max_result_rows=${ROWS_MAX}`,
  `max_result_bytes=${RESULT_BYTES_MAX}`,
  "result_overflow_mode='throw'",
  // The wrapping must not make the order of the question look needless.
  'query_plan_remove_redundant_sorting=0',
].join(', ');

const FORMATS: Readonly<Record<SqlFormat, string>> = {
  json: 'JSON',
  ndjson: 'JSONEachRow',
  csv: 'CSVWithNames',
};

export type AskSql = (tenant: TenantId, question: SqlQuestion, signal?: AbortSignal) => Promise<string>;

/**
 * Gives the answer as text: JSON `{"columns", "rows"}`, a JSON object a line, or CSV with a header. Fails with
 * `bad-question`, `query-timeout` or `too-busy`.
 */
export function createAskSql(engine: Pick<Engine, 'query'>, catalog: Catalog): AskSql {
  const text = async (statement: string, params: SqlQuestion['params'], format: string, limits: object) => {
    try {
      const bytes = await engine.query(
        { text: statement, params: (params ?? {}) as Record<string, StatementParam> },
        format,
        limits,
      );
      return Buffer.from(bytes).toString('utf8');
    } catch (error) {
      throw explain(error);
    }
  };

  const answer: AskSql = async (tenant, { query, params, format }, signal) => {
    const formatted = await text(
      'SELECT formatQuerySingleLine({query:String})',
      { query },
      'TSVRaw',
      CHECK_LIMITS,
    );
    const canonical = formatted.replace(/\n$/, '');
    const mistake = checkText(canonical);
    if (mistake !== undefined) throw refusal(mistake);
    const wrapped = `SELECT * FROM (${canonical})`;
    const own = ownRelations(canonical);
    const verdict = checkNodes(
      await text(`EXPLAIN AST ${wrapped}`, params, 'TSVRaw', CHECK_LIMITS),
      (name) => own.has(name) || relationSql(catalog, tenant, name) !== undefined,
    );
    if (!verdict.allowed) throw refusal(verdict.reason);
    // Every name that the question reads is bound here, so none can reach a table of the engine. A name of the
    // question's own is bound to nothing: outside of its scope it finds no rows.
    const bound = [...verdict.relations].map(
      (name) =>
        `${quoteIdentifier(name)} AS (${relationSql(catalog, tenant, name) ?? 'SELECT 0 AS nothing WHERE 0'})`,
    );
    const withBound = bound.length === 0 ? '' : `WITH ${bound.join(', ')} `;
    const rows = await text(
      `${withBound}${wrapped} SETTINGS ${LIMITS}`,
      params,
      FORMATS[format],
      signal ? { signal } : {},
    );
    return format === 'json' ? columnsAndRows(rows) : rows;
  };

  let underWay = 0;
  return async (tenant, question, signal) => {
    if (underWay >= UNDER_WAY_MAX) {
      throw new MillraceError(
        'too-busy',
        `At most ${UNDER_WAY_MAX} questions in SQL run at a time; ask again later.`,
        {
          retryAfterSeconds: 1,
        },
      );
    }
    underWay += 1;
    try {
      return await answer(tenant, question, signal);
    } finally {
      underWay -= 1;
    }
  };
}

const refusal = (reason: string): MillraceError =>
  new MillraceError('bad-question', `This question is not allowed: ${reason}.`, {
    issues: [{ path: 'query', message: reason }],
  });

/** What the engine says about the question is for the person who asked: it knows only what he may read. */
function explain(error: unknown): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'store-unavailable') return error;
  const words = error.cause instanceof Error ? error.cause.message : '';
  const match = /DB::Exception: ([\s\S]*?)(?:[:.] In scope |: While |\(version|$)/.exec(words);
  if (match === null) return error;
  const reason = match[1]!.slice(0, 500).trim();
  return new MillraceError('bad-question', `The store does not understand the question: ${reason}`, {
    cause: error,
    issues: [{ path: 'query', message: reason }],
  });
}

/**
 * Cuts columns and rows out of the engine's JSON without reading the rows: long integers keep their digits. The
 * marks are at the ends of lines of their own; text of values holds no line ends.
 */
function columnsAndRows(json: string): string {
  const metaAt = json.indexOf('"meta":') + '"meta":'.length;
  const dataAt = json.indexOf('\n\t"data":', metaAt);
  const rowsAt = json.lastIndexOf('\n\t"rows":');
  const columns = json.slice(metaAt, json.lastIndexOf(',', dataAt));
  const rows = json.slice(dataAt + '\n\t"data":'.length, json.lastIndexOf(',', rowsAt));
  return `{"columns":${JSON.stringify(JSON.parse(columns))},"rows":${rows.trim()}}`;
}
