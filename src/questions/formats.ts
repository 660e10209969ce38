/**
 * Answers in the formats that may be asked for. The engine gives them in chunks, each a whole document; here they
 * become one document that is never held whole.
 */
import type { Guest, Statement } from '../store/index.ts';
import { joinArrow } from './arrow.ts';
import { joinParquet } from './parquet.ts';

export const SQL_FORMATS = ['json', 'ndjson', 'csv', 'arrow', 'parquet'] as const;
export type SqlFormat = (typeof SQL_FORMATS)[number];

export const MEDIA_TYPES: Readonly<Record<SqlFormat, string>> = {
  json: 'application/json; charset=utf-8',
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  arrow: 'application/vnd.apache.arrow.stream',
  parquet: 'application/vnd.apache.parquet',
};

type Pieces = AsyncGenerator<Uint8Array, void, void>;

/** `meta`: what is told of the answer where the format has room for it. */
export async function* writeAnswer(
  guest: Guest,
  statement: Statement,
  format: SqlFormat,
  meta: object,
): Pieces {
  switch (format) {
    case 'json':
      yield* json(await columnsOf(guest, statement), guest.stream(statement, 'JSONEachRow'), meta);
      return;
    case 'ndjson':
      yield* guest.stream(statement, 'JSONEachRow');
      return;
    case 'csv':
      yield Buffer.from(header(await columnsOf(guest, statement)));
      yield* guest.stream(statement, 'CSV');
      return;
    case 'arrow':
      yield* joinArrow(guest.stream(statement, 'ArrowStream'));
      return;
    case 'parquet':
      yield* joinParquet(guest.stream(statement, 'Parquet'));
  }
}

export interface Column {
  readonly name: string;
  readonly type: string;
}

export async function columnsOf(guest: Guest, statement: Statement): Promise<readonly Column[]> {
  const described = await guest.query({ ...statement, text: `DESCRIBE (${statement.text})` }, 'JSONEachRow');
  return Buffer.from(described)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Column)
    .map(({ name, type }) => ({ name, type }));
}

const header = (columns: readonly Column[]): string =>
  `${columns.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(',')}\n`;

const LINE_END = 0x0a;
const COMMA = 0x2c;

/**
 * `{"columns":[…],"rows":[…],"statistics":{"rows":n},"meta":{…}}`. Rows are not read: long integers keep their digits. A line
 * end stands only behind a row, for text escapes its own.
 */
async function* json(columns: readonly Column[], lines: AsyncIterable<Uint8Array>, meta: object): Pieces {
  yield Buffer.from(`{"columns":${JSON.stringify(columns)},"rows":[`);
  let rows = 0;
  for await (const chunk of lines) {
    if (chunk.length === 0) continue;
    if (rows > 0) yield Buffer.of(COMMA);
    for (let at = chunk.indexOf(LINE_END); at !== -1; at = chunk.indexOf(LINE_END, at + 1)) {
      chunk[at] = COMMA;
      rows += 1;
    }
    yield chunk.subarray(0, -1);
  }
  yield Buffer.from(`],"statistics":{"rows":${rows}},"meta":${JSON.stringify(meta)}}`);
}
