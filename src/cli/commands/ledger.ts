import { type Command, Option } from 'commander';
import { type LedgerOfBatch, type LedgerPage, type LedgerRow, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import { Failure, type Io, UsageError } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly every?: '1m' | '10m' | '1h' | '1d';
  readonly from?: string;
  readonly to?: string;
  readonly partition?: number;
  readonly by?: 'partition';
  readonly only?: 'mismatched';
  readonly batch?: string;
  readonly acknowledge?: true;
}

const EXAMPLE = `$ millrace ledger orders --every 1h --from -1d
$ millrace ledger orders --only mismatched --by partition --from -30d --every 1d
$ millrace ledger orders --batch 0-1234-100`;

const COUNTS = ['accepted', 'stored', 'duplicates', 'quarantined', 'late_dropped', 'pending'] as const;
const FAULTS = ['missing', 'extra'] as const;
const ROWS_MAX = 10_000;

export function ledgerCommand(io: Io): Command {
  return serverCommand(
    'ledger',
    'what was accepted and what became of it; exit code 1 when it does not balance',
    EXAMPLE,
  )
    .argument('<stream>', 'the stream')
    .addOption(
      new Option('--every <width>', 'width of a row in time of arrival').choices(['1m', '10m', '1h', '1d']),
    )
    .option('--from <time>', 'time of arrival: RFC 3339, epoch milliseconds, or relative: -1h')
    .option('--to <time>', 'end, not included')
    .option('--partition <n>', 'only this partition of the log', wholeNumber)
    .addOption(new Option('--by <what>', 'a row for each partition').choices(['partition']))
    .addOption(new Option('--only <which>', 'only rows that do not balance').choices(['mismatched']))
    .option('--batch <receipt>', 'what became of the records of one request, by its receipt')
    .option('--acknowledge', 'take note of mismatches from --from to --to that cannot be repaired')
    .action(async (stream: string, options: Options) => {
      const { url, key, tenant, json, batch, acknowledge, ...question } = options;
      const { client } = connect(io, options, IMPATIENT);
      if (acknowledge) {
        const { from, to, partition } = question;
        if (from === undefined || to === undefined)
          throw new UsageError('Say --from and --to: what is acknowledged is no longer told.');
        const acknowledged = await client.acknowledgeLedger(stream, { from, to, partition });
        io.stdout.write(json ? `${toJson({ acknowledged })}\n` : `${acknowledged} rows acknowledged.\n`);
        return;
      }
      if (batch !== undefined) {
        const answer = await client.ledger(stream, { batch });
        io.stdout.write(json ? `${toJson(answer)}\n` : batchText(answer));
        if (!answer.balanced) throw new Failure(wordsOf(stream, 'these records'));
        return;
      }
      const first = await client.ledger(stream, { ...question, limit: 1_000 });
      const rows: LedgerRow[] = [...first.rows];
      let cursor = first.next_cursor;
      // The range stays as it was at the first page, whatever `now` is meanwhile.
      while (cursor !== null && rows.length < ROWS_MAX) {
        const range = { from: first.from, to: first.to };
        const page: LedgerPage = await client.ledger(stream, { ...question, ...range, limit: 1_000, cursor });
        rows.push(...page.rows);
        cursor = page.next_cursor;
      }
      const answer: LedgerPage = { ...first, rows, next_cursor: cursor };
      if (json) io.stdout.write(`${toJson(answer)}\n`);
      else {
        io.stdout.write(tableOf(answer));
        if (cursor !== null)
          io.stderr.write(`the first ${rows.length} rows; ask for a shorter range to see the rest\n`);
        io.stderr.write(
          `arrivals from ${answer.from} to ${answer.to}, checked to ${answer.checked_to ?? 'nothing yet'}\n`,
        );
      }
      if (!answer.balanced) throw new Failure(wordsOf(stream, 'the range'));
    });
}

const wordsOf = (stream: string, what: string): string =>
  `the ledger of ${what} does not balance; "millrace reconcile ${stream} --repair" finds out why and repairs it.`;

function tableOf({ rows, totals }: LedgerPage): string {
  if (rows.length === 0)
    return totals.accepted === 0 ? 'Nothing arrived.\n' : 'No row to show: everything balances.\n';
  const byPartition = rows.some((row) => row.partition !== undefined);
  const faults = rows.some((row) => !row.balanced) ? FAULTS : [];
  const columns = [...COUNTS, ...faults];
  const names = ['arrived', ...(byPartition ? ['partition'] : []), ...columns.map(titleOf), 'state'];
  const lines = rows.map((row) => [
    row.start.replace(/:00\.000Z$/, 'Z'),
    ...(byPartition ? [row.partition] : []),
    ...columns.map((name) => row[name]),
    `${row.balanced ? 'balanced' : 'MISMATCH'}${row.sealed ? ', sealed' : ''}`,
  ]);
  const total = ['total', ...(byPartition ? [null] : []), ...columns.map((name) => totals[name]), ''];
  return textTable(names, [...lines, total]);
}

function batchText(answer: LedgerOfBatch): string {
  const columns = [...COUNTS, ...FAULTS, 'forgotten'] as const;
  const counts = columns.filter((name) => answer[name] > 0 || name === 'accepted' || name === 'stored');
  const table = textTable(
    ['records', 'count'],
    counts.map((name) => [titleOf(name), answer[name]]),
  );
  if (answer.exceptions.length === 0) return table;
  const rows = answer.exceptions.map(({ partition, offset, outcome, reason, field, id }) => [
    partition,
    offset,
    outcome.replace('_', ' '),
    field === undefined ? reason : `${field}: ${reason}`,
    id,
  ]);
  return `${table}\n${textTable(['partition', 'offset', 'outcome', 'reason', 'id'], rows)}`;
}

const titleOf = (name: string): string => name.replace('_', ' ');
