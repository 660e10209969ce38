/** `late`: what came behind the watermark, and what became of it. */
import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
  readonly every?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

const LINE_SHOWN = 100;

export function lateCommand(io: Io): Command {
  return serverCommand(
    'late',
    'events that came late, by the time at which they happened, and what became of them',
    '$ millrace late orders --from -1d --every 1h',
  )
    .argument('<stream>', 'the stream')
    .option('--every <width>', 'width of a bucket, 1m to 1d', '1h')
    .option('--from <time>', 'only that happened from then on')
    .option('--to <time>', 'only that happened before')
    .option('--limit <rows>', 'at most so many lines', wholeNumber, 20)
    .action(async (stream: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const { every, from, to, limit } = options;
      const page = await connect(io, options, IMPATIENT).client.late(stream, { every, from, to, limit });
      if (options.json) {
        io.stdout.write(`${toJson(page)}\n`);
        return;
      }
      if (page.counts.length === 0) {
        io.stdout.write('Nothing came late.\n');
        return;
      }
      const counts = page.counts.map((one) => [one.time, one.counted, one.quarantined, one.dropped]);
      io.stdout.write(textTable(['time', 'counted', 'quarantined', 'dropped'], counts));
      if (page.sample.length === 0) return;
      const sample = page.sample.map(({ received, partition, offset, time, what, line }) => [
        ...[received, `${partition}:${offset}`, time ?? '', what],
        line.slice(0, LINE_SHOWN),
      ]);
      io.stdout.write(`\n${textTable(['received', 'offset', 'time', 'what', 'line'], sample)}`);
    });
}
