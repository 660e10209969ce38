/** `quarantine`: what could not be stored and why; fix it and take it in again. */
import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { type TakeInOptions, takeIn } from '../take-in.ts';
import { textTable } from '../text-table.ts';

interface Filter extends ConnectionOptions {
  readonly json?: true;
  readonly reason?: string;
  readonly field?: string;
  readonly from?: string;
  readonly to?: string;
}

const LINE_SHOWN = 100;

export function quarantineCommand(io: Io): Command {
  const quarantine = serverCommand(
    'quarantine',
    'records that could not be stored: list them, fix them, replay them',
    "$ millrace quarantine list orders\n$ millrace quarantine replay orders --field price --fix \"replaceOne(line, ',', '.')\" --dry-run",
  );
  quarantine.addCommand(
    filtered(serverCommand('list', 'what waits there, newest first', '$ millrace quarantine list orders'))
      .option('--state <state>', 'waiting, replayed or all', 'waiting')
      .option('--limit <rows>', 'at most so many', wholeNumber, 20)
      .action(async (stream: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Filter & { state: 'waiting'; limit: number }>();
        const { reason, field, from, to, state, limit } = options;
        const page = await connect(io, options, IMPATIENT).client.quarantine(stream, {
          ...{ reason, field, from, to, state, limit },
        });
        if (options.json) {
          io.stdout.write(`${toJson(page)}\n`);
          return;
        }
        if (page.quarantined.length === 0) {
          io.stdout.write('Nothing is there.\n');
          return;
        }
        io.stdout.write(
          textTable(
            ['received', 'offset', 'field', 'reason', 'line'],
            page.quarantined.map((one) => [
              ...[one.received, `${one.partition}:${one.offset}`, one.field, one.reason],
              one.line.slice(0, LINE_SHOWN),
            ]),
          ),
        );
        io.stdout.write(
          `\n${textTable(
            ['reason', 'records'],
            page.reasons.map(({ reason: why, count }) => [why, count]),
          )}`,
        );
      }),
  );
  quarantine.addCommand(
    filtered(
      serverCommand(
        'replay',
        'take records in again that the definition takes now, as they are or fixed; each once',
        '$ millrace quarantine replay orders --fix "JSONMergePatch(line, \'{\\"currency\\":\\"EUR\\"}\')"',
      ),
    )
      .option('--fix <expression>', 'SQL that makes the line to be stored from `line`')
      .option('--dry-run', 'only show what would happen')
      .option('--no-wait', 'do not wait for the end')
      .action(async (stream: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Filter & TakeInOptions & { fix?: string }>();
        const { reason, field, from, to, fix } = options;
        const { client } = connect(io, options, IMPATIENT);
        const request = { reason, field, from, to, fix };
        await takeIn(io, client, options, {
          forecast: () => client.forecastQuarantine(stream, request),
          start: () => client.replayQuarantine(stream, request),
        });
      }),
  );
  return quarantine;
}

const filtered = (command: Command): Command =>
  command
    .argument('<stream>', 'the stream')
    .option('--reason <reason>', 'only with this reason')
    .option('--field <field>', 'only where this field is at fault')
    .option('--from <time>', 'only that arrived from then on')
    .option('--to <time>', 'only that arrived before');
