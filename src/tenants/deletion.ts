/**
 * Deletes tenants, as runs that survive a crash anywhere:
 *
 *   begun: state `deleting` is durable, nobody is let in ─▶ quiet: nothing of it is under way ─▶ every part erases
 *     ─▶ the catalog purges its rows, its own among them ─▶ gone
 *
 * The run belongs to the installation's own tenant and knows the one that goes only by an alias, for the record of the
 * run stays when the name is to be found nowhere. The whole is repeated from the start after a crash: each step does
 * nothing where nothing is left to do.
 */
import { DEFAULT_TENANT, type TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { Holding, TenantPart } from '../base/tenant-part.ts';
import type { Run, TenantRecords } from '../catalog/index.ts';
import { noTenant, type Tenants } from './tenants.ts';

/** As much of `Runs` as is needed here. */
export interface DeletionRuns {
  register(
    kind: 'delete-tenant',
    execute: (run: Run, context: DeletionContext) => Promise<unknown>,
    options: { readonly mustEnd: true },
  ): void;
  start(request: {
    readonly tenant: TenantId;
    readonly kind: 'delete-tenant';
    readonly stream: string;
    readonly subject: string;
    readonly request: unknown;
  }): Run | Promise<Run>;
  list(
    tenant: TenantId,
    filter: { readonly kind: 'delete-tenant'; readonly state: 'running' },
  ): readonly Run[] | Promise<readonly Run[]>;
}

export interface DeletionContext {
  progress(progress: {
    readonly done: number;
    readonly total: number;
    readonly unit: 'parts';
    readonly step: string;
  }): void;
  throwIfEnding(): void;
}

export interface DeletionOptions {
  readonly tenants: Tenants;
  readonly records: Pick<TenantRecords, 'purge'>;
  /** What the rows are that `records` purges. */
  readonly rows: (tenant: TenantId) => Promise<readonly Holding[]>;
  /** Of every stage, in the order in which they are to be quiet and to erase. */
  readonly parts: () => readonly TenantPart[];
  readonly runs: DeletionRuns;
  /** A name that no tenant has: never `[a-z0-9_]` alone. */
  readonly newAlias: () => string;
  readonly logger: { error(details: object, message: string): void };
}

export interface HoldingOfPart extends Holding {
  readonly part: string;
}

export interface Deletion {
  /** Everything that would go. Fails with `unknown-tenant`. */
  holdings(name: string): Promise<readonly HoldingOfPart[]>;
  /**
   * Durable when it resolves. For a tenant that is going already it answers with the run that sees to it. Fails with
   * `unknown-tenant`, `conflict` (the installation's own), `precondition-failed`.
   */
  start(name: string, options?: { readonly ifVersion?: number | undefined }): Promise<Run>;
  /** The run that deletes the tenant, while it goes on. */
  underWay(alias: string): Promise<Run | undefined>;
  /** At start, once the runs go on: a deletion that has no run gets one. */
  recover(): Promise<void>;
}

export function createDeletion(options: DeletionOptions): Deletion {
  const { tenants, runs } = options;
  let turn: Promise<unknown> = Promise.resolve();

  const underWay = async (alias: string): Promise<Run | undefined> =>
    (await runs.list(DEFAULT_TENANT, { kind: 'delete-tenant', state: 'running' })).find(
      ({ subject }) => subject === alias,
    );
  /** One after the other, so that no deletion gets two runs. */
  const runOf = (alias: string): Promise<Run> => {
    const run = turn.then(
      async () =>
        (await underWay(alias)) ??
        // No stream has this name: deletions go one at a time.
        runs.start({
          ...{ tenant: DEFAULT_TENANT, kind: 'delete-tenant', stream: '', subject: alias, request: {} },
        }),
    );
    turn = run.catch(() => undefined);
    return run;
  };

  runs.register('delete-tenant', (run, context) => carryOut(options, run.subject ?? '', context), {
    mustEnd: true,
  });

  return {
    holdings: async (name) => {
      const tenant = tenants.get(name);
      if (!tenant) throw noTenant(name);
      const rows = { name: 'catalog', holdings: options.rows };
      const found = await Promise.all(
        [...options.parts(), rows].map(async (part) =>
          (await part.holdings(tenant.name)).map((holding) => ({ part: part.name, ...holding })),
        ),
      );
      return found.flat();
    },
    start: async (name, { ifVersion } = {}) => {
      const { alias } = await tenants.beginDeletion(name, options.newAlias(), { ifVersion });
      return runOf(alias!);
    },
    underWay,
    recover: async () => {
      for (const { alias, state } of tenants.all()) if (state === 'deleting') await runOf(alias!);
    },
  };
}

async function carryOut(
  { tenants, parts: partsOf, records, logger }: DeletionOptions,
  alias: string,
  context: DeletionContext,
): Promise<unknown> {
  const tenant = tenants.all().find((one) => one.alias === alias)?.name;
  const parts = partsOf();
  const total = parts.length * 2 + 1;
  let done = 0;
  const step = async (words: string, work: () => Promise<void>): Promise<void> => {
    context.throwIfEnding();
    context.progress({ done, total, unit: 'parts', step: words });
    try {
      await work();
    } catch (cause) {
      if (cause instanceof MillraceError && (cause.code === 'stopping' || cause.code === 'fenced'))
        throw cause;
      logger.error({ err: cause, step: words }, 'a tenant could not be deleted yet; trying again');
      // The record of the run stays: it must not repeat names that the cause may tell.
      throw new MillraceError(
        'store-unavailable',
        `it could not go on with "${words}"; the log of the server says why`,
      );
    }
    done += 1;
  };

  if (tenant !== undefined) {
    for (const part of parts) await step(`waiting for ${part.name}`, async () => part.quiet?.(tenant));
    for (const part of parts) await step(`erasing ${part.name}`, () => erase(part, tenant));
  }
  await step('erasing catalog', async () => {
    // When the rows went before a crash, what is to be done behind it is done once more.
    await records.purge(tenant ?? (alias as TenantId), alias);
    if (tenant !== undefined) tenants.forget(tenant);
  });
  return { erased: [...parts.map(({ name }) => name), 'catalog'] };
}

async function erase(part: TenantPart, tenant: TenantId): Promise<void> {
  await part.erase(tenant);
  const left = await part.holdings(tenant);
  if (left.length === 0) return;
  throw new Error(`${left.length} things are left in ${part.name}: ${left[0]!.what}`);
}
