/** `replay`: decides records of the log again, or builds a rollup once more. */
import { type Command, InvalidArgumentError } from 'commander';
import { type RunInfo, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import { type Io, UsageError } from '../io.ts';
import { watchRun } from '../watch-run.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly from?: string;
  readonly to?: string;
  readonly offset?: Readonly<Record<string, number>>;
  readonly toOffset?: Readonly<Record<string, number>>;
  readonly rollup?: string;
  readonly wait: boolean;
}

/** `0:100`: offset 100 of partition 0. */
function offsets(value: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const match = /^(\d{1,5}):(\d{1,15})$/.exec(value);
  if (!match) throw new InvalidArgumentError('use PARTITION:OFFSET, for example 0:100.');
  return { ...before, [match[1]!]: Number(match[2]) };
}

export function replayCommand(io: Io): Command {
  return serverCommand(
    'replay',
    'decide records of the log again, under the definition that stands now',
    '$ millrace replay orders --from 2024-05-01 --to 2024-05-02\n$ millrace replay orders --offset 0:1200\n$ millrace replay orders --rollup orders_by_city',
  )
    .argument('<stream>', 'the stream')
    .option('--from <time>', 'records that arrived from then on (default: all that are still held)')
    .option('--to <time>', 'records that arrived before')
    .option(
      '--offset <partition:offset>',
      'from this offset of a partition; may be said for several',
      offsets,
    )
    .option('--to-offset <partition:offset>', 'up to, not including, this offset', offsets)
    .option('--rollup <name>', 'only build this rollup once more, from all stored events')
    .option('--no-wait', 'do not wait for the end')
    .action(async (stream: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { from, to, offset, toOffset, rollup } = options;
      if ((from !== undefined && offset) || (to !== undefined && toOffset))
        throw new UsageError('Say a time or an offset, not both.');
      const { client } = connect(io, options, IMPATIENT);
      const started = await client.replay(stream, { from: offset ?? from, to: toOffset ?? to, rollup }, 0);
      const run = options.wait ? await watchRun(io, client, started) : started;
      io.stdout.write(options.json ? `${toJson(run)}\n` : textOf(run));
    });
}

interface Counts {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly lateDropped: number;
}

function textOf(run: RunInfo): string {
  if (run.ended_at === null)
    return `The run ${run.id} goes on; millrace runs show ${run.id} tells how far it is.\n`;
  if (run.state !== 'done') return `The run ${run.id} is ${run.state}. ${run.error ?? ''}\n`;
  if (run.kind !== 'replay') return `${run.subject ?? 'The rollup'} is built.\n`;
  const { records, before, after } = run.result as { records: number; before: Counts; after: Counts };
  const told = ({ stored, duplicates, quarantined, lateDropped }: Counts) =>
    `${stored} stored, ${duplicates} duplicates, ${quarantined} quarantined, ${lateDropped} dropped as late`;
  return `${records} records decided again.\n  before  ${told(before)}\n  now     ${told(after)}\n`;
}
