/** `webhooks`: who is sent a stream's events, and the secret by which he knows that they are from here. */
import type { Command } from 'commander';
import { toJson, type WebhookInfo } from '../../client/index.ts';
import { type ConnectionOptions, collect, connect, IMPATIENT, serverCommand } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

const EXAMPLE = `$ millrace webhooks put alarms pager https://hooks.example.com/alarms --filter severity:gte:3
$ millrace webhooks list alarms
$ millrace webhooks secret`;

export function webhooksCommand(io: Io): Command {
  const webhooks = serverCommand('webhooks', "where a stream's events are sent: make, list, remove", EXAMPLE);
  webhooks.addCommand(
    serverCommand('list', 'where events go, and how far each is', '$ millrace webhooks list alarms')
      .argument('<stream>', 'the stream')
      .action(async (stream: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        const found = await connect(io, options, IMPATIENT).client.webhooks.list(stream);
        if (options.json) io.stdout.write(`${toJson(found)}\n`);
        else if (found.length === 0) io.stdout.write('The stream has no webhooks.\n');
        else io.stdout.write(tableOf(found));
      }),
  );
  webhooks.addCommand(
    serverCommand('put', 'make one, or change it: it goes on, at once, where it was', EXAMPLE)
      .argument('<stream>', 'the stream')
      .argument('<name>', 'its name')
      .argument('<url>', 'where events are posted to')
      .option('--filter <condition>', 'only events where field:op:value holds; can be repeated', collect)
      .option('--from <place>', 'of a new one: now, or start for all that the stream holds', 'now')
      .option('--paused', 'send nothing, and skip nothing')
      .action(async (stream: string, name: string, url: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<
          Options & { filter?: readonly string[]; from: 'now' | 'start'; paused?: true }
        >();
        const { filter = [], from, paused = false } = options;
        const { client } = connect(io, options, IMPATIENT);
        const made = await client.webhooks.put(stream, name, { url, filter, from, paused });
        io.stdout.write(options.json ? `${toJson(made)}\n` : tableOf([made]));
      }),
  );
  webhooks.addCommand(
    serverCommand('remove', 'send nothing more', '$ millrace webhooks remove alarms pager')
      .argument('<stream>', 'the stream')
      .argument('<name>', 'the webhook')
      .action(async (stream: string, name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        await connect(io, options, IMPATIENT).client.webhooks.remove(stream, name);
        io.stdout.write(
          options.json ? `${toJson({ removed: name })}\n` : `The webhook ${name} is removed.\n`,
        );
      }),
  );
  webhooks.addCommand(
    serverCommand('secret', 'what receivers check signatures by', '$ millrace webhooks secret --rotate')
      .option('--rotate', 'sign by a new one')
      .option('--overlap <duration>', 'how long those before sign too; 0s: no longer', '24h')
      .action(async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { rotate?: true; overlap: string }>();
        const { client } = connect(io, options, IMPATIENT);
        const secrets = await (options.rotate
          ? client.webhooks.rotateSecret({ overlap: options.overlap })
          : client.webhooks.secrets());
        if (options.json) io.stdout.write(`${toJson({ secrets })}\n`);
        else
          for (const { secret, until } of secrets)
            io.stdout.write(until === null ? `${secret}\n` : `${secret}  until ${until}\n`);
      }),
  );
  return webhooks;
}

const tableOf = (found: readonly WebhookInfo[]): string =>
  textTable(
    ['webhook', 'state', 'behind', 'url', 'filter', 'what is the matter'],
    found.map(({ name, state, behind, url, filter, reason, failing }) => [
      ...[name, state, String(behind), url, filter.join(' ')],
      reason ?? (failing ? `${failing.last_error}; try ${failing.attempts + 1} at ${failing.next_at}` : ''),
    ]),
  );
