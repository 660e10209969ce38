/** `deliveries`: webhooks and mails that wait or were given up, and the way back. */
import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

export function deliveriesCommand(io: Io): Command {
  const deliveries = serverCommand(
    'deliveries',
    'webhooks and mails that wait or were given up: list them, replay them',
    '$ millrace deliveries list\n$ millrace deliveries replay',
  );
  deliveries.addCommand(
    serverCommand('list', 'those that were given up, or wait', '$ millrace deliveries list --state waiting')
      .option('--state <state>', 'dead or waiting', 'dead')
      .option('--limit <rows>', 'at most so many', wholeNumber, 100)
      .action(async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { state: string; limit: number }>();
        const { client } = connect(io, options, IMPATIENT);
        const found = await client.deliveries.list({
          ...{ state: options.state as 'dead' | 'waiting', limit: options.limit },
        });
        if (options.json) {
          io.stdout.write(`${toJson(found)}\n`);
          return;
        }
        const rows = found.deliveries.map((one) => [
          ...[one.delivery, one.id, one.type, one.destination, one.entered_at, String(one.attempts)],
          one.last_error ?? '',
        ]);
        if (rows.length > 0)
          io.stdout.write(
            textTable(['delivery', 'id', 'type', 'to', 'entered', 'tries', 'last answer'], rows),
          );
        io.stdout.write(`${found.waiting} wait, ${found.dead} were given up.\n`);
      }),
  );
  deliveries.addCommand(
    serverCommand(
      'replay',
      'send again what was given up, under the same ids',
      '$ millrace deliveries replay',
    )
      .argument('[deliveries...]', 'those of the list; absent: all')
      .action(async (names: readonly string[], _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const { client } = connect(io, options, IMPATIENT);
        const replayed = await client.deliveries.replay(names.length === 0 ? undefined : names);
        io.stdout.write(options.json ? `${toJson({ replayed })}\n` : `${replayed} wait again.\n`);
      }),
  );
  return deliveries;
}
