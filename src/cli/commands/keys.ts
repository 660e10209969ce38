/** `keys`: who may do what, until when, from where. */
import type { Command } from 'commander';
import { type KeyDocument, type KeyWithSecret, toJson } from '../../client/index.ts';
import {
  type ConnectionOptions,
  collect,
  connect,
  IMPATIENT,
  serverCommand,
  wholeNumber,
} from '../connect.ts';
import { type Io, UsageError } from '../io.ts';
import { textTable } from '../text-table.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

interface CreateOptions extends Options {
  readonly scope?: readonly string[];
  readonly rowFilter?: readonly string[];
  readonly origin?: readonly string[];
  readonly expires?: string;
  readonly description?: string;
  readonly eventsPerSecond?: number;
  readonly bytesPerSecond?: number;
  readonly concurrentQueries?: number;
}

const EXAMPLE = `$ millrace keys create shop --scope stats:read:orders --row-filter orders=merchant:eq:42 --origin https://shop.example
$ millrace keys rotate shop --overlap 24h`;

export function keysCommand(io: Io): Command {
  const keys = serverCommand('keys', 'keys of the tenant: make, list, rotate, remove', EXAMPLE);
  keys.addCommand(
    serverCommand(
      'list',
      'what each key may do, until when, and when it was last used',
      '$ millrace keys list',
    ).action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const found = await connect(io, options, IMPATIENT).client.keys.list();
      if (options.json) io.stdout.write(`${toJson(found)}\n`);
      else if (found.length === 0) io.stdout.write('There are no keys but that of the installation.\n');
      else {
        const rows = found.map((key) => [
          ...[
            key.name,
            key.prefix,
            key.scopes.join(' '),
            Object.keys(key.document.rowFilters ?? {}).join(' '),
          ],
          ...[key.expires_at, key.last_used_at],
        ]);
        io.stdout.write(textTable(['key', 'begins with', 'scopes', 'rows of', 'expires', 'last used'], rows));
      }
    }),
  );
  keys.addCommand(
    serverCommand('create', 'make a key; it is printed once and kept nowhere', EXAMPLE)
      .argument('<name>', 'its name')
      .option('--scope <scope>', 'what it may do; can be repeated', collect)
      .option(
        '--row-filter <stream=condition>',
        'rows that it sees: orders=merchant:eq:42; can be repeated',
        collect,
      )
      .option('--origin <origin>', 'page that may use it in a browser; can be repeated', collect)
      .option('--expires <when>', 'RFC 3339, or a duration from now: 90d')
      .option('--description <words>', 'what it is for')
      .option('--events-per-second <n>', 'how many events it may send', wholeNumber)
      .option('--bytes-per-second <n>', 'how many bytes it may send', wholeNumber)
      .option('--concurrent-queries <n>', 'how many questions it may ask at a time', wholeNumber)
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<CreateOptions>();
        const { client } = connect(io, options, IMPATIENT);
        tell(io, options, await client.keys.put(name, documentOf(options), { ifVersion: 0 }));
      }),
  );
  keys.addCommand(
    serverCommand('rotate', 'give a key a new secret; the old one is accepted for a while', EXAMPLE)
      .argument('<name>', 'the key')
      .option('--overlap <duration>', 'how long the old one is accepted; 0s: no longer', '24h')
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { readonly overlap: string }>();
        const { client } = connect(io, options, IMPATIENT);
        tell(io, options, await client.keys.rotate(name, options.overlap));
      }),
  );
  keys.addCommand(
    serverCommand('remove', 'let nobody in with a key any more', '$ millrace keys remove shop')
      .argument('<name>', 'the key')
      .action(async (name: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        await connect(io, options, IMPATIENT).client.keys.remove(name);
        io.stdout.write(options.json ? `${toJson({ removed: name })}\n` : `The key ${name} is removed.\n`);
      }),
  );
  return keys;
}

function documentOf(options: CreateOptions): KeyDocument {
  const { scope: scopes, origin: origins, expires, description } = options;
  if (scopes === undefined) throw new UsageError('Say at least one --scope, for example --scope stats:read.');
  const rowFilters: Record<string, string[]> = {};
  for (const text of options.rowFilter ?? []) {
    const [, stream, condition] = /^([^=:]+)=(.+)$/s.exec(text) ?? [];
    if (stream === undefined || condition === undefined)
      throw new UsageError(
        `"${text}" is not a row filter; write STREAM=field:op:value: orders=merchant:eq:42`,
      );
    rowFilters[stream] = [...(rowFilters[stream] ?? []), condition];
  }
  const { eventsPerSecond, bytesPerSecond, concurrentQueries } = options;
  return {
    ...{ scopes, origins, expires, description },
    ...(options.rowFilter === undefined ? {} : { rowFilters }),
    limits: { eventsPerSecond, bytesPerSecond, concurrentQueries },
  };
}

/** The key alone on standard output, so that it can be piped to where it is kept. */
function tell(io: Io, { json }: Options, key: KeyWithSecret): void {
  if (json) io.stdout.write(`${toJson(key)}\n`);
  else {
    io.stderr.write(`The key ${key.name}; it is shown this once, and kept nowhere:\n`);
    io.stdout.write(`${key.secret}\n`);
  }
}
