import { Command, Option } from 'commander';
import { type TableInfo, toJson } from '../../client/index.ts';
import {
  type ConnectionOptions,
  collect,
  connect,
  IMPATIENT,
  serverCommand,
  wholeNumber,
} from '../connect.ts';
import { FILE_FORMATS, type FileFormat, formatOfFile } from '../file-format.ts';
import { openSource } from '../file-source.ts';
import { Failure, type Io, untilSignal } from '../io.ts';
import { lineBatches } from '../line-batches.ts';
import { grouped } from '../send-meter.ts';
import { textTable } from '../text-table.ts';

const BATCH_BYTES = 4 * 2 ** 20;
const BATCH_ROWS = 50_000;

interface LoadOptions extends ConnectionOptions {
  readonly json?: true;
  readonly format?: FileFormat;
  readonly validFrom?: string;
}

interface RowsOptions extends ConnectionOptions {
  readonly json?: true;
  readonly where?: readonly string[];
  readonly at?: string;
  readonly limit?: number;
}

export function tablesCommand(io: Io): Command {
  return new Command('tables')
    .description('dimension tables: what there is, their rows, loading them')
    .addCommand(listCommand(io))
    .addCommand(loadCommand(io))
    .addCommand(rowsCommand(io));
}

const listCommand = (io: Io): Command =>
  serverCommand('list', 'every dimension table', '$ millrace tables list').action(
    async (options: ConnectionOptions & { readonly json?: true }) => {
      const tables = await connect(io, options, IMPATIENT).client.tables.list();
      if (options.json) io.stdout.write(`${toJson(tables)}\n`);
      else if (tables.length === 0)
        io.stdout.write('There is no table yet; millrace apply makes those of a project.\n');
      else {
        const rows = tables.map(({ name, version, document }) => [
          name,
          version,
          document.key,
          Object.keys(document.fields).join(', '),
          document.history ? 'yes' : 'no',
        ]);
        io.stdout.write(textTable(['table', 'version', 'key', 'fields', 'history'], rows));
      }
    },
  );

const loadCommand = (io: Io): Command =>
  serverCommand(
    'load',
    'write rows from a file; what is there already is not written again, so an interrupted load is repeated',
    '$ millrace tables load channels channels.csv',
  )
    .argument('<table>', 'the table')
    .argument('[file]', 'a file; - or nothing is standard input')
    .addOption(
      new Option('--format <format>', 'format, when the name does not tell it').choices(FILE_FORMATS),
    )
    .option('--valid-from <time>', 'from when on the rows are valid; default now')
    .action((table: string, file: string | undefined, options: LoadOptions) =>
      untilSignal(io, (signal) => load(io, table, file ?? '-', options, signal)),
    );

async function load(
  io: Io,
  table: string,
  file: string,
  options: LoadOptions,
  signal: AbortSignal,
): Promise<void> {
  const { client } = connect(io, options, { attemptsMax: 60, timeMsMax: 600_000 });
  const found = (await connect(io, options, IMPATIENT).client.tables.list()).find(
    ({ name }) => name === table,
  );
  if (!found) throw new Failure(`there is no table "${table}"; millrace apply makes those of a project.`);
  const { texts, jsonCells } = cellsOf(found);
  const path = file === '-' || file.startsWith('/') ? file : `${io.cwd}/${file}`;
  const source = await openSource({
    file: path,
    stdin: io.stdin,
    ...formatOfFile(file, options.format),
    from: { record: 0, byte: 0 },
    table: { renames: [], texts },
  });
  const total = { rows: 0, changed: 0 };
  try {
    const batches = lineBatches(
      source.chunks,
      { jsonCells },
      {
        ...{ batchBytes: BATCH_BYTES, batchEvents: BATCH_ROWS, firstRecord: 0, firstByte: 0, skip: 0 },
      },
    );
    for await (const { body } of batches) {
      const answer = await client.tables.putLines(table, body, { validFrom: options.validFrom, signal });
      total.rows += answer.rows;
      total.changed += answer.changed;
    }
  } finally {
    await source.close();
  }
  io.stdout.write(
    options.json
      ? `${toJson({ table, ...total })}\n`
      : `${file === '-' ? 'standard input' : file} → ${table}: ${grouped(total.rows)} rows, ${grouped(total.changed)} changed\n`,
  );
}

/** Fields in which an empty cell is an empty text, and those whose cells are JSON. */
function cellsOf({ document }: TableInfo) {
  const typed = Object.entries(document.fields).map(([field, spec]) =>
    typeof spec === 'string' ? { field, type: spec, optional: false } : { field, ...spec },
  );
  return {
    texts: typed
      .filter(({ type, optional }) => type === 'string' && optional !== true)
      .map(({ field }) => field),
    jsonCells: new Set(
      typed.filter(({ type }) => type === 'json' || type === 'array').map(({ field }) => field),
    ),
  };
}

const rowsCommand = (io: Io): Command =>
  serverCommand('rows', 'rows of a table, by key', "$ millrace tables rows channels --where 'country:eq:de'")
    .argument('<table>', 'the table')
    .option('--where <condition>', 'field:op:value (repeatable)', collect)
    .option('--at <time>', 'as the rows were then')
    .option('--limit <n>', 'rows, 1 to 1000', wholeNumber)
    .action(async (table: string, { where, at, limit, ...options }: RowsOptions) => {
      const page = await connect(io, options, IMPATIENT).client.tables.rows(table, { where, at, limit });
      if (options.json) io.stdout.write(`${toJson(page.rows)}\n`);
      else if (page.rows.length === 0) io.stdout.write('There are no such rows.\n');
      else {
        const columns = Object.keys(page.rows[0]!);
        const cells = page.rows.map((row) =>
          columns.map((column) => {
            const value = row[column];
            return value === null ? '' : typeof value === 'object' ? toJson(value) : String(value);
          }),
        );
        io.stdout.write(textTable(columns, cells));
        if (page.next_cursor !== null)
          io.stderr.write('There are more; say --limit, or narrow them with --where.\n');
      }
    });
