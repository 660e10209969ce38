import type { Command } from 'commander';
import { type Fn, type StatsQuestion, toJson } from '../../client/index.ts';
import {
  type ConnectionOptions,
  collect,
  connect,
  IMPATIENT,
  serverCommand,
  wholeNumber,
} from '../connect.ts';
import { freshnessText } from '../freshness-text.ts';
import type { Io } from '../io.ts';
import { sparkline, textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly fn?: readonly Fn[];
  readonly from?: string;
  readonly to?: string;
  readonly every?: string;
  readonly tz?: string;
  readonly by?: string;
  readonly where?: readonly string[];
  readonly order?: string;
  readonly limit?: number;
  readonly maxAge?: number;
}

const EXAMPLE = `$ millrace stats orders --fn 'sum(amount)' --fn count --by country --every 1d --from -30d
$ millrace stats orders --fn 'p95(latency)' --where 'country:in:DE,FR' --order=-count --limit 10`;

export function statsCommand(io: Io): Command {
  return serverCommand('stats', 'numbers of a stream', EXAMPLE)
    .argument('<stream>', 'the stream')
    .option(
      '--fn <fn>',
      'count, sum(f), avg(f), min(f), max(f), unique(f), p95(f), top(f,k), rate (repeatable)',
      collect,
    )
    .option('--from <time>', 'RFC 3339, epoch milliseconds, or relative: -1h')
    .option('--to <time>', 'end, not included')
    .option('--every <width>', 'width of the buckets: 1m, 1h, 1d, 1mo; absent: one total')
    .option('--tz <zone>', 'IANA zone for buckets of a day and more')
    .option('--by <fields>', 'dimensions, comma-separated')
    .option(
      '--where <field:op:value>',
      'condition; ops eq ne in nin gt gte lt lte like (repeatable)',
      collect,
    )
    .option('--order <column>', 'column to order by; -column for descending')
    .option('--limit <n>', 'rows', wholeNumber)
    .option('--max-age <seconds>', 'staleness that is fine', wholeNumber)
    .action(async (stream: string, options: Options) => {
      const { url, key, tenant, json, ...question } = options;
      const { client } = connect(io, options, IMPATIENT);
      const answer = await client.getStats(stream, question as StatsQuestion);
      if (json) {
        io.stdout.write(`${toJson(answer)}\n`);
        return;
      }
      const names = answer.columns.map((column) => column.name);
      const rows = answer.rows.map((row) => names.map((name) => (row as Record<string, unknown>)[name]));
      io.stdout.write(textTable(names, rows));
      // One number along time is a curve.
      if (names.length === 2 && names[0] === 'time' && rows.length > 2) {
        const values = rows.map((row) => Number(row[1] ?? 0));
        io.stdout.write(`${sparkline(values, (io.stdout.columns ?? 80) - 2)}\n`);
      }
      const { source, elapsed_ms, finality, late, duplicates } = answer.meta;
      const told = [late ? `${late} late` : '', duplicates ? `${duplicates} sent twice` : ''].filter(Boolean);
      io.stderr.write(
        `from ${source}, ${freshnessText(answer.meta)}, ${finality}${told.length > 0 ? ` (${told.join(', ')})` : ''}, ${elapsed_ms} ms\n`,
      );
    });
}
