/** `deliveries`: webhooks and mails that wait or were given up, and the way back. */
import type { Command } from 'commander';
import { toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand, wholeNumber } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

interface Deliveries {
  readonly deliveries: readonly {
    readonly delivery: string;
    readonly id: string;
    readonly destination: string;
    readonly type: string;
    readonly entered_at: string;
    readonly attempts: number;
    readonly last_error: string | null;
  }[];
  readonly waiting: number;
  readonly dead: number;
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
        const path = `/v1/deliveries?state=${encodeURIComponent(options.state)}&limit=${options.limit}`;
        const found = (await connect(io, options, IMPATIENT).client.request('GET', path)) as Deliveries;
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
        const body = names.length === 0 ? {} : { deliveries: names };
        const { client } = connect(io, options, IMPATIENT);
        const answer = (await client.request('POST', '/v1/deliveries/replay', body)) as {
          readonly replayed: number;
        };
        io.stdout.write(options.json ? `${toJson(answer)}\n` : `${answer.replayed} wait again.\n`);
      }),
  );
  return deliveries;
}
