/** Options that every command talking to a server has. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { createClient, type MillraceClient, type RetryPolicy } from '../client/index.ts';
import { type Io, UsageError } from './io.ts';

export interface ConnectionOptions {
  readonly url?: string;
  readonly key?: string;
  readonly tenant?: string;
}

export interface Connection {
  readonly client: MillraceClient;
  readonly url: string;
  readonly key: string | undefined;
}

const DEFAULT_URL = 'http://127.0.0.1:7070';

/** A command with `--url`, `--key`, `--json` and an example in its help. */
export function serverCommand(name: string, summary: string, example: string): Command {
  return plainCommand(name, summary, example)
    .addOption(new Option('--url <url>', `address of the server (env MILLRACE_URL; default ${DEFAULT_URL})`))
    .addOption(new Option('--key <key>', 'key (env MILLRACE_KEY or MILLRACE_ADMIN_KEY)'))
    .addOption(
      new Option('--tenant <name>', 'for whom the key of the installation acts (env MILLRACE_TENANT)'),
    );
}

export function plainCommand(name: string, summary: string, example: string): Command {
  return new Command(name)
    .description(summary)
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExample:\n${example.replace(/^/gm, '  ')}`);
}

export function connect(io: Io, options: ConnectionOptions, retry: Partial<RetryPolicy> = {}): Connection {
  const { MILLRACE_URL, MILLRACE_KEY, MILLRACE_ADMIN_KEY, MILLRACE_TENANT } = io.environment;
  const url = (options.url ?? (MILLRACE_URL || DEFAULT_URL)).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(url))
    throw new UsageError(`"${url}" is not an address; use http://HOST:PORT.`);
  const key = options.key ?? (MILLRACE_KEY || MILLRACE_ADMIN_KEY || undefined);
  const tenant = options.tenant ?? (MILLRACE_TENANT || undefined);
  return { client: createClient({ url, key, tenant, retry, clock: io.clock, ids: io.ids }), url, key };
}

/** For people who wait at a terminal: they rather read what is wrong than wait two minutes. */
export const IMPATIENT: Partial<RetryPolicy> = { attemptsMax: 3, timeMsMax: 5_000 };

export const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];

export function wholeNumber(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number))
    throw new InvalidArgumentError('use a whole number.');
  return number;
}
