/** `runs`: what goes on in the background of a server. */
import type { Command } from 'commander';
import { type RunInfo, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

const EXAMPLE = `$ millrace runs list --state running
$ millrace runs show 018f2c5e-7d3a-7b3c-9d1e-2f3a4b5c6d7e`;

export function runsCommand(io: Io): Command {
  const runs = serverCommand('runs', 'long pieces of work: builds, replays, reconciliations', EXAMPLE);
  runs.addCommand(
    serverCommand('list', 'runs, newest first', '$ millrace runs list --stream orders')
      .option('--stream <stream>', 'only of this stream')
      .option(
        '--kind <kind>',
        'only of this kind: build-rollup, replay, replay-quarantine, replay-late, reconcile',
      )
      .option('--state <state>', 'only in this state: running, cancelling, done, failed, cancelled')
      .action(async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<
          Options & { stream?: string; kind?: string; state?: string }
        >();
        const { stream, kind, state } = options;
        const found = await connect(io, options, IMPATIENT).client.runs({ stream, kind, state });
        if (options.json) io.stdout.write(`${toJson(found)}\n`);
        else io.stdout.write(found.length === 0 ? 'There are no such runs.\n' : table(found));
      }),
  );
  runs.addCommand(
    serverCommand('show', 'one run', '$ millrace runs show ID')
      .argument('<id>', 'the run')
      .action(async (id: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        show(io, options, await connect(io, options, IMPATIENT).client.run(id));
      }),
  );
  runs.addCommand(
    serverCommand('cancel', 'end a run and take back what it has begun', '$ millrace runs cancel ID')
      .argument('<id>', 'the run')
      .action(async (id: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        show(io, options, await connect(io, options, IMPATIENT).client.cancelRun(id));
      }),
  );
  return runs;
}

function show(io: Io, options: Options, run: RunInfo): void {
  if (options.json) io.stdout.write(`${toJson(run)}\n`);
  else io.stdout.write(`${table([run])}${run.error === null ? '' : `\n${run.error}\n`}`);
}

function table(runs: readonly RunInfo[]): string {
  return textTable(
    ['run', 'kind', 'stream', 'subject', 'state', 'progress', 'started'],
    runs.map((run) => [
      run.id,
      run.kind,
      run.stream,
      run.subject,
      run.state,
      run.state === 'running' || run.state === 'cancelling' ? progressText(run) : null,
      run.started_at,
    ]),
  );
}

/** `filling: 3 000 of 10 000 events` */
export function progressText({ progress }: Pick<RunInfo, 'progress'>): string {
  const { done, total, unit, step } = progress;
  const number = (value: number) => String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
  return total === 0 ? step : `${step}: ${number(done)} of ${number(total)} ${unit}`;
}
