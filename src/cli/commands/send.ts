import { type Command, Option } from 'commander';
import { MillraceRequestError } from '../../client/index.ts';
import {
  type Connection,
  type ConnectionOptions,
  collect,
  connect,
  IMPATIENT,
  serverCommand,
  wholeNumber,
} from '../connect.ts';
import { FILE_FORMATS, type FileFormat } from '../file-format.ts';
import { Failure, Interrupted, type Io, UsageError, untilSignal } from '../io.ts';
import { type SendReport, sendFile } from '../send.ts';
import { grouped, sendMeter } from '../send-meter.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly format?: FileFormat;
  readonly ack?: 'none' | 'durable' | 'stored';
  readonly rowNumber?: string;
  readonly rename?: readonly string[];
  readonly state?: string | false;
  readonly restart?: true;
  readonly batchEvents?: number;
  readonly concurrency?: number;
  readonly gzip?: true;
}

const EXAMPLE = `$ millrace send orders orders.parquet
$ millrace send flights flights.csv --row-number row --rename dep_time=departed_at
$ tail -f app.ndjson | millrace send logs -`;

export function sendCommand(io: Io): Command {
  return serverCommand('send', 'send files or standard input to a stream; resumes where it stopped', EXAMPLE)
    .argument('<stream>', 'the stream')
    .argument('[file...]', 'files; - or nothing is standard input')
    .addOption(
      new Option('--format <format>', 'format, when the name does not tell it').choices(FILE_FORMATS),
    )
    .addOption(
      new Option('--ack <ack>', 'what the server waits for before it answers')
        .choices(['none', 'durable', 'stored'])
        .default('durable'),
    )
    .option('--rename <from=to>', 'rename a field (repeatable)', collect)
    .option('--row-number <field>', "add each record's number, from 0, as this field")
    .option('--state <path>', 'where to keep how far it has come (default: beside the file)')
    .option('--no-state', 'keep nothing; an interrupted file begins anew')
    .option('--restart', 'begin with the first record again; records keep their ids')
    .option('--batch-events <n>', 'events of a request', wholeNumber)
    .option('--concurrency <n>', 'requests at a time', wholeNumber)
    .option('--gzip', 'compress what is sent')
    .action(async (stream: string, files: readonly string[], options: Options) => {
      const paths = files.length === 0 ? ['-'] : files;
      if (typeof options.state === 'string' && paths.length > 1)
        throw new UsageError('--state is for one file; send the others by themselves.');
      const failed = await untilSignal(io, (signal) => sendAll(io, stream, paths, options, signal));
      if (failed > 0) throw new Failure(`${grouped(failed)} records were rejected.`);
    });
}

/** Gives the number of rejected records. */
async function sendAll(
  io: Io,
  stream: string,
  files: readonly string[],
  options: Options,
  signal: AbortSignal,
): Promise<number> {
  await firstContact(connect(io, options, IMPATIENT), signal);
  const { client, url } = connect(io, options, { attemptsMax: 60, timeMsMax: 600_000 });
  const renames = renamesOf(options.rename ?? []);
  let rejected = 0;
  for (const file of files) {
    const meter = sendMeter(io.stderr, io.clock);
    let records = 0;
    try {
      const report = await sendFile({
        client,
        url,
        stream,
        file: file === '-' || file.startsWith('/') ? file : `${io.cwd}/${file}`,
        stdin: io.stdin,
        format: options.format,
        ack: options.ack,
        rowNumber: options.rowNumber,
        renames,
        state: options.state,
        restart: options.restart,
        batchEvents: options.batchEvents,
        concurrency: options.concurrency,
        gzip: options.gzip,
        signal,
        clock: io.clock,
        ids: io.ids,
        onProgress: (progress) => {
          records = progress.records;
          meter.show(progress);
        },
        onWarning: (words) => meter.note(`Note: ${words}`),
        onRetry: (failure, delayMs) => {
          meter.note(`${failure.detail} Trying again in ${(delayMs / 1_000).toFixed(1)} s.`);
        },
      });
      meter.stop();
      rejected += report.rejected;
      tell(io, stream, file, report, options);
    } catch (error) {
      meter.stop();
      const resumable = file !== '-' && options.state !== false && records > 0;
      if (resumable)
        io.stderr.write(`The same command goes on with record ${grouped(records)} of ${file}.\n`);
      throw error instanceof Interrupted ? new Failure('interrupted.') : error;
    }
  }
  return rejected;
}

/** A server that is not there is said at once; one that goes away later is waited for. */
async function firstContact({ client }: Connection, signal: AbortSignal): Promise<void> {
  await client.streams(signal).catch((error: unknown) => {
    // A key that may only send may not list.
    if (!(error instanceof MillraceRequestError && error.status === 403)) throw error;
  });
}

function tell(io: Io, stream: string, file: string, report: SendReport, options: Options): void {
  if (options.json) {
    io.stdout.write(`${JSON.stringify({ stream, file, ...report })}\n`);
    return;
  }
  const parts = [`${grouped(report.accepted)} accepted`, `${grouped(report.rejected)} rejected`];
  for (const name of ['stored', 'duplicates', 'quarantined', 'late'] as const) {
    const count = report[name];
    if (count !== undefined) parts.push(`${grouped(count)} ${name}`);
  }
  const resumed = report.resumedAt > 0 ? ` (went on with record ${grouped(report.resumedAt)})` : '';
  io.stdout.write(`${file === '-' ? 'standard input' : file} → ${stream}: ${parts.join(', ')}${resumed}\n`);
  for (const one of report.errors.slice(0, 10)) {
    io.stderr.write(`record ${one.index}: ${one.field === '' ? '' : `${one.field} `}${one.reason}\n`);
  }
}

function renamesOf(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1 || at === pair.length - 1) throw new UsageError(`"${pair}" is not a renaming; use FROM=TO.`);
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
}
