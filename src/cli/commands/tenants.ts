/** `tenants`: who has streams on this installation. Needs its own key (MILLRACE_ADMIN_KEY). */
import { type Command, InvalidArgumentError } from 'commander';
import { type TenantDocument, type TenantInfo, toJson } from '../../client/index.ts';
import { type ConnectionOptions, connect, IMPATIENT, serverCommand } from '../connect.ts';
import type { Io } from '../io.ts';
import { textTable } from '../text-table.ts';
import { watchRun } from '../watch-run.ts';

interface Options extends ConnectionOptions {
  readonly json?: true;
}

interface DocumentOptions extends Options {
  readonly displayName?: string;
  readonly weight?: number;
  readonly limit?: Readonly<Record<string, number | null>>;
}

const EXAMPLE = `$ millrace tenants create acme --display-name "Acme Ltd" --limit eventsPerSecond=5000
$ millrace tenants delete acme --dry-run`;

export function tenantsCommand(io: Io): Command {
  const tenants = serverCommand('tenants', 'who has streams on this installation', EXAMPLE);
  const connectionOf = (options: Options) => connect(io, options, IMPATIENT).client;

  tenants.addCommand(
    serverCommand('list', 'every tenant, and what it takes', '$ millrace tenants list').action(
      async (_: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options>();
        show(io, options, await connectionOf(options).tenants.list());
      },
    ),
  );
  for (const [name, summary] of [
    ['create', 'make a tenant'],
    ['change', 'change what is said of a tenant; what is not named stays'],
  ] as const) {
    tenants.addCommand(
      serverCommand(name, summary, `$ millrace tenants ${name} acme --limit eventsPerSecond=5000`)
        .argument('<tenant>', 'name of the tenant')
        .option('--display-name <name>', 'how people call it')
        .option('--weight <number>', 'its share when tenants compete, in relation to the others', positive)
        .option('--limit <name=value>', 'repeatable; =none lifts what the installation says', limit)
        .action(async (tenant: string, _: unknown, command: Command) => {
          const options = command.optsWithGlobals<DocumentOptions>();
          const client = connectionOf(options).tenants;
          const standing = name === 'change' ? await client.get(tenant) : undefined;
          const document = withOptions(standing?.document ?? {}, options);
          const ifVersion = standing?.version ?? 0;
          show(io, options, [await client.put(tenant, document, { ifVersion })]);
        }),
    );
  }
  for (const [name, state, summary] of [
    ['suspend', 'suspended', 'refuse the keys of a tenant; nothing of it is lost'],
    ['resume', 'active', 'let a suspended tenant go on'],
  ] as const) {
    tenants.addCommand(
      serverCommand(name, summary, `$ millrace tenants ${name} acme`)
        .argument('<tenant>', 'name of the tenant')
        .action(async (tenant: string, _: unknown, command: Command) => {
          const options = command.optsWithGlobals<Options>();
          const client = connectionOf(options).tenants;
          const { document, version } = await client.get(tenant);
          show(io, options, [await client.put(tenant, { ...document, state }, { ifVersion: version })]);
        }),
    );
  }
  tenants.addCommand(
    serverCommand('delete', 'erase a tenant with all that is its own, for good', EXAMPLE)
      .argument('<tenant>', 'name of the tenant')
      .option('--dry-run', 'only list what would go')
      .action(async (tenant: string, _: unknown, command: Command) => {
        const options = command.optsWithGlobals<Options & { dryRun?: true }>();
        const client = connectionOf(options);
        if (options.dryRun) {
          const forecast = await client.tenants.forecastDeletion(tenant);
          const rows = forecast.holdings.map(({ part, what, bytes }) => [part, what, bytes]);
          if (options.json) io.stdout.write(`${toJson(forecast)}\n`);
          else io.stdout.write(textTable(['part', 'what would go', 'bytes'], rows));
          return;
        }
        const run = await watchRun(io, client, await client.tenants.delete(tenant));
        io.stdout.write(options.json ? `${toJson(run)}\n` : `The tenant ${tenant} is gone.\n`);
      }),
  );
  return tenants;
}

function withOptions(document: TenantDocument, options: DocumentOptions): TenantDocument {
  const { displayName, weight, limit: limits } = options;
  return {
    ...document,
    ...(displayName === undefined ? {} : { displayName }),
    ...(weight === undefined ? {} : { weight }),
    ...(limits === undefined ? {} : { limits: { ...document.limits, ...limits } }),
  };
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0) || !Number.isFinite(number)) throw new InvalidArgumentError('use a number above 0.');
  return number;
}

function limit(text: string, before: Readonly<Record<string, number | null>> = {}) {
  const [, name, value] = /^([A-Za-z]+)=(\d+|none)$/.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new InvalidArgumentError('write NAME=NUMBER or NAME=none, for example eventsPerSecond=5000.');
  return { ...before, [name]: value === 'none' ? null : Number(value) };
}

function show(io: Io, options: Options, tenants: readonly TenantInfo[]): void {
  if (options.json) return void io.stdout.write(`${toJson(tenants)}\n`);
  const rows = tenants.map(({ name, state, document, usage }) => [
    ...[name, document.displayName ?? null, state, document.weight ?? 1],
    ...[usage.streams, usage.rollups, usage.stored_bytes, usage.log_bytes],
  ]);
  const head = ['tenant', 'name', 'state', 'weight', 'streams', 'rollups', 'stored bytes', 'log bytes'];
  io.stdout.write(textTable(head, rows));
}
