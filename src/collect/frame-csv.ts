/**
 * CSV (RFC 4180, header line) → one JSON line per row. Cells become JSON texts, which every type accepts; cells of
 * `json` and array fields that hold JSON are taken as it. An empty cell is an absent field, except for a required
 * text, which it leaves empty.
 */
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { MillraceError } from '../base/errors.ts';
import { type Field, fieldOf, type StreamDefinition } from '../define/model.ts';
import { DEPTH_MAX, TOO_DEEP } from './frame-json.ts';
import { CHECKED_BYTES_MAX, type Framed, type FrameRules } from './framed.ts';
import { LineWriter } from './line-writer.ts';
import { longerThan, Rejections } from './rejections.ts';
import { depthOf } from './scan-json.ts';
import { checkEvent } from './validate.ts';
import { bodyTooLarge } from './zstd.ts';

const SLICE_BYTES = 64 * 1_024;
/** The bytes of made lines that are accounted for at a time. */
const GROW_BYTES = 64 * 1_024;

interface Column {
  readonly name: string;
  /** `"name":` */
  readonly key: string;
  readonly field: Field | undefined;
}

export async function frameCsv(body: Buffer, rules: FrameRules): Promise<Framed> {
  if (!isUtf8(body)) throw new MillraceError('bad-body', 'The body is not valid UTF-8.');
  const rejections = new Rejections();
  const lines = new LineWriter();
  let columns: readonly Column[] | undefined;
  let index = 0;
  let accounted = 0;
  for await (const cells of rowsOf(body)) {
    if (columns === undefined) {
      columns = columnsOf(cells, rules.stream);
      continue;
    }
    const line = rowLine(cells, columns, index, rules, rejections, body.length);
    index += 1;
    if (line === undefined) continue;
    lines.add(line);
    // Each line repeats the header's names: a body may grow by far.
    if (lines.bytes > Math.max(rules.bodyBytesMax, body.length)) throw bodyTooLarge(rules.bodyBytesMax);
    if (lines.bytes > accounted) {
      rules.grow(GROW_BYTES);
      accounted += GROW_BYTES;
    }
  }
  if (columns === undefined)
    throw new MillraceError('bad-body', `The body is empty. ${expected(rules.stream)}`);
  return { records: lines.finish(), rejections };
}

async function* rowsOf(body: Buffer): AsyncGenerator<readonly string[]> {
  const parser = Readable.from(slicesOf(body)).pipe(
    parse({ relax_column_count: true, skip_empty_lines: true }),
  );
  try {
    yield* parser as AsyncIterable<readonly string[]>;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new MillraceError('bad-body', `The body is not valid CSV: ${error.message}.`, { cause: error });
  }
}

function* slicesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += SLICE_BYTES) yield body.subarray(at, at + SLICE_BYTES);
}

const expected = (stream: StreamDefinition): string =>
  `The first line names the fields; the stream "${stream.name}" has ${stream.fields.map((field) => field.name).join(', ')}.`;

function columnsOf(header: readonly string[], stream: StreamDefinition): readonly Column[] {
  const columns = header.map((cell) => {
    const name = cell.trim();
    return { name, key: `${JSON.stringify(name)}:`, field: fieldOf(stream, name) };
  });
  if (!columns.some((column) => column.field !== undefined)) {
    throw new MillraceError(
      'bad-body',
      `No column of the header is a field of the stream. ${expected(stream)}`,
    );
  }
  const names = new Set<string>();
  for (const { name } of columns) {
    if (names.has(name)) throw new MillraceError('bad-body', `The header names the column "${name}" twice.`);
    names.add(name);
  }
  return columns;
}

function rowLine(
  cells: readonly string[],
  columns: readonly Column[],
  index: number,
  rules: FrameRules,
  rejections: Rejections,
  bodyBytes: number,
): Buffer | undefined {
  if (cells.length !== columns.length) {
    rejections.malform(index, `has ${cells.length} cells, but the header names ${columns.length}`);
    return undefined;
  }
  const members: string[] = [];
  const event: Record<string, unknown> = Object.create(null);
  for (const [at, column] of columns.entries()) {
    const cell = cellJson(cells[at]!, column.field);
    if (cell === undefined) continue;
    members.push(column.key + cell.json);
    event[column.name] = cell.value;
  }
  const line = Buffer.from(`{${members.join(',')}}`);
  if (line.length > rules.eventBytesMax) rejections.malform(index, longerThan(rules.eventBytesMax));
  else if (line.length > 2 * DEPTH_MAX && depthOf(line) > DEPTH_MAX) rejections.malform(index, TOO_DEEP);
  else {
    const mistakes = bodyBytes > CHECKED_BYTES_MAX ? [] : checkEvent(rules.stream, event, line);
    if (mistakes.length === 0) return line;
    rejections.unfit(index, mistakes);
  }
  return undefined;
}

function cellJson(
  cell: string,
  field: Field | undefined,
): { readonly json: string; readonly value: unknown } | undefined {
  if (cell === '')
    return field?.type.kind === 'string' && !field.optional ? { json: '""', value: '' } : undefined;
  if (field?.type.kind === 'json' || field?.type.kind === 'array') {
    try {
      return { value: JSON.parse(cell), json: cell.replaceAll(/[\r\n]/g, ' ') };
    } catch {
      // Not JSON: a text like any other.
    }
  }
  return { json: JSON.stringify(cell), value: cell };
}
