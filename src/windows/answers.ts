/** What is told of windows to those who ask: published results, and open windows as they are now. */
import type { TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import type { StreamDefinition } from '../define/model.ts';
import { conditionSql, eventColumns, eventJson, parseCondition, parseTime } from '../stats/index.ts';
import { type Engine, eventsTable } from '../store/index.ts';
import type { ResultsAnswer, ResultsRequest } from './port.ts';
import { compactRows } from './publish.ts';
import { Parameters, statement } from './source.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
const RESULT_BYTES_MAX = 64 * 2 ** 20;

type Row = readonly [readonly (string | null)[], string, number, string, string, string];

/** Duplicates of a stretch of event time, over all keys; null: not known exactly. */
export type DuplicatesOf = (startMs: number, endMs: number) => number | null;

/** Newest window first, then by key; of each the newest version first. */
export async function readResults(
  engine: Pick<Engine, 'query'>,
  tenant: TenantId,
  stream: StreamDefinition,
  request: ResultsRequest,
  nowMs: number,
  duplicatesOf: DuplicatesOf,
): Promise<ResultsAnswer> {
  const issues: Issue[] = [];
  const note = (path: string, message: string) => issues.push({ path, message });
  const fromMs = parseTime('from', request.from, nowMs, 'UTC', note);
  const toMs = parseTime('to', request.to, nowMs, 'UTC', note);
  const parameters = new Parameters();
  const conditions = (request.where ?? []).flatMap((text) => {
    const condition = parseCondition(text, stream, nowMs, 'UTC');
    if (typeof condition !== 'string') return [conditionSql(condition, parameters)];
    note('where', condition);
    return [];
  });
  const limit = request.limit ?? LIMIT_DEFAULT;
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
    note('limit', `must be a whole number from 1 to ${LIMIT_MAX}`);
  const after = request.cursor === undefined ? undefined : readCursor(request.cursor, note);
  if (issues.length > 0)
    throw new MillraceError('bad-question', 'The question about results is not understood.', { issues });
  const moment = (ms: number) => `fromUnixTimestamp64Milli(${parameters.bind('Int64', ms)}, 'UTC')`;
  const range = [
    ...(fromMs === undefined ? [] : [`_time >= ${moment(fromMs)}`]),
    ...(toMs === undefined ? [] : [`_time < ${moment(toMs)}`]),
    ...(after === undefined ? [] : [`_time <= ${moment(after.startMs)}`]),
  ];
  const latest = request.versions !== 'all';
  // The newest version is found before conditions are looked at: an older one that fits them is no answer.
  const found = `SELECT * FROM ${eventsTable(tenant, stream.name)}${range.length === 0 ? '' : ` WHERE ${range.join(' AND ')}`} ORDER BY window_start DESC, window_key, version DESC${latest ? ' LIMIT 1 BY window_start, window_key' : ''}`;
  const told = [
    ...conditions,
    ...(latest ? ["status != 'retracted'"] : []),
    ...(after === undefined
      ? []
      : [
          `(-toUnixTimestamp64Milli(window_start), window_key, -toInt64(version)) > (${parameters.bind('Int64', -after.startMs)}, ${parameters.bind('String', after.key)}, ${parameters.bind('Int64', -after.version)})`,
        ]),
  ];
  const rows = await compactRows<Row>(
    engine,
    statement(
      `SELECT ${eventColumns(stream)}, window_key, toString(version), toString(toUnixTimestamp64Milli(window_end)) FROM (${found})${told.length === 0 ? '' : ` WHERE ${told.join(' AND ')}`} ORDER BY window_start DESC, window_key, version DESC LIMIT ${parameters.bind('UInt64', limit + 1)} SETTINGS max_result_bytes = ${RESULT_BYTES_MAX}, result_overflow_mode = 'throw'`,
      parameters,
    ),
    tenant,
  );
  const page = rows.slice(0, limit);
  const toldOf = ([row, extra, startMs, , , endMs]: Row) =>
    withDuplicates(eventJson(stream, row, extra, { withPlace: false }), stream, () =>
      duplicatesOf(startMs, Number(endMs)),
    );
  const last = rows.length > limit ? page.at(-1) : undefined;
  return {
    resultsJson: `[${page.map(toldOf).join(',')}]`,
    count: page.length,
    next: last ? writeCursor({ startMs: last[2], key: last[3], version: Number(last[4]) }) : null,
  };
}

/** A measure of that name keeps it. */
function withDuplicates(json: string, { fields }: StreamDefinition, duplicates: () => number | null): string {
  if (fields.some(({ name }) => name === 'duplicates')) return json;
  return `${json.slice(0, -1)},"duplicates":${duplicates()}}`;
}

interface Cursor {
  readonly startMs: number;
  readonly key: string;
  readonly version: number;
}

const writeCursor = ({ startMs, key, version }: Cursor): string =>
  Buffer.from(JSON.stringify([startMs, key, version])).toString('base64url');

function readCursor(text: string, note: (path: string, message: string) => void): Cursor | undefined {
  try {
    const read: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (Array.isArray(read)) {
      const [startMs, key, version] = read as unknown[];
      if (Number.isSafeInteger(startMs) && typeof key === 'string' && Number.isSafeInteger(version))
        return { startMs: startMs as number, key, version: version as number };
    }
  } catch {
    // Told below.
  }
  note('cursor', 'is not the next_cursor of an earlier page');
  return undefined;
}
