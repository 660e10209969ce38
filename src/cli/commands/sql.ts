import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import { parseJson } from '../../client/index.ts';
import { type ConnectionOptions, collect, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { type Freshness, freshnessText } from '../freshness-text.ts';
import { Failure, type Io, UsageError, untilSignal } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly format: 'table' | 'json' | 'ndjson' | 'csv' | 'arrow' | 'parquet';
  readonly output?: string;
  readonly param?: readonly string[];
}

const EXAMPLE = `$ millrace sql 'SELECT country, count() FROM orders GROUP BY country ORDER BY 2 DESC LIMIT 10'
$ millrace sql 'SELECT * FROM orders WHERE merchant = {m:UInt64}' --param m=42 --format csv
$ millrace sql 'SELECT * FROM orders' --format parquet -o orders.parquet`;

export function sqlCommand(io: Io): Command {
  return serverCommand('sql', 'a question in SQL; reads only', EXAMPLE)
    .argument('<query>', 'the question; - reads it from standard input')
    .addOption(
      new Option('--format <format>', 'how to print the answer')
        .choices(['table', 'json', 'ndjson', 'csv', 'arrow', 'parquet'])
        .default('table'),
    )
    .option('-o, --output <file>', 'write the answer to a file; it is there only when the answer is whole')
    .option('--param <name=value>', 'value of {name:Type} in the question (repeatable)', collect)
    .action(async (query: string, options: Options) => {
      const format = options.json ? 'json' : options.format;
      const { output } = options;
      if (output === undefined && (format === 'arrow' || format === 'parquet'))
        throw new UsageError(`--format ${format} is for files; say which with --output FILE.`);
      if (output !== undefined && format === 'table')
        throw new UsageError('A table is for the terminal; choose another --format for --output.');
      const params = paramsOf(options.param ?? []);
      const text = query === '-' ? await textOf(io) : query;
      const { client } = connect(io, options, IMPATIENT);
      if (output !== undefined && format !== 'table') {
        await untilSignal(io, async (signal) => {
          const pieces = await client.sqlStream(text, { params, format, signal });
          await writeWhole(resolve(io.cwd, output), pieces);
          const { asOf = null, lagMs } = pieces;
          if (lagMs !== undefined) io.stderr.write(`${freshnessText({ as_of: asOf, lag_ms: lagMs })}\n`);
        });
        return;
      }
      const shown = format === 'ndjson' || format === 'csv' ? format : 'json';
      const answer = await client.sql(text, { params, format: shown });
      if (format !== 'table') {
        io.stdout.write(answer.endsWith('\n') ? answer : `${answer}\n`);
        return;
      }
      const value = parseJson(answer) as Answer;
      io.stdout.write(tableOf(value));
      // A server of before tells nothing of it.
      if (value.meta) io.stderr.write(`${freshnessText(value.meta)}\n`);
    });
}

/** An answer that breaks off leaves no file, and leaves one that was there before as it was. */
async function writeWhole(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await pipeline(pieces, createWriteStream(partial));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof Error && 'syscall' in error)
      throw new Failure(`${file} cannot be written: ${error.message}`);
    throw error;
  }
}

async function textOf(io: Io): Promise<string> {
  let text = '';
  for await (const chunk of io.stdin) text += String(chunk);
  return text;
}

function paramsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`"${pair}" is not a parameter; use NAME=VALUE.`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

interface Answer {
  readonly columns?: readonly (string | { readonly name: string })[];
  readonly rows?: readonly unknown[];
  readonly meta?: Freshness;
}

function tableOf(value: Answer): string {
  const rows = value.rows ?? [];
  const first = rows[0];
  const named = value.columns?.map((column) => (typeof column === 'string' ? column : column.name));
  const names = named ?? (typeof first === 'object' && first !== null ? Object.keys(first) : []);
  const cells = rows.map((row) =>
    Array.isArray(row) ? row : names.map((name) => (row as Record<string, unknown>)[name]),
  );
  return textTable(names, cells);
}
