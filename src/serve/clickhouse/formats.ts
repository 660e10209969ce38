/**
 * The formats in which answers go out. The engine writes an answer in chunks, each a document of its own:
 *
 *   rows     chunks of the plain format one behind the other; names and types in front are written once
 *   json     head and foot are written here, the rows between them by the engine
 *   progress lines, of which the first of each chunk repeats the columns
 *   arrow, parquet  joined (../sql)
 *   whole    what cannot be joined is made at once, within a bound
 */

import { joinArrow, joinParquet } from '../../questions/index.ts';
import type { Guest } from '../../store/index.ts';
import { Refusal } from './refusal.ts';

type Pieces = AsyncGenerator<Uint8Array, void, void>;

export interface Format {
  readonly name: string;
  readonly media: string;
  readonly kind: 'rows' | 'json' | 'progress' | 'arrow' | 'parquet' | 'native' | 'whole' | 'nothing';
  /** The plain format that the chunks are written in. */
  readonly chunks: string;
}

const TEXT = 'text/plain; charset=UTF-8';
const TSV = 'text/tab-separated-values; charset=UTF-8';
const CSV = 'text/csv; charset=UTF-8; header=';
const JSON_TEXT = 'application/json; charset=UTF-8';
const LINES = 'application/x-ndjson; charset=UTF-8';
const BYTES = 'application/octet-stream';

const rows = (name: string, media: string, chunks = name): Format => ({ name, media, kind: 'rows', chunks });
const whole = (name: string, media = TEXT): Format => ({ name, media, kind: 'whole', chunks: name });
const json = (name: string, chunks: string): Format => ({ name, media: JSON_TEXT, kind: 'json', chunks });
const progress = (name: string): Format => ({ name, media: LINES, kind: 'progress', chunks: name });
const withHeads = (chunks: string, media: string, headed = media): readonly Format[] => [
  rows(chunks, media),
  rows(`${chunks}WithNames`, headed, chunks),
  rows(`${chunks}WithNamesAndTypes`, headed, chunks),
];

const FORMATS: readonly Format[] = [
  ...withHeads('TabSeparated', TSV),
  ...withHeads('TabSeparatedRaw', TSV),
  ...withHeads('CSV', `${CSV}absent`, `${CSV}present`),
  ...withHeads('CustomSeparated', TEXT),
  ...withHeads('JSONCompactEachRow', LINES),
  ...withHeads('JSONCompactStringsEachRow', LINES),
  ...withHeads('RowBinary', BYTES),
  rows('JSONEachRow', LINES),
  rows('JSONStringsEachRow', LINES),
  rows('TSKV', TEXT),
  rows('MsgPack', 'application/msgpack'),
  rows('BSONEachRow', BYTES),
  json('JSON', 'JSONEachRow'),
  json('JSONStrings', 'JSONStringsEachRow'),
  json('JSONCompact', 'JSONCompactEachRow'),
  json('JSONCompactStrings', 'JSONCompactStringsEachRow'),
  progress('JSONEachRowWithProgress'),
  progress('JSONStringsEachRowWithProgress'),
  progress('JSONCompactEachRowWithProgress'),
  progress('JSONCompactStringsEachRowWithProgress'),
  { name: 'ArrowStream', media: 'application/vnd.apache.arrow.stream', kind: 'arrow', chunks: 'ArrowStream' },
  { name: 'Parquet', media: 'application/vnd.apache.parquet', kind: 'parquet', chunks: 'Parquet' },
  { name: 'Native', media: BYTES, kind: 'native', chunks: 'Native' },
  { name: 'Null', media: TEXT, kind: 'nothing', chunks: 'Null' },
  whole('Arrow', 'application/vnd.apache.arrow.file'),
  whole('ORC', BYTES),
  whole('Avro', 'application/avro'),
  whole('XML', 'application/xml; charset=UTF-8'),
  whole('JSONColumns', JSON_TEXT),
  whole('JSONCompactColumns', JSON_TEXT),
  whole('JSONColumnsWithMetadata', JSON_TEXT),
  whole('JSONObjectEachRow', JSON_TEXT),
  ...['Values', 'SQLInsert', 'Markdown', 'Vertical'].map((name) => whole(name)),
  ...['', 'Compact', 'Space'].flatMap((style) =>
    ['', 'NoEscapes', 'MonoBlock', 'NoEscapesMonoBlock'].map((rest) => whole(`Pretty${style}${rest}`)),
  ),
  whole('PrettyJSONEachRow', JSON_TEXT),
];

const ALIASES: Readonly<Record<string, string>> = {
  TSV: 'TabSeparated',
  TSVWithNames: 'TabSeparatedWithNames',
  TSVWithNamesAndTypes: 'TabSeparatedWithNamesAndTypes',
  TSVRaw: 'TabSeparatedRaw',
  TSVRawWithNames: 'TabSeparatedRawWithNames',
  TSVRawWithNamesAndTypes: 'TabSeparatedRawWithNamesAndTypes',
  Raw: 'TabSeparatedRaw',
  RawWithNames: 'TabSeparatedRawWithNames',
  RawWithNamesAndTypes: 'TabSeparatedRawWithNamesAndTypes',
  JSONLines: 'JSONEachRow',
  NDJSON: 'JSONEachRow',
};

const BY_NAME = new Map(FORMATS.map((format) => [format.name.toLowerCase(), format]));
for (const [alias, name] of Object.entries(ALIASES)) {
  BY_NAME.set(alias.toLowerCase(), BY_NAME.get(name.toLowerCase())!);
}

export const FORMAT_NAMES: readonly string[] = [
  ...FORMATS.map(({ name }) => name),
  ...Object.keys(ALIASES),
].sort();

/** Fails with `UNKNOWN_FORMAT`. */
export function formatNamed(name: string): Format {
  const format = BY_NAME.get(name.toLowerCase());
  if (format === undefined) throw new Refusal('UNKNOWN_FORMAT', `Unknown format ${name.slice(0, 100)}`);
  return format;
}

export interface Answered {
  /** Rows of the answer, as far as they can be counted. */
  rows: number | undefined;
}

export interface Writing {
  readonly guest: Guest;
  readonly text: string;
  readonly format: Format;
  /** Turns blocks of `Native` into those of a protocol's version. */
  readonly nativeBlocks?: ((chunk: Uint8Array) => Uint8Array) | undefined;
  /** A statement that is no SELECT has no head of its own. */
  readonly isSelect: boolean;
  readonly elapsedSeconds: () => number;
  readonly answered: Answered;
}

/** A statement that gives the columns and no rows. */
const empty = (text: string): string => `SELECT * FROM (${text}) LIMIT 0`;

export async function* writeFormat(writing: Writing): Pieces {
  const { guest, text, format, isSelect, nativeBlocks, answered } = writing;
  if (!isSelect || format.kind === 'whole') {
    const bytes = await guest.query({ text }, format.name);
    yield nativeBlocks === undefined || format.kind !== 'native' ? bytes : nativeBlocks(bytes);
    return;
  }
  answered.rows = 0;
  const chunks = guest.stream({ text }, format.chunks, (rows) => {
    answered.rows = (answered.rows ?? 0) + rows;
  });
  switch (format.kind) {
    case 'rows':
      if (format.name !== format.chunks) yield await guest.query({ text: empty(text) }, format.name);
      yield* chunks;
      return;
    case 'json':
      yield* jsonDocument(writing, chunks);
      return;
    case 'progress':
      yield* withoutRepeatedHeads(chunks);
      return;
    case 'arrow':
      yield* joinArrow(chunks);
      return;
    case 'parquet':
      yield* joinParquet(chunks);
      return;
    case 'native':
      for await (const chunk of chunks) yield nativeBlocks === undefined ? chunk : nativeBlocks(chunk);
      return;
    case 'nothing':
      for await (const _nothing of chunks);
  }
}

const LINE_END = 0x0a;
const COMMA = 0x2c;

/** `{"meta":[…],"data":[…],"rows":n,"statistics":{…}}`: a line end stands only behind a row, for text escapes its own. */
async function* jsonDocument(
  { guest, text, elapsedSeconds }: Writing,
  lines: AsyncIterable<Uint8Array>,
): Pieces {
  const described = await guest.query({ text: empty(text) }, 'JSONCompact');
  const { meta } = JSON.parse(Buffer.from(described).toString('utf8')) as { readonly meta: unknown };
  yield Buffer.from(`{"meta":${JSON.stringify(meta)},\n"data":[\n`);
  let rowsWritten = 0;
  for await (const chunk of lines) {
    if (chunk.length === 0) continue;
    if (rowsWritten > 0) yield Buffer.from(',\n');
    const end = chunk.length - 1;
    let separators = 1;
    for (let at = chunk.indexOf(LINE_END); at !== -1 && at < end; at = chunk.indexOf(LINE_END, at + 1)) {
      chunk[at] = COMMA;
      separators += 1;
    }
    rowsWritten += separators;
    yield chunk.subarray(0, end);
  }
  yield Buffer.from(`\n],\n"rows":${rowsWritten},\n"statistics":{"elapsed":${elapsedSeconds()}}}\n`);
}

async function* withoutRepeatedHeads(chunks: AsyncIterable<Uint8Array>): Pieces {
  let first = true;
  for await (const chunk of chunks) {
    yield first ? chunk : chunk.subarray(chunk.indexOf(LINE_END) + 1);
    first = false;
  }
}
