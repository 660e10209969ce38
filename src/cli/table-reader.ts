/**
 * CSV, Parquet and Arrow as NDJSON, read by the engine in a process of its own: a process has room for one
 * data path, and what the engine needs for the file goes away with it. The file's name reaches the engine as a
 * link with a plain name, because it would expand `*` and `{}` in a path.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from './io.ts';

export interface TableRequest {
  readonly file: string;
  readonly format: 'csv' | 'parquet' | 'arrow';
  readonly skip: number;
  readonly renames: readonly (readonly [from: string, to: string])[];
  /** CSV columns (after renaming) in which an empty cell is an empty text and not an absent value. */
  readonly texts: readonly string[];
}

export interface Table {
  /** Rows of the file in all. */
  readonly rows: number;
  readonly chunks: AsyncIterable<Buffer>;
}

const SELF = fileURLToPath(import.meta.url);

/** Fails with `Failure` and the engine's words when the file cannot be read. */
export async function readTable(request: TableRequest): Promise<Table> {
  const loader = SELF.endsWith('.ts') ? ['--import', 'jiti/register'] : [];
  const child = spawn(process.execPath, [...loader, SELF, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let words = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000);
  });
  const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  const failure = () =>
    new Failure(`${request.file} cannot be read: ${words.trim() || 'the reader ended early'}`);
  const rows = await Promise.race([
    new Promise<number>((done) => child.once('message', (message) => done(message as number))),
    ended.then(() => {
      throw failure();
    }),
  ]);
  return { rows, chunks: chunksOf(child, ended, failure) };
}

async function* chunksOf(
  child: ChildProcess,
  ended: Promise<number | null>,
  failure: () => Failure,
): AsyncGenerator<Buffer> {
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    if ((await ended) !== 0) throw failure();
  } finally {
    child.kill();
  }
}

const SETTINGS: Readonly<Record<string, string>> = {
  max_threads: '1',
  max_block_size: '16384',
  session_timezone: "'UTC'",
  // a=b and b=a at once swap two columns.
  prefer_column_name_to_alias: '1',
  date_time_output_format: "'iso'",
  output_format_json_quote_64bit_integers: '0',
  output_format_json_quote_decimals: '1',
  output_format_json_quote_denormals: '0',
  output_format_json_named_tuples_as_objects: '1',
  input_format_parquet_preserve_order: '1',
  // A cell is a text; the server knows the types and names the cell that does not fit.
  input_format_csv_use_best_effort_in_schema_inference: '0',
  input_format_csv_allow_variable_number_of_columns: '1',
  input_format_csv_trim_whitespaces: '0',
};

async function engineFormat(file: string, format: TableRequest['format']): Promise<string> {
  if (format === 'csv') return 'CSVWithNames';
  if (format === 'parquet') return 'Parquet';
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(6), 0, 6, 0);
  await handle.close();
  return buffer.toString('latin1') === 'ARROW1' ? 'Arrow' : 'ArrowStream';
}

const quote = (name: string): string => `\`${name.replace(/[\\`]/g, '\\$&')}\``;

/** The columns of the file as the server reads them: dates as moments, empty cells absent. */
function selected(columns: readonly { name: string; type: string }[], request: TableRequest): string {
  const renames = new Map(request.renames);
  const texts = new Set(request.texts);
  return columns
    .map(({ name, type }) => {
      const to = renames.get(name) ?? name;
      const column = quote(name);
      if (request.format === 'csv') {
        return `${texts.has(to) ? `ifNull(${column}, '')` : `nullIf(${column}, '')`} AS ${quote(to)}`;
      }
      const date = /^(Nullable\()?Date(32)?\)?$/.test(type);
      return `${date ? `toDateTime64(${column}, 3, 'UTC')` : column} AS ${quote(to)}`;
    })
    .join(', ');
}

/** The reader's own process. */
async function main(request: TableRequest): Promise<void> {
  const { Session } = await import('chdb');
  const directory = await mkdtemp(join(tmpdir(), 'millrace-read-'));
  const session = new Session();
  try {
    const path = join(directory, 'data');
    await symlink(resolve(request.file), path);
    const params = { path, format: await engineFormat(path, request.format) };
    session.query(
      `SET ${Object.entries(SETTINGS)
        .map(([name, value]) => `${name}=${value}`)
        .join(', ')}`,
    );
    const rowsOf = async <Row>(query: string): Promise<Row[]> =>
      (await session.queryBindAsync(query, params, { format: 'JSONEachRow' }))
        .text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Row);
    const columns = await rowsOf<{ name: string; type: string }>(
      'DESCRIBE file({path:String}, {format:String})',
    );
    const [total] = await rowsOf<{ n: number }>(
      'SELECT count() AS n FROM file({path:String}, {format:String})',
    );
    process.send!(total?.n ?? 0);
    const rows = session.queryStreamBind(
      `SELECT ${selected(columns, request)} FROM (SELECT * FROM file({path:String}, {format:String}) OFFSET {skip:UInt64})`,
      { ...params, skip: request.skip },
      { format: 'JSONEachRow' },
    );
    for await (const chunk of rows) {
      // Copied: the engine takes its memory back when the next chunk is asked for.
      if (!process.stdout.write(Buffer.from(chunk.raw()))) await once(process.stdout, 'drain');
    }
  } finally {
    session.close();
    await rm(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === SELF && process.send !== undefined) {
  // Nobody is left to read for: the parent went away.
  const leave = () => process.exit(1);
  const finish = () => {
    process.off('disconnect', leave);
    process.disconnect();
  };
  process.once('disconnect', leave);
  process.stdout.once('error', () => process.exit(1));
  main(JSON.parse(process.argv[2]!) as TableRequest).then(finish, (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      message
        .replace(/^Code: \d+\. DB::Exception: /, '')
        .split('\n')[0]!
        .slice(0, 600),
    );
    process.exitCode = 1;
    finish();
  });
}
