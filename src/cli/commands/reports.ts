/** `reports`: run them, see their runs, fetch what they found. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type ReportFormat, type ReportRunInfo, toJson } from '../../client/index.ts';
import { type ConnectionOptions, collect, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { Failure, type Io, UsageError } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}
interface RunOptions extends Options {
  readonly from?: string;
  readonly to?: string;
  readonly param?: readonly string[];
}
interface DownloadOptions extends Options {
  readonly format: ReportFormat;
  readonly question?: string;
  readonly output?: string;
}

const EXAMPLE = `$ millrace reports run merchants --from 2024-05-01 --to 2024-05-02
$ millrace reports runs merchants
$ millrace reports download merchants ID --format html -o merchants.html`;

export function reportsCommand(io: Io): Command {
  const reports = serverCommand('reports', 'reports: run them, see their runs, fetch results', EXAMPLE);
  const clientOf = (options: Options) => connect(io, options, IMPATIENT).client;
  reports.addCommand(
    serverCommand('list', 'every report', '$ millrace reports list').action(
      async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const found = await clientOf(options).reports.list();
        if (options.json) io.stdout.write(`${toJson(found)}\n`);
        else if (found.length === 0) io.stdout.write('There are no reports.\n');
        else {
          const rows = found.map(({ name, document }) => {
            const { title, period, cron, tz } = document as Record<string, string | undefined>;
            return [name, title ?? '', period ?? '', cron ?? 'on demand', tz ?? 'UTC'];
          });
          io.stdout.write(textTable(['report', 'title', 'period', 'schedule', 'zone'], rows));
        }
      },
    ),
  );
  reports.addCommand(
    serverCommand('run', 'run a report now, and wait for it', EXAMPLE)
      .argument('<report>', 'the report')
      .option('--from <time>', 'start of the period; with --to (default: the newest period that has ended)')
      .option('--to <time>', 'end of the period')
      .option('--param <name=value>', "in place of the report's own parameter (repeatable)", collect)
      .action(async (report: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<RunOptions>();
        const { from, to } = options;
        const parameters = options.param === undefined ? undefined : parametersOf(options.param);
        const run = await clientOf(options).reports.run(report, { from, to, parameters });
        show(io, options, run);
        if (run.state === 'failed') throw new Failure(run.error ?? 'The run failed.');
      }),
  );
  reports.addCommand(
    serverCommand('runs', 'runs of a report, the newest period first', '$ millrace reports runs merchants')
      .argument('<report>', 'the report')
      .action(async (report: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const found = await clientOf(options).reports.runs(report);
        if (options.json) io.stdout.write(`${toJson(found)}\n`);
        else io.stdout.write(found.length === 0 ? 'It has no runs yet.\n' : table(found));
      }),
  );
  reports.addCommand(
    serverCommand('show', 'one run', '$ millrace reports show merchants ID')
      .argument('<report>', 'the report')
      .argument('<id>', 'the run')
      .action(async (report: string, id: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        show(io, options, await clientOf(options).reports.get(report, id));
      }),
  );
  reports.addCommand(
    serverCommand('download', 'what a run found', EXAMPLE)
      .argument('<report>', 'the report')
      .argument('<id>', 'the run')
      .addOption(
        new Option('--format <format>', 'as what')
          .choices(['json', 'csv', 'parquet', 'html'])
          .default('json'),
      )
      .option('--question <name>', 'which one, for csv and parquet of a report with several')
      .option('-o, --output <file>', 'write it to a file; it is there only when it is whole')
      .action(async (report: string, id: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<DownloadOptions>();
        const { format, question, output } = options;
        if (output === undefined && format === 'parquet')
          throw new UsageError('--format parquet is for files; say which with --output FILE.');
        const bytes = await clientOf(options).reports.result(report, id, { format, question });
        if (output === undefined) io.stdout.write(Buffer.from(bytes).toString('utf8'));
        else await writeWhole(resolve(io.cwd, output), bytes);
      }),
  );
  return reports;
}

/** `true`, `false` and numbers are what they look like. */
function parametersOf(pairs: readonly string[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`"${pair}" is not a parameter; use NAME=VALUE.`);
      const value = pair.slice(at + 1);
      const plain = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
      return [pair.slice(0, at), value === 'true' ? true : value === 'false' ? false : plain];
    }),
  );
}

async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw new Failure(`${file} cannot be written: ${(error as Error).message}`);
  }
}

function show(io: Io, options: Options, run: ReportRunInfo): void {
  if (options.json) {
    io.stdout.write(`${toJson(run)}\n`);
    return;
  }
  const about = [
    ...(run.error === null ? [] : [run.error]),
    ...(run.stale ? ['Newer events lie in its period: run it again to count them.'] : []),
    ...run.files.map(({ name, bytes }) => `  ${name} (${bytes} bytes)`),
  ];
  io.stdout.write(`${table([run])}${about.map((line) => `${line}\n`).join('')}`);
}

const table = (runs: readonly ReportRunInfo[]): string =>
  textTable(
    ['run', 'from', 'to', 'version', 'state', 'why', 'ended'],
    runs.map((run) => [
      ...[run.id, run.period.from, run.period.to, run.version, run.state, run.reason],
      run.ended_at,
    ]),
  );
