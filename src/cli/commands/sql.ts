import { type Command, Option } from 'commander';
import { parseJson } from '../../client/index.ts';
import { type ConnectionOptions, collect, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { type Io, UsageError } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly format: 'table' | 'json' | 'ndjson' | 'csv';
  readonly param?: readonly string[];
}

const EXAMPLE = `$ millrace sql 'SELECT country, count() FROM orders GROUP BY country ORDER BY 2 DESC LIMIT 10'
$ millrace sql 'SELECT * FROM orders WHERE merchant = {m:UInt64}' --param m=42 --format csv`;

export function sqlCommand(io: Io): Command {
  return serverCommand('sql', 'a question in SQL; reads only', EXAMPLE)
    .argument('<query>', 'the question; - reads it from standard input')
    .addOption(
      new Option('--format <format>', 'how to print the answer')
        .choices(['table', 'json', 'ndjson', 'csv'])
        .default('table'),
    )
    .option('--param <name=value>', 'value of {name:Type} in the question (repeatable)', collect)
    .action(async (query: string, options: Options) => {
      const { client } = connect(io, options, IMPATIENT);
      const format = options.json ? 'json' : options.format;
      const answer = await client.sql(query === '-' ? await textOf(io) : query, {
        params: paramsOf(options.param ?? []),
        format: format === 'table' ? 'json' : format,
      });
      io.stdout.write(format === 'table' ? tableOf(answer) : answer.endsWith('\n') ? answer : `${answer}\n`);
    });
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

function tableOf(answer: string): string {
  const value = parseJson(answer) as {
    readonly columns?: readonly (string | { readonly name: string })[];
    readonly rows?: readonly unknown[];
  };
  const rows = value.rows ?? [];
  const first = rows[0];
  const named = value.columns?.map((column) => (typeof column === 'string' ? column : column.name));
  const names = named ?? (typeof first === 'object' && first !== null ? Object.keys(first) : []);
  const cells = rows.map((row) =>
    Array.isArray(row) ? row : names.map((name) => (row as Record<string, unknown>)[name]),
  );
  return textTable(names, cells);
}
