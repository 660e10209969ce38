/** `late`: what came behind the watermark and what became of it; take it in all the same. */
import { type Command, Option } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { type TakeInOptions, takeIn } from '../take-in.ts';
import { textTable } from '../text-table.ts';

interface Filter extends ConnectionOptions {
  readonly json?: true;
  readonly what?: 'quarantined' | 'dropped';
  readonly from?: string;
  readonly to?: string;
}

interface ListOptions extends Filter {
  readonly every?: string;
  readonly state: 'waiting' | 'replayed' | 'all';
  readonly limit: number;
}

const LINE_SHOWN = 100;

export function lateCommand(io: Io): Command {
  const late = serverCommand(
    'late',
    'events that came late: list them by the time at which they happened, take them in',
    '$ millrace late orders --from -1d --every 1h\n$ millrace late replay orders --from -1d --dry-run',
  );
  const list = filtered(
    serverCommand('list', 'what came late, and what became of it', '$ millrace late list orders --every 1h'),
  )
    .option('--every <width>', 'width of a bucket, 1m to 1d', '1h')
    .addOption(
      new Option('--state <state>', 'which lines to show')
        .choices(['waiting', 'replayed', 'all'])
        .default('waiting'),
    )
    .option('--limit <rows>', 'at most so many lines', wholeNumber, 20)
    .action(async (stream: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ListOptions>();
      const { every, what, from, to, state, limit } = options;
      const { client } = connect(io, options, IMPATIENT);
      const page = await client.late(stream, { every, what, from, to, state, limit });
      if (options.json) {
        io.stdout.write(`${toJson(page)}\n`);
        return;
      }
      if (page.counts.length === 0) {
        io.stdout.write('Nothing came late.\n');
        return;
      }
      const names = ['time', 'counted', 'quarantined', 'dropped', 'replayed'] as const;
      io.stdout.write(
        textTable(
          names,
          page.counts.map((one) => names.map((name) => one[name])),
        ),
      );
      if (page.sample.length === 0) return;
      const sample = page.sample.map(({ received, partition, offset, time, what: became, line }) => [
        ...[received, `${partition}:${offset}`, time ?? '', became],
        line.slice(0, LINE_SHOWN),
      ]);
      io.stdout.write(`\n${textTable(['received', 'offset', 'time', 'what', 'line'], sample)}`);
    });
  const replay = filtered(
    serverCommand(
      'replay',
      'take in what was quarantined or dropped for lateness, each record once',
      '$ millrace late replay orders --from -1d',
    ),
  )
    .option('--dry-run', 'only show what would happen')
    .option('--no-wait', 'do not wait for the end')
    .action(async (stream: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Filter & TakeInOptions>();
      const { what, from, to } = options;
      const { client } = connect(io, options, IMPATIENT);
      await takeIn(io, client, options, {
        forecast: () => client.forecastLate(stream, { what, from, to }),
        start: () => client.replayLate(stream, { what, from, to }),
      });
    });
  late.addCommand(list, { isDefault: true });
  late.addCommand(replay);
  return late;
}

const filtered = (command: Command): Command =>
  command
    .argument('<stream>', 'the stream')
    .addOption(
      new Option('--what <what>', 'only quarantined ones, or dropped ones').choices([
        'quarantined',
        'dropped',
      ]),
    )
    .option('--from <time>', 'only that happened from then on')
    .option('--to <time>', 'only that happened before');
